import { LOCK_NAME } from "@aster-effect/config/FileLock"
import { NonceStore, type NonceStoreError } from "@aster-effect/trust/NonceStore"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { execFile, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { promisify } from "node:util"

const nonce = (n: number) => n.toString(16).padStart(64, "0")
const use = (n: number, expiresAt = 4_102_444_800n) => ({ nonce: nonce(n), expiresAt })
const storeFile = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "aster-nonces-"))),
  (directory) => Effect.promise(() => fs.rm(directory, { recursive: true }))
).pipe(Effect.map((directory) => path.join(directory, "state", "nonces.json")))

const consume = (n: number, expiresAt?: bigint) => NonceStore.use((store) => store.consume(use(n, expiresAt)))
const put = (file: string, text: string) =>
  Effect.promise(async () => {
    await fs.mkdir(path.dirname(file), { recursive: true })
    await fs.writeFile(file, text)
  })
const read = (file: string): Effect.Effect<{ consumed: Array<string>; expires: Record<string, number> }> =>
  Effect.promise(async () => JSON.parse(await fs.readFile(file, "utf8")))

const inline = (program: string) => ["--conditions=@aster-effect/source", "--input-type=module", "-e", program]

/** A program that uses up nonces and prints which of them it got. */
const consuming = (file: string, nonces: ReadonlyArray<string>) => `
  import { NonceStore } from "@aster-effect/trust/NonceStore"
  import * as Effect from "effect/Effect"
  const won = NonceStore.use((store) => Effect.forEach(${JSON.stringify(nonces)},
    (nonce) => store.consume({ nonce, expiresAt: 4102444800n })))
  console.log(JSON.stringify(await Effect.runPromise(Effect.provide(won, NonceStore.layerFile(${JSON.stringify(file)})))))`

/** A process in the middle of a transaction on the store's database. */
const holding = (file: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn(
        process.execPath,
        inline(`
          import { DatabaseSync } from "node:sqlite"
          const db = new DatabaseSync(${JSON.stringify(`${file}.db`)})
          db.exec("BEGIN IMMEDIATE; INSERT INTO nonces VALUES (x'00', 0)")
          console.log("held")
          setInterval(() => {}, 1000)`),
        { stdio: ["ignore", "pipe", "inherit"] }
      )
      await once(child.stdout, "data")
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Process ids are the same in every container, and tell nobody apart. */
const canUnshare = spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "true"]).status === 0

describe("NonceStore.layerMemory", () => {
  it.effect("accepts each nonce once, whatever the case", () =>
    Effect.gen(function* () {
      const store = yield* NonceStore
      const upper = "AB".repeat(32)
      assert.isTrue(yield* store.consume({ nonce: upper, expiresAt: 9n }))
      assert.isFalse(yield* store.consume({ nonce: upper.toLowerCase(), expiresAt: 9n }))
      assert.isTrue(yield* store.isConsumed(upper))
      assert.isFalse(yield* store.isConsumed(nonce(1)))
    }).pipe(Effect.provide(NonceStore.layerMemory()))
  )

  it.effect("refuses what is no nonce, and what does not fit", () =>
    Effect.gen(function* () {
      const store = yield* NonceStore
      for (const bad of ["", "ab", "zz".repeat(32), "ab".repeat(33)]) {
        assert.strictEqual((yield* Effect.flip(store.consume({ nonce: bad, expiresAt: 9n }))).reason, "Malformed")
      }
      assert.isTrue(yield* consume(1))
      assert.strictEqual((yield* Effect.flip(consume(2))).reason, "Full")
      assert.isFalse(yield* consume(1))
    }).pipe(Effect.provide(NonceStore.layerMemory({ capacity: 1 })))
  )

  it.effect("forgets a nonce only well after its credential expired", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* consume(1, 100n))
      yield* TestClock.adjust("100 seconds")
      assert.isFalse(yield* consume(1, 100n))
      yield* TestClock.adjust("25 hours")
      assert.isTrue(yield* consume(2, 200_000n)) // room again
    }).pipe(Effect.provide(NonceStore.layerMemory({ capacity: 1 })))
  )
})

