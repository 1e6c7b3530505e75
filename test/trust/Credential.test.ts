import { RootPublicKey } from "@aster-effect/config"
import * as Credential from "@aster-effect/trust/Credential"
import * as Ed25519 from "@aster-effect/iroh/Ed25519"
import * as RootKey from "@aster-effect/trust/RootKey"
import { assert, describe, it } from "@effect/vitest"
import { Random } from "../Random.ts"
import { Point } from "@noble/ed25519"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Hex from "effect/encoding/Hex"
import { createRequire } from "node:module"
import vectors from "../admission/vectors/trust.json" with { type: "json" }

const { canonicalSigningBytesFromJson } = createRequire(import.meta.url)("@aster-rpc/transport") as {
  readonly canonicalSigningBytesFromJson: (json: string) => Uint8Array
}

const keys: Readonly<Record<string, { readonly seed_hex: string; readonly public_key_hex: string }>> = vectors.keys
const bytes = (hex: string): Uint8Array => Result.getOrThrow(Hex.decode(hex))
const seedOf = (name: string) => bytes(keys[name]!.seed_hex)
const publicKeyOf = (name: string) => keys[name]!.public_key_hex
const rootA = Result.getOrThrow(RootPublicKey.fromHex(publicKeyOf("root_a")))
const signed = new Map(vectors.signing.map((entry) => [entry.id, entry]))
const now = 1_800_000_000_000

const credentialOf = (request: string): string => {
  const outer: { readonly credential_json?: string } = JSON.parse(request)
  return outer.credential_json ?? ""
}

describe("signing bytes", () => {
  it.each(vectors.signing)("$id", (entry) => {
    const actual = Credential.signingBytes(entry.oracle_json)
    assert.strictEqual(Hex.encode(actual), entry.signing_bytes_hex)
    assert.strictEqual(actual.length, entry.signing_bytes_len)
    assert.strictEqual(Hex.encode(Ed25519.sign(seedOf(entry.key), actual)), entry.signature_hex)
    assert.isTrue(Credential.verify(entry.oracle_json, publicKeyOf(entry.key), entry.signature_hex))
  })

  it("takes parsed objects as well as text", () => {
    const entry = signed.get("attrs-proto-key")!
    assert.strictEqual(Hex.encode(Credential.signingBytes(JSON.parse(entry.oracle_json))), entry.signing_bytes_hex)
  })

  it("refuses a parsed number that has lost digits", () => {
    const entry = signed.get("expires-above-2-53")!
    assert.throws(() => Credential.signingBytes(JSON.parse(entry.oracle_json)), /expires_at/)
  })

  it.each(vectors.rejected_input)("refuses $id", ({ oracle_json }) => {
    assert.isTrue(Result.isFailure(Credential.parseClaims(oracle_json)))
    assert.isFalse(Credential.verify(oracle_json, rootA, new Uint8Array(64)))
  })

  it.each(vectors.signature_mismatch)("$signature_of is no signature of $message_of", (entry) => {
    const { signature_hex } = signed.get(entry.signature_of)!
    const { oracle_json } = signed.get(entry.message_of)!
    assert.isFalse(Credential.verify(oracle_json, publicKeyOf(entry.public_key_of), signature_hex))
  })

  it.each(vectors.canonical_json)("canonical attributes of $input_json", ({ input_json, output_utf8 }) => {
    const json = `{"kind":"producer","endpoint_id":"","root_pubkey":"${rootA}","expires_at":0,"attributes":${input_json}}`
    assert.strictEqual(new TextDecoder().decode(Credential.signingBytes(json).subarray(40)), output_utf8)
  })

  it("keeps the last value of a duplicated key", () => {
    const json = `{"kind":"producer","endpoint_id":"","root_pubkey":"${rootA}","expires_at":0,"attributes":{"a":"1","a":"2"}}`
    assert.strictEqual(new TextDecoder().decode(Credential.signingBytes(json).subarray(40)), '{"a":"2"}')
    assert.deepStrictEqual(Credential.signingBytes(json), new Uint8Array(canonicalSigningBytesFromJson(json)))
  })
})

