import { Keyring, KeyringError } from "@aster-effect/cli/Keyring"
import * as RootKey from "@aster-effect/trust/RootKey"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Hex from "effect/encoding/Hex"
import * as fs from "node:fs/promises"
import { sandbox, seedIn } from "./Sandbox.ts"

const noKeyring = Keyring.layerUnavailable("none in this test")

/** A keyring that can be read but not written. */
const readOnlyKeyring = Layer.succeed(Keyring, {
  get: () => Effect.succeedNone,
  set: () => Effect.fail(new KeyringError({ reason: "Unavailable", detail: "read only" })),
  remove: () => Effect.succeed(false)
})

/** A keyring whose entry is no key; writing works. */
const damagedKeyring = Layer.effect(
  Keyring,
  Effect.map(Keyring, (keyring) => ({
    ...keyring,
    get: (profile) =>
      Effect.flatMap(
        keyring.get(profile),
        Option.match({
          onNone: () => Effect.fail(new KeyringError({ reason: "Malformed", detail: "no key in there" })),
          onSome: Effect.succeedSome
        })
      )
  }))
).pipe(Layer.provide(Keyring.layerMemory))

const publicKeyIn = (text: string): string => JSON.parse(text).public_key

describe("aster keygen root", () => {
  it.effect("puts the private key into the keyring alone, the public one into profile and file", () =>
    Effect.gen(function* () {
      const { aster, keyring, list, mode, read } = yield* sandbox()
      const { code, err, out } = yield* aster("keygen root")
      assert.deepStrictEqual([code, err], [0, ""])
      const key = Option.getOrThrow(yield* keyring.get("default"))
      assert.deepStrictEqual(yield* list("~/.aster"), ["config.toml", "root.pub"])
      assert.strictEqual(publicKeyIn(yield* read("~/.aster/root.pub")), key.publicKey)
      assert.include(yield* read("~/.aster/config.toml"), `root_pubkey = "${key.publicKey}"`)
      assert.deepStrictEqual([yield* mode("~/.aster/config.toml"), yield* mode("~/.aster/root.pub")], ["600", "644"])
      assert.include(out, key.publicKey)
      assert.notInclude(out, Hex.encode(Redacted.value(key.seed)))
    })
  )

  it.effect("asks for a key file where there is no keyring, and writes nothing", () =>
    Effect.gen(function* () {
      const { aster, list } = yield* sandbox(noKeyring)
      const { code, err } = yield* aster("keygen root")
      assert.strictEqual(code, 1)
      assert.include(err, "no OS keyring is available (none in this test)")
      assert.include(err, "--key-file PATH")
      assert.deepStrictEqual(yield* list("~/"), [])
    })
  )

  it.effect("writes the key file with mode 0600 and never prints the seed", () =>
    Effect.gen(function* () {
      const { aster, mode, read } = yield* sandbox(noKeyring)
      const { code, err, out } = yield* aster("keygen root --key-file keys/root.key")
      assert.strictEqual(code, 0)
      assert.strictEqual(yield* mode("keys/root.key"), "600")
      const text = yield* read("keys/root.key")
      assert.strictEqual(publicKeyIn(text), publicKeyIn(yield* read("keys/root.pub")))
      assert.notInclude(out + err, seedIn(text))
    })
  )

  it.effect("replaces the extension of the file name only", () =>
    Effect.gen(function* () {
      const { aster, list } = yield* sandbox(noKeyring)
      assert.strictEqual((yield* aster("keygen root --out my.keys/root")).code, 0)
      assert.deepStrictEqual(yield* list("my.keys"), ["root", "root.pub"])
      const clash = yield* aster("keygen root --profile other --out my.keys/x.pub")
      assert.strictEqual(clash.code, 1)
      assert.include(clash.err, "public key's name")
    })
  )

  it.effect.each([
    ["the profile", "keygen root --key-file other.key", "in profile default"],
    ["the keyring", "keygen root --key-file other.key", "in the OS keyring"],
    ["the key file", "keygen root --profile other --key-file root.key", "root.key"],
    ["the public file", "keygen root --profile other --key-file root.secret", "root.pub"]
  ] as const)("refuses while a root key is in %s", ([, line, place]) =>
    Effect.gen(function* () {
      const { aster, list, read } = yield* sandbox()
      yield* aster("keygen root --key-file root.key")
      const before = [yield* read("root.key"), yield* read("~/.aster/config.toml")]
      const { code, err } = yield* aster(line)
      assert.strictEqual(code, 1)
      assert.include(err, place)
      assert.include(err, "--force")
      assert.deepStrictEqual([yield* read("root.key"), yield* read("~/.aster/config.toml")], before)
      assert.deepStrictEqual(yield* list("."), ["root.key", "root.pub"])
    })
  )

  it.effect("--force replaces the key everywhere, a forgotten one in the default file too", () =>
    Effect.gen(function* () {
      const { aster, keyring, read } = yield* sandbox()
      yield* aster("keygen root --key-file ~/.aster/root.key")
      const old = publicKeyIn(yield* read("~/.aster/root.key"))
      assert.strictEqual((yield* aster("keygen root --force")).code, 0)
      const key = Option.getOrThrow(yield* keyring.get("default")).publicKey
      assert.notStrictEqual(key, old)
      assert.strictEqual(publicKeyIn(yield* read("~/.aster/root.key")), key)
      assert.strictEqual(publicKeyIn(yield* read("~/.aster/root.pub")), key)
      assert.include(yield* read("~/.aster/config.toml"), key)
    })
  )

  it.effect("a second profile has a key and files of its own, and leaves those of the first alone", () =>
    Effect.gen(function* () {
      const { aster, keyring, list, read } = yield* sandbox()
      yield* aster("keygen root --key-file ~/.aster/root.key")
      const before = [yield* read("~/.aster/root.key"), yield* read("~/.aster/root.pub")]
      for (const line of ["keygen root --profile staging", "keygen root --profile staging --force"]) {
        assert.strictEqual((yield* aster(line)).code, 0, line)
        const key = Option.getOrThrow(yield* keyring.get("staging")).publicKey
        assert.strictEqual(publicKeyIn(yield* read("~/.aster/staging.pub")), key)
        assert.deepStrictEqual([yield* read("~/.aster/root.key"), yield* read("~/.aster/root.pub")], before)
      }
      assert.deepStrictEqual(yield* list("~/.aster"), ["config.toml", "root.key", "root.pub", "staging.pub"])
      assert.include((yield* aster("keygen root --profile staging")).err, "staging.pub")
    })
  )

  it.effect("a damaged keyring entry counts as a key, is not passed over, and --force repairs it", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox(damagedKeyring)
      const refused = yield* aster("keygen root")
      assert.strictEqual(refused.code, 1)
      assert.include(refused.err, "in the OS keyring")
      const enrolment = "enroll node --role consumer --name a"
      assert.include((yield* aster(enrolment)).err, "no key in there")
      assert.strictEqual((yield* aster("keygen root --force")).code, 0)
      assert.strictEqual((yield* aster(enrolment)).code, 0)
    })
  )

  it.effect("leaves nothing behind when the keyring refuses", () =>
    Effect.gen(function* () {
      const { aster, list } = yield* sandbox(readOnlyKeyring)
      const { code, err } = yield* aster("keygen root --key-file root.key")
      assert.strictEqual(code, 1)
      assert.include(err, "read only")
      assert.deepStrictEqual(yield* list("."), [])
      assert.deepStrictEqual(yield* list("~/.aster"), [])
    })
  )

  it.effect("brings everything back when the last place cannot be written", () =>
    Effect.gen(function* () {
      const { aster, file, keyring, read } = yield* sandbox()
      yield* aster("keygen root --key-file root.key")
      const before = [yield* read("root.key"), Option.getOrThrow(yield* keyring.get("default")).publicKey]
      yield* Effect.promise(async () => {
        await fs.rm(file("root.pub"))
        await fs.mkdir(file("root.pub/in the way"), { recursive: true })
      })
      assert.strictEqual((yield* aster("keygen root --key-file root.key --force")).code, 1)
      assert.deepStrictEqual(
        [yield* read("root.key"), Option.getOrThrow(yield* keyring.get("default")).publicKey],
        before
      )
      assert.include(yield* read("~/.aster/config.toml"), publicKeyIn(yield* read("root.key")))
    })
  )

  it.effect("a profile of its own has a key of its own", () =>
    Effect.gen(function* () {
      const { aster, keyring, read } = yield* sandbox()
      yield* aster("keygen root --profile prod")
      yield* aster("keygen root --out dev.key", { env: { ASTER_PROFILE: "dev" } })
      assert.notStrictEqual(
        Option.getOrThrow(yield* keyring.get("prod")).publicKey,
        Option.getOrThrow(yield* keyring.get("dev")).publicKey
      )
      assert.include(yield* read("~/.aster/config.toml"), 'active_profile = "prod"')
    })
  )
})

describe("aster keygen producer", () => {
  it.effect("writes a node key, and no second one over it", () =>
    Effect.gen(function* () {
      const { aster, mode, read } = yield* sandbox(noKeyring)
      const made = yield* aster("keygen producer")
      assert.strictEqual(made.code, 0)
      const { node_id, secret_key } = JSON.parse(yield* read("~/.aster/node.key"))
      assert.strictEqual(yield* mode("~/.aster/node.key"), "600")
      assert.match(node_id, /^[0-9a-f]{64}$/)
      assert.include(made.out, node_id)
      assert.notInclude(made.out, secret_key)
      const key = RootKey.fromSeed(Uint8Array.from(Buffer.from(secret_key, "hex")))
      assert.strictEqual(key._tag === "Success" && key.success.publicKey, node_id)
      assert.strictEqual((yield* aster("keygen producer")).code, 1)
    })
  )
})
