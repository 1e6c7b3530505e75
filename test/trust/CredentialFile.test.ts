import * as IdentityFile from "@aster-effect/config/IdentityFile"
import * as Credential from "@aster-effect/trust/Credential"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import * as RootKey from "@aster-effect/trust/RootKey"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Hex from "effect/encoding/Hex"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import vectors from "../admission/vectors/trust.json" with { type: "json" }

const seed = Result.getOrThrow(Hex.decode(vectors.keys.root_a.seed_hex))
const root = Result.getOrThrow(RootKey.fromSeed(seed))
const endpointId = vectors.keys.node_a.public_key_hex
const temporary = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "aster-credential-"))),
  (directory) => Effect.promise(() => fs.rm(directory, { recursive: true }))
)

describe("identity entries", () => {
  it.each(vectors.identity_file)("recovers what was signed: $attributes_in_file", (entry) => {
    const identity = Result.getOrThrow(IdentityFile.parse(entry.toml, ".aster-identity"))
    const peer = identity.peers[0]!
    assert.deepStrictEqual(Object.fromEntries(peer.attributes), entry.attributes_in_file)
    const credential = Result.getOrThrow(CredentialFile.fromEntry(peer, ".aster-identity"))
    assert.deepStrictEqual(Object.fromEntries(credential.attributes), entry.attributes_signed)
    assert.strictEqual(Hex.encode(Credential.claimsBytes(credential)), entry.signing_bytes_hex)
  })

  it("reports an entry that no set of attributes verifies, instead of sending it", () => {
    const text = vectors.identity_file[0]!.toml.replace("4102444800", "4102444801")
    const result = CredentialFile.parse(text, "stale.cred")
    assert.isTrue(Result.isFailure(result) && result.failure.reason === "Signature")
    assert.match(Result.isFailure(result) ? result.failure.message : "", /^stale\.cred: .*issue it again$/)
  })

  it("reports a one-time token without a nonce, as 0.1.2 enrols them, instead of sending it", () => {
    const credential = RootKey.signConsumer(root, {
      type: "ott",
      endpointId,
      expiresAt: 4_102_444_800n,
      attributes: new Map(),
      nonce: undefined
    })
    for (const text of [
      Credential.toJson(credential, "file"),
      IdentityFile.format({ ...IdentityFile.empty, peers: [CredentialFile.toEntry(credential, root.publicKey, "x")] })
    ]) {
      const result = CredentialFile.parse(text, "f")
      assert.match(Result.isFailure(result) ? result.failure.message : "", /f: a one-time token needs a nonce/)
    }
  })

  it("writes all signed attributes, which need no recovering", () => {
    const attributes = new Map([
      ["aster.role", "consumer"],
      ["aster.name", 'n"1'],
      ["team", "x\ny"]
    ])
    const credential = RootKey.signConsumer(root, {
      type: "ott",
      endpointId,
      expiresAt: 4_102_444_800n,
      attributes,
      nonce: "ab".repeat(32)
    })
    const peer = CredentialFile.toEntry(credential, root.publicKey, 'n"1')
    const text = IdentityFile.format(IdentityFile.withEntry(IdentityFile.empty, peer))
    const read = Result.getOrThrow(IdentityFile.parse(text, "x")).peers[0]!
    assert.deepStrictEqual(read.attributes, attributes)
    assert.deepStrictEqual(Result.getOrThrow(CredentialFile.fromEntry(read, "x")), credential)
  })
})

describe("JSON tokens", () => {
  const credential = RootKey.signConsumer(root, {
    type: "policy",
    endpointId: undefined,
    expiresAt: 4_102_444_800n,
    attributes: new Map([["aster.role", "a"]]),
    nonce: undefined
  })

  it.effect("are written 0600 and read back", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporary, "sub", "x.token")
      yield* CredentialFile.write(file, credential)
      const { mode } = yield* Effect.promise(() => fs.stat(file))
      assert.strictEqual(mode & 0o777, 0o600)
      assert.deepStrictEqual(yield* CredentialFile.read(file), credential)
    })
  )

  it("take the type from credential_type, else type, else policy", () => {
    const wire: Record<string, unknown> = JSON.parse(Credential.toJson(credential, "wire"))
    const { credential_type: _, ...bare } = wire
    for (const json of [wire, bare, { ...bare, type: "policy" }, { ...wire, type: "ignored", extra: 1 }]) {
      assert.deepStrictEqual(Result.getOrThrow(CredentialFile.parse(JSON.stringify(json), "f")), credential)
    }
    const producer = RootKey.signProducer(root, { endpointId, expiresAt: 1n, attributes: new Map() })
    assert.deepStrictEqual(Result.getOrThrow(CredentialFile.parse(Credential.toJson(producer, "file"), "f")), producer)
  })

  it.each([
    ["nonsense", "nonsense", /expected JSON/],
    ["an array", "[1]", /no \[\[peers\]\] entry|not valid TOML/],
    ["no signature", '{"type":"policy","expires_at":1,"root_pubkey":"' + root.publicKey + '"}', /signature/],
    ["a changed expiry", Credential.toJson({ ...credential, expiresAt: 5n }, "file"), /signature is not valid/]
  ])("refuse %s", (_, text, message) => {
    const result = CredentialFile.parse(text, "bad.token")
    assert.isTrue(Result.isFailure(result))
    assert.match(Result.isFailure(result) ? result.failure.message : "", message)
  })
})

describe("RootKey", () => {
  const json = (fields: object) => JSON.stringify(fields)

  it.effect("writes 0600 and reads back; the seed never shows", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporary, "root.key")
      const key = yield* RootKey.generate
      yield* RootKey.write(file, key)
      assert.strictEqual((yield* Effect.promise(() => fs.stat(file))).mode & 0o777, 0o600)
      const read = yield* RootKey.read(file)
      assert.deepStrictEqual(Redacted.value(read.seed), Redacted.value(key.seed))
      assert.notInclude(JSON.stringify(key) + String(key.seed), Hex.encode(Redacted.value(key.seed)))
    })
  )

  it.effect("15: a key file that is not there is an error, never another key", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RootKey.read(path.join(yield* temporary, "absent.key")))
      assert.match(error.message, /absent\.key: no such file/)
    })
  )

  it("15: derives a missing public key, accepts either case, and refuses one that does not match", () => {
    const private_key = vectors.keys.root_a.seed_hex
    assert.strictEqual(Result.getOrThrow(RootKey.parse(json({ private_key }), "f")).publicKey, root.publicKey)
    const upper = { private_key: private_key.toUpperCase(), public_key: root.publicKey.toUpperCase() }
    assert.strictEqual(Result.getOrThrow(RootKey.parse(json(upper), "f")).publicKey, root.publicKey)
    const other = RootKey.parse(json({ private_key, public_key: vectors.keys.root_b.public_key_hex }), "root.key")
    assert.match(Result.isFailure(other) ? other.failure.message : "", /root\.key: public_key: does not belong/)
  })

  it("refuses short seeds and public-key files", () => {
    assert.isTrue(Result.isFailure(RootKey.parse(json({ private_key: "ab" }), "f")))
    assert.isTrue(Result.isFailure(RootKey.parse(json({ public_key: root.publicKey }), "f")))
    assert.isTrue(Result.isFailure(RootKey.parse("", "f")))
  })
})