describe("oracle equality with the native binding of 0.1.2", () => {
  const ranges = [
    [0x00, 0x20],
    [0x20, 0x60],
    [0x7f, 0x42],
    [0x2020, 0x10],
    [0xd7f0, 0x10],
    [0xe000, 0x1fff],
    [0x1f600, 0x40]
  ] as const
  const text = (next: (below: number) => number): string =>
    Array.from({ length: next(12) }, () => {
      const [from, size] = ranges[next(ranges.length)]!
      return String.fromCodePoint(from + next(size))
    }).join("")
  const hex = (next: (below: number) => number): string =>
    Array.from({ length: 64 }, () => "0123456789abcdefABCDEF"[next(22)]!).join("")

  it("agrees on 4 000 random credentials", () => {
    const next = new Random(20_260_101).below
    for (let i = 0; i < 4_000; i++) {
      const attributes = Array.from(
        { length: next(6) },
        () => `${JSON.stringify(text(next))}:${JSON.stringify(text(next))}`
      )
      const expiry = [String(next(2 ** 31)), "0", "18446744073709551615", String(BigInt(next(2 ** 31)) << 32n)][
        next(4)
      ]!
      const fields = [
        `"root_pubkey":"${hex(next)}"`,
        `"expires_at":${expiry}`,
        `"attributes":{${attributes.join(",")}}`,
        ...(next(2) === 0
          ? [`"kind":"producer"`, `"endpoint_id":${JSON.stringify(next(2) === 0 ? hex(next) : text(next))}`]
          : [
              `"kind":"consumer"`,
              `"credential_type":"${next(2) === 0 ? "policy" : "ott"}"`,
              ...(next(3) === 0 ? [] : [`"endpoint_id":${next(2) === 0 ? "null" : JSON.stringify(text(next))}`]),
              ...(next(3) === 0 ? [] : [`"nonce":${next(2) === 0 ? "null" : JSON.stringify(hex(next))}`])
            ])
      ]
      const json = `{${fields.join(",")}}`
      assert.strictEqual(
        Hex.encode(Credential.signingBytes(json)),
        Hex.encode(new Uint8Array(canonicalSigningBytesFromJson(json))),
        json
      )
    }
  })

  it("refuses what it refuses", () => {
    for (const { oracle_json } of vectors.rejected_input) {
      assert.throws(() => canonicalSigningBytesFromJson(oracle_json))
      assert.throws(() => Credential.signingBytes(oracle_json))
    }
  })
})

describe("presented credentials", () => {
  const server = { root: rootA, nowMillis: now }

  /** What stands before the nonce store, for the requests that carry a credential. */
  const expected: Readonly<Record<string, Credential.Denial | "malformed" | "admitted">> = {
    "policy-unbound-admitted": "admitted",
    "policy-bound-right-peer": "admitted",
    "policy-bound-wrong-peer": "OtherEndpoint",
    "ott-first-use": "admitted",
    "ott-replay": "admitted",
    "wrong-root": "ForeignRoot",
    "policy-with-nonce": "Structure",
    "ott-without-nonce": "Structure",
    "empty-credential-closed": "malformed"
  }
  const cases = vectors.consumer_admission.cases.filter(({ id }) => id in expected)

  it.each(cases)("$id", ({ id, peer, request_utf8 }) => {
    const parsed = Credential.parseConsumer(credentialOf(request_utf8))
    const outcome = Result.isFailure(parsed)
      ? "malformed"
      : (Credential.check(parsed.success, { ...server, peer }) ?? "admitted")
    assert.strictEqual(outcome, expected[id])
  })

  it("a producer credential is good for its own node until it expires", () => {
    const producer = vectors.producer_admission.cases.find(({ id }) => id === "accepted")!
    const credential = Result.getOrThrow(Credential.parseProducer(credentialOf(producer.request_utf8)))
    const at = (nowMillis: number) => Credential.check(credential, { root: rootA, nowMillis, peer: producer.peer })
    assert.strictEqual(at(now), undefined)
    assert.strictEqual(at(4_102_444_799_999), undefined)
    assert.strictEqual(at(4_102_444_800_000), "Expired")
  })

  it("reports the first failure of several, in the documented order", () => {
    const parsed = Result.getOrThrow(Credential.parseConsumer(credentialOf(cases[2]!.request_utf8)))
    const spoiled = { ...parsed, signature: "00".repeat(64), expiresAt: 0n }
    assert.strictEqual(Credential.check(spoiled, { ...server, peer: "other" }), "Signature")
  })

  it("writes the JSON it reads, in both forms", () => {
    const key = Result.getOrThrow(RootKey.fromSeed(seedOf("root_a")))
    const consumer = RootKey.signConsumer(key, {
      type: "ott",
      expiresAt: 9_007_199_254_740_993n,
      attributes: new Map([
        ["aster.role", "a,b"],
        ["東京", "ü"]
      ]),
      endpointId: undefined,
      nonce: "ab".repeat(32)
    })
    const wire = Credential.toJson(consumer, "wire")
    assert.notMatch(wire, /\s/)
    assert.deepStrictEqual(Result.getOrThrow(Credential.parseConsumer(wire)), consumer)
    const producer = RootKey.signProducer(key, {
      endpointId: publicKeyOf("node_a"),
      expiresAt: 5n,
      attributes: new Map()
    })
    assert.deepStrictEqual(Result.getOrThrow(Credential.parseProducer(Credential.toJson(producer, "wire"))), producer)
    assert.match(Credential.toJson(producer, "file"), /^\{\n {2}"type": "producer",\n {2}"endpoint_id": .*\n\}\n$/s)
  })
})

