import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import { LOCK_NAME, withLock } from "@aster-effect/config/FileLock"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"

const directory = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "aster-lock-"))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
)

/** A process that runs a program with these modules at hand. */
const program = (body: string, command: ReadonlyArray<string> = []) => {
  const source = `
    import * as AtomicFile from "@aster-effect/config/AtomicFile"
    import * as BoundedFile from "@aster-effect/config/BoundedFile"
    import { withLock } from "@aster-effect/config/FileLock"
    import * as Effect from "effect/Effect"
    await Effect.runPromise(${body})`
  const args = [process.execPath, "--conditions=@aster-effect/source", "--input-type=module", "-e", source]
  const [name, ...rest] = [...command, ...args]
  return spawn(name!, rest, { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "inherit"] })
}

const ended = (child: ReturnType<typeof program>) => Effect.promise(() => once(child, "exit"))

/** Adds one to the number in a file, as often as told. */
const counting = (file: string, times: number) => `Effect.forEach(Array(${times}).fill(0), () =>
  withLock([${JSON.stringify(file)}], Effect.flatMap(BoundedFile.read(${JSON.stringify(file)}), ({ text }) =>
    AtomicFile.write(${JSON.stringify(file)}, String(Number(text) + 1)))))`

const canUnshare = spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "true"]).status === 0

describe("withLock", () => {
  const several = Effect.fnUntraced(function* (command: ReadonlyArray<string>) {
    const file = path.join(yield* directory, "count")
    yield* AtomicFile.write(file, "0")
    const children = Array.from({ length: 3 }, () => program(counting(file, 10), command))
    yield* Effect.forEach(children, ended, { concurrency: "unbounded" })
    assert.strictEqual((yield* BoundedFile.read(file)).text, "30")
  })

  it.live("processes change a file one after the other", () => several([]))

  it.live.skipIf(!canUnshare)("so do containers that share a disk", () =>
    several(["unshare", "--pid", "--fork", "--mount-proc"])
  )

  it.live("fibers do, too, and nesting waits for nobody", () =>
    Effect.gen(function* () {
      const file = path.join(yield* directory, "count")
      yield* AtomicFile.write(file, "0")
      const add = withLock(
        [file],
        Effect.flatMap(BoundedFile.read(file), ({ text }) => AtomicFile.write(file, String(Number(text) + 1)))
      )
      yield* Effect.all(
        Array.from({ length: 10 }, () => add),
        { concurrency: "unbounded" }
      )
      assert.strictEqual((yield* BoundedFile.read(file)).text, "10")
    })
  )

  it.live("a killed holder keeps nobody waiting, and no copy of what it wrote", () =>
    Effect.gen(function* () {
      const made = yield* directory
      const file = path.join(made, "root.key")
      // What a process leaves that is killed between writing and renaming.
      yield* Effect.promise(() => fs.writeFile(path.join(made, `.root.key.${crypto.randomUUID()}.tmp`), "secret"))
      const child = program(
        `withLock([${JSON.stringify(file)}], Effect.andThen(Effect.sync(() => { console.log("held"); setInterval(() => {}, 1000) }), Effect.never))`
      )
      yield* Effect.promise(() => once(child.stdout, "data"))
      const waiting = yield* Effect.forkChild(AtomicFile.write(file, "new"))
      yield* Effect.sleep("100 millis")
      assert.isUndefined(waiting.pollUnsafe())
      child.kill("SIGKILL")
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(made)), [LOCK_NAME, "root.key"])
    })
  )

  it.live("two that want the same directories in another order do not wait for each other", () =>
    Effect.gen(function* () {
      const [a, b] = [path.join(yield* directory, "a"), path.join(yield* directory, "b")]
      const both = (files: ReadonlyArray<string>) => withLock(files, Effect.sleep("20 millis"))
      yield* Effect.all([both([a, b]), both([b, a]), both([a, b])], { concurrency: "unbounded" })
    })
  )
})

describe("AtomicFile", () => {
  it.live("writes through symbolic links, also where they lead nowhere yet", () =>
    Effect.gen(function* () {
      const made = yield* directory
      const [link, target] = [path.join(made, "config.toml"), path.join(made, "dotfiles", "aster.toml")]
      yield* Effect.promise(() => fs.symlink(path.join("dotfiles", "aster.toml"), link))
      yield* AtomicFile.write(link, "one")
      yield* AtomicFile.write(link, "two")
      assert.isTrue((yield* Effect.promise(() => fs.lstat(link))).isSymbolicLink())
      assert.strictEqual(yield* Effect.promise(() => fs.readFile(target, "utf8")), "two")
      assert.strictEqual((yield* Effect.promise(() => fs.stat(target))).mode & 0o777, 0o600)
    })
  )

  it.live("a link that leads to itself is an error", () =>
    Effect.gen(function* () {
      const link = path.join(yield* directory, "loop")
      yield* Effect.promise(() => fs.symlink("loop", link))
      assert.strictEqual((yield* Effect.flip(AtomicFile.write(link, "x"))).code, "ELOOP")
    })
  )

  it.live("creates what is not there, and replaces nothing", () =>
    Effect.gen(function* () {
      const file = path.join(yield* directory, "node.key")
      const outcomes = yield* Effect.all(
        ["a", "b", "c"].map((text) => Effect.result(AtomicFile.create(file, text))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(outcomes.map(({ _tag }) => _tag).toSorted(), ["Failure", "Failure", "Success"])
      const before = (yield* BoundedFile.read(file)).text
      assert.strictEqual((yield* Effect.flip(AtomicFile.create(file, "z"))).code, "EEXIST")
      assert.strictEqual((yield* BoundedFile.read(file)).text, before)
    })
  )
})
