/** Commands side by side, and commands that were killed half way. */
import { LOCK_NAME } from "@aster-effect/config/FileLock"
import * as RootKey from "@aster-effect/trust/RootKey"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { enrolling, sandbox } from "./Sandbox.ts"

const noted = "~/.aster/root-key-change.json"

const six = [1, 2, 3, 4, 5, 6]

describe("side by side", () => {
  it.effect("enrolments of one file are all in it, for one node", () =>
    Effect.gen(function* () {
      const { aster, identity } = yield* enrolling
      const outcomes = yield* Effect.forEach(
        six,
        (n) => aster(`enroll node --role consumer --name n${n} --key-file root.key -q`),
        { concurrency: "unbounded" }
      )
      const { node, peers } = yield* identity()
      assert.deepStrictEqual(peers.map(({ name }) => name).toSorted(), ["n1", "n2", "n3", "n4", "n5", "n6"])
      for (const { out } of outcomes) assert.strictEqual(out.split(" ")[1], node?.endpointId)
    })
  )

  it.effect("profiles are all made, and one root key wins", () =>
    Effect.gen(function* () {
      const { aster, keyring, list, read } = yield* sandbox()
      yield* Effect.forEach(six, (n) => aster(`profile create p${n}`), { concurrency: "unbounded" })
      assert.strictEqual((yield* aster("profile list")).out.split("\n").length, 6)
      const made = yield* Effect.forEach(six, () => aster("keygen root --profile p1"), { concurrency: "unbounded" })
      assert.strictEqual(made.filter(({ code }) => code === 0).length, 1)
      const { publicKey } = Option.getOrThrow(yield* keyring.get("p1"))
      assert.include(yield* read("~/.aster/config.toml"), publicKey)
      assert.include(yield* read("~/.aster/root.pub"), publicKey)
      assert.deepStrictEqual(yield* list("~/.aster"), ["config.toml", "root.pub"])
    })
  )

  it.effect("a comment, a date and a table that nobody here knows survive every change of the settings", () =>
    Effect.gen(function* () {
      const { aster, read, write } = yield* sandbox()
      const own = `# mine\nactive_profile = "a" # for now\nsince = 2024-02-30T08:00:00\n`.replace("02-30", "02-28")
      const shell = "\n[shell]\nfirst_time = false\nratio = 1.0\nlist = [\n  1, # one\n  2\n]\n"
      const a = `\n[profiles.a]\n# the key\nroot_pubkey = ""\nhandle = '''x'''\n`
      yield* write("~/.aster/config.toml", own + shell + a)
      for (const line of [
        "profile create b",
        "profile use b",
        "profile use a",
        "keygen root --profile b --out b.key"
      ]) {
        assert.strictEqual((yield* aster(line)).code, 0, line)
      }
      const text = yield* read("~/.aster/config.toml")
      assert.isTrue(text.startsWith(own + shell + a), text)
      assert.strictEqual((yield* aster("profile delete b --yes")).code, 0)
      assert.strictEqual(yield* read("~/.aster/config.toml"), own + shell + a)
    })
  )

  it.effect("settings in a layout that cannot be edited are left alone", () =>
    Effect.gen(function* () {
      const { aster, read, write } = yield* sandbox()
      const text = 'profiles = { a = { handle = "" } }\n'
      yield* write("~/.aster/config.toml", text)
      const { code, err } = yield* aster("profile create b")
      assert.strictEqual(code, 1)
      assert.include(err, "under headers of their own")
      assert.strictEqual(yield* read("~/.aster/config.toml"), text)
    })
  )
})