describe("weaknesses of 0.1.2 that must not come back", () => {
  it("2: a small-order root key is no key, so roles cannot be forged", () => {
    const zero = new Uint8Array(32)
    assert.isTrue(Result.isFailure(RootPublicKey.fromBytes(zero)))
    // R = identity, S = 0 satisfies the lenient equation for any message whenever the hash times the point vanishes.
    const forged = new Uint8Array(64)
    forged[0] = 1
    const smallOrder = [
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0000000000000000000000000000000000000000000000000000000000000080",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
    ]
    for (const hex of smallOrder) {
      assert.isTrue(Result.isFailure(RootPublicKey.fromHex(hex)), hex)
      for (let i = 0; i < 16; i++) {
        const json = { kind: "producer", endpoint_id: `${i}`, root_pubkey: hex, expires_at: 1, attributes: {} }
        assert.isFalse(Credential.verify(json, hex, forged))
      }
    }
  })

  it("2: a root key with a small-order part is no key", () => {
    const torsion = Point.fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    assert.isTrue(Result.isFailure(RootPublicKey.fromHex(Point.fromHex(rootA).add(torsion).toHex())))
  })

  it("2: wrong-length keys and signatures verify nothing", () => {
    const { oracle_json, signature_hex } = signed.get("producer-role")!
    assert.isFalse(Credential.verify(oracle_json, rootA.slice(2), signature_hex))
    assert.isFalse(Credential.verify(oracle_json, rootA, signature_hex.slice(2)))
    assert.isFalse(Credential.verify(oracle_json, rootA, "zz"))
    assert.isTrue(Result.isFailure(RootPublicKey.fromHex(`${rootA}00`)))
  })

  it("3: a producer credential is worth nothing to another node", () => {
    const stolen = vectors.producer_admission.cases.find(({ id }) => id === "stolen-credential")!
    const credential = Result.getOrThrow(Credential.parseProducer(credentialOf(stolen.request_utf8)))
    assert.strictEqual(
      Credential.check(credential, { root: rootA, nowMillis: now, peer: stolen.peer }),
      "OtherEndpoint"
    )
  })

  it("7: a bound policy credential is bound", () => {
    const { oracle_json, signature_hex } = signed.get("policy-bound")!
    const json = JSON.stringify({ ...JSON.parse(oracle_json), signature: signature_hex })
    const credential = Result.getOrThrow(Credential.parseConsumer(json))
    assert.strictEqual(
      Credential.check(credential, { root: rootA, nowMillis: now, peer: publicKeyOf("node_a") }),
      "OtherEndpoint"
    )
  })

  it("19: attribute values that are not strings are refused", () => {
    for (const value of ["1", "true", "null", "[]", "{}"]) {
      const json = `{"credential_type":"policy","root_pubkey":"${rootA}","expires_at":1,"attributes":{"a":${value}},"signature":"${"0".repeat(128)}"}`
      assert.isTrue(Result.isFailure(Credential.parseConsumer(json)), value)
    }
  })

  it("an empty endpoint id or nonce is malformed, not absent", () => {
    for (const field of ["endpoint_id", "nonce"]) {
      const json = {
        credential_type: "policy",
        root_pubkey: rootA,
        expires_at: 1,
        attributes: {},
        signature: "0".repeat(128),
        [field]: ""
      }
      assert.isTrue(Result.isFailure(Credential.parseConsumer(json)), field)
    }
  })
})

describe("hostile input", () => {
  const base = { credential_type: "policy", root_pubkey: rootA, expires_at: 1, signature: "0".repeat(128) }

  it("is bounded in depth, size, entries and bytes", () => {
    const refused = [
      "[".repeat(100_000),
      "[".repeat(51) + "]".repeat(51),
      `"${"a".repeat(70_000)}"`,
      { ...base, attributes: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])) },
      { ...base, attributes: { ["k".repeat(257)]: "" } },
      { ...base, attributes: { k: "é".repeat(2_049) } },
      { ...base, attributes: { a: "x".repeat(4_000), b: "x".repeat(4_000), c: "x".repeat(200) } }
    ]
    for (const input of refused) assert.isTrue(Result.isFailure(Credential.parseConsumer(input)))
    assert.isTrue(Result.isSuccess(Credential.parseConsumer({ ...base, attributes: { k: "é".repeat(2_048) } })))
  })

  it.prop(
    "any text or value is an answer, never an exception",
    { text: Arbitrary.schema(Schema.String), json: Arbitrary.schema(Schema.Json) },
    ({ json, text }) => {
      for (const input of [text, json, JSON.stringify(json)]) {
        assert.isTrue(Result.isFailure(Credential.parseConsumer(input)))
        assert.isFalse(Credential.verify(input, rootA, new Uint8Array(64)))
      }
    }
  )
})