describe("NonceStore.layerFile", () => {
  const withFile = (file: string) => Effect.provide(NonceStore.layerFile(file))

  it.live("8: a restart forgets nothing", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      assert.isTrue(yield* consume(1).pipe(withFile(file)))
      assert.isFalse(yield* consume(1).pipe(withFile(file)))
      assert.deepStrictEqual((yield* read(file)).consumed, [nonce(1)])
      for (const each of [file, `${file}.db`]) {
        assert.strictEqual((yield* Effect.promise(() => fs.stat(each))).mode & 0o777, 0o600)
      }
      assert.strictEqual((yield* Effect.promise(() => fs.stat(path.dirname(file)))).mode & 0o777, 0o700)
      assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(path.dirname(file))), [
        LOCK_NAME,
        "nonces.json",
        "nonces.json.db"
      ])
    })
  )

  it.live("exactly one of many fibers gets a nonce, also through two stores on one file", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      const racing = NonceStore.use((store) =>
        Effect.forEach(
          Array.from({ length: 60 }, (_, i) => i % 3),
          (n) => store.consume(use(n)),
          { concurrency: "unbounded" }
        )
      ).pipe(withFile(file))
      const [a, b] = yield* Effect.all([racing, racing], { concurrency: 2 })
      assert.strictEqual([...a, ...b].filter(Boolean).length, 3)
      assert.strictEqual((yield* read(file)).consumed.length, 3)
    })
  )

  const several = Effect.fnUntraced(function* (command: string, args: ReadonlyArray<string>) {
    const file = yield* storeFile
    const nonces = Array.from({ length: 40 }, (_, n) => nonce(n))
    const run = Effect.promise(() =>
      promisify(execFile)(command, [...args, process.execPath, ...inline(consuming(file, nonces))], {
        cwd: import.meta.dirname
      })
    ).pipe(Effect.map(({ stdout }): Array<boolean> => JSON.parse(stdout)))
    const answers = yield* Effect.all([run, run, run], { concurrency: 3 })
    for (let n = 0; n < nonces.length; n++) {
      assert.strictEqual(answers.filter((answer) => answer[n]).length, 1, `nonce ${n}`)
    }
    assert.deepStrictEqual((yield* read(file)).consumed, nonces)
  })

  it.live("exactly one of several processes gets a nonce", () => several("env", []))

  it.live.skipIf(!canUnshare)("7: exactly one of several containers that share a disk gets a nonce", () =>
    several("unshare", ["--pid", "--fork", "--mount-proc"])
  )

  it.live("8: a damaged store refuses everything, says so, and is left as it was", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      yield* consume(1).pipe(withFile(file))
      const good = yield* Effect.promise(() => fs.readFile(file, "utf8"))
      const damaged = [
        "",
        good.slice(0, -20),
        "{}",
        "[]",
        '{"consumed":"all"}',
        '{"consumed":["abc"]}',
        `{"consumed":[],"expires":{"${nonce(1)}":"soon"}}`,
        "\u0000".repeat(good.length)
      ]
      const logged: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))
      for (const text of damaged) {
        yield* put(file, text)
        const error = yield* Effect.flip(consume(2).pipe(withFile(file), Effect.provide(Logger.layer([logger]))))
        assert.strictEqual(error.reason, "Damaged", text)
        assert.strictEqual(yield* Effect.promise(() => fs.readFile(file, "utf8")), text)
        assert.include(logged.pop() ?? "", `${file} is damaged; restore it`)
      }
    })
  )

  it.live("reads the file of 0.1.2, which knows no expiry, and keeps what it says", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      yield* put(file, `{"consumed": ["${nonce(7)}"]}`)
      assert.isFalse(yield* consume(7).pipe(withFile(file)))
      assert.isTrue(yield* consume(3).pipe(withFile(file)))
      const stored = yield* read(file)
      assert.deepStrictEqual(stored.consumed, [nonce(3), nonce(7)])
      assert.deepStrictEqual(stored.expires, { [nonce(3)]: 4_102_444_800 })
    })
  )

  it.live("8: does not grow for ever", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      yield* consume(1, 1n).pipe(withFile(file))
      yield* consume(2).pipe(withFile(file))
      assert.deepStrictEqual((yield* read(file)).consumed, [nonce(2)])
    })
  )

  it.live("a process that is killed in the middle keeps nobody waiting", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      assert.isTrue(yield* consume(1).pipe(withFile(file)))
      const child = yield* holding(file)
      const waiting = yield* Effect.forkChild(consume(2).pipe(withFile(file)))
      yield* Effect.sleep("200 millis")
      assert.isUndefined(waiting.pollUnsafe())
      child.kill("SIGKILL")
      assert.isTrue(yield* Fiber.join(waiting))
    })
  )

  it.live("waits for another process, then refuses", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      yield* consume(1).pipe(withFile(file))
      yield* holding(file)
      const error: NonceStoreError = yield* Effect.flip(consume(2).pipe(withFile(file)))
      assert.strictEqual(error.reason, "Locked")
      assert.include(error.message, `${file}.db`)
    })
  )

  it.effect("a clock that was ahead for a moment makes no used token good again", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      yield* TestClock.setTime(1_000_000_000)
      const soon = 1_000_000n + 3_600n
      assert.isTrue(yield* consume(1, soon).pipe(withFile(file)))
      yield* TestClock.setTime(1_000_000_000 + 2 * 86_400_000)
      assert.isTrue(yield* consume(2).pipe(withFile(file)))
      yield* TestClock.setTime(1_000_000_000)
      assert.isFalse(yield* consume(1, soon).pipe(withFile(file)))
      // Who was issued a token that lives longer is not punished for the clock.
      assert.isTrue(yield* consume(3, soon + 1n).pipe(withFile(file)))
    })
  )

  it.live("takes in a file of 99,000 nonces, and tells used from unused", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      const consumed = Array.from({ length: 99_000 }, (_, n) => nonce(n))
      yield* put(file, JSON.stringify({ consumed }))
      const answers = yield* Effect.forEach([0, 98_999, 99_000, 99_000], (n) => consume(n)).pipe(withFile(file))
      assert.deepStrictEqual(answers, [false, false, true, false])
      assert.strictEqual((yield* read(file)).consumed.length, 99_001)
    })
  )

  it.live("a database that is damaged, or of something else, refuses everything and is left as it was", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      yield* consume(1).pipe(withFile(file))
      const good = yield* Effect.promise(() => fs.readFile(`${file}.db`))
      const other = new DatabaseSync(path.join(path.dirname(file), "other"))
      other.exec("CREATE TABLE blobs (hash TEXT)")
      other.close()
      const foreign = yield* Effect.promise(() => fs.readFile(path.join(path.dirname(file), "other")))
      for (const bytes of [foreign, good.subarray(0, 5_000), Buffer.alloc(good.length, 7)]) {
        yield* Effect.promise(() => fs.writeFile(`${file}.db`, bytes))
        const error = yield* Effect.flip(consume(2).pipe(withFile(file)))
        assert.strictEqual(error.reason, "Damaged")
        assert.include(error.message, `${file}.db is damaged`)
        assert.deepStrictEqual(yield* Effect.promise(() => fs.readFile(`${file}.db`)), bytes)
      }
      // Without it, the file beside it still says what was used.
      yield* Effect.promise(() => fs.rm(`${file}.db`))
      assert.isFalse(yield* consume(1).pipe(withFile(file)))
    })
  )

  it.live("an unwritable place admits nobody", () =>
    Effect.gen(function* () {
      const file = yield* storeFile
      yield* put(file, "a file where a directory should be")
      const error = yield* Effect.flip(consume(1).pipe(withFile(path.join(file, "nonces.json"))))
      assert.strictEqual(error.reason, "Unavailable")
    })
  )
})