describe("keygen root --force that was killed", () => {
  /** A root key in every place, and the note and the key of the command that was to replace it. */
  const begun = Effect.gen(function* () {
    const box = yield* sandbox()
    yield* box.aster("keygen root --key-file ~/.aster/root.key")
    const old = Option.getOrThrow(yield* box.keyring.get("default"))
    const key = yield* RootKey.generate
    const note = {
      profile: "default",
      public_key: key.publicKey,
      key_file: box.file("~/.aster/root.key"),
      public_file: box.file("~/.aster/root.pub"),
      keyring: true
    }
    yield* box.write(noted, JSON.stringify(note))
    const places = Effect.gen(function* () {
      const config = yield* box.read("~/.aster/config.toml")
      return [
        JSON.parse(yield* box.read("~/.aster/root.key")).public_key,
        JSON.parse(yield* box.read("~/.aster/root.pub")).public_key,
        Option.getOrThrow(yield* box.keyring.get("default")).publicKey,
        /root_pubkey = "(\w+)"/.exec(config)?.[1]
      ]
    })
    return { ...box, old, key, places }
  })

  it.effect("before it changed anything leaves the old key", () =>
    Effect.gen(function* () {
      const { aster, list, old, places } = yield* begun
      yield* aster("profile show")
      assert.deepStrictEqual(yield* places, Array(4).fill(old.publicKey))
      assert.notInclude(yield* list("~/.aster"), "root-key-change.json")
    })
  )

  for (const [after, command] of [
    ["the key file", "profile show"],
    ["the keyring", "enroll node --role consumer --name a"],
    ["the key file", "authorize consumer"]
  ] as const) {
    it.effect(`after ${after} was written is finished by ${command}`, () =>
      Effect.gen(function* () {
        const { aster, file, key, keyring, list, places } = yield* begun
        if (after === "the keyring") yield* keyring.set("default", key)
        else yield* RootKey.write(file("~/.aster/root.key"), key)
        const { code, err } = yield* aster(command)
        assert.strictEqual(code, 0, err)
        assert.include(err, key.publicKey)
        assert.deepStrictEqual(yield* places, Array(4).fill(key.publicKey))
        assert.notInclude(yield* list("~/.aster"), "root-key-change.json")
      })
    )
  }

  it.effect("is not finished by a guess where the keyring cannot be asked", () =>
    Effect.gen(function* () {
      const { aster, list, write } = yield* enrolling
      const note = { profile: "default", public_key: "ab", key_file: null, public_file: "x", keyring: true }
      yield* write(noted, JSON.stringify(note))
      const { code, err } = yield* aster("enroll node --role consumer --name a")
      assert.strictEqual(code, 1)
      assert.include(err, "aster keygen root did not end the last time")
      assert.include(yield* list("~/.aster"), "root-key-change.json")
    })
  )
})

describe("a process that is killed", () => {
  const bin = fileURLToPath(new URL("../../packages/cli/bin/aster.js", import.meta.url))

  it.live(
    "leaves places that agree after the next command, and no copy of a key",
    () =>
      Effect.gen(function* () {
        const { directory, file, home, read } = yield* sandbox()
        const start = (...args: ReadonlyArray<string>) =>
          spawn(process.execPath, ["--conditions=@aster-effect/source", bin, ...args], {
            cwd: directory,
            env: { PATH: process.env["PATH"], HOME: home },
            stdio: ["ignore", "ignore", "ignore"]
          })
        const run = (...args: ReadonlyArray<string>) => Effect.promise(() => once(start(...args), "exit"))
        const forced = ["keygen", "root", "--key-file", "root.key", "--force"] as const
        const began = performance.now()
        yield* run(...forced)
        const whole = performance.now() - began
        for (const share of [0.9, 1]) {
          const child = start(...forced)
          yield* Effect.sleep(whole * share)
          child.kill("SIGKILL")
          const isRunning = child.exitCode === null && child.signalCode === null
          if (isRunning) yield* Effect.promise(() => once(child, "exit"))
          yield* run("enroll", "node", "--role", "consumer", "--name", "a", "--key-file", "root.key")
          const { public_key } = JSON.parse(yield* read("root.key"))
          assert.strictEqual(JSON.parse(yield* read("root.pub")).public_key, public_key)
          assert.include(yield* read("~/.aster/config.toml"), public_key)
          const left = yield* Effect.promise(() => fs.readdir(file(".")))
          assert.deepStrictEqual(left.toSorted(), [".aster-identity", LOCK_NAME, "root.key", "root.pub"])
        }
      }),
    120_000
  )
})
