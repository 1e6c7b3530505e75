import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as SecureRandom from "effect/crypto/SecureRandom"
import { inspect } from "node:util"

// RFC 8032, section 7.1, tests 1 and 2
const known = [
  [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
  ],
  [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
  ]
] as const

/** With both characters in which the alphabets of base64 differ. */
const base64 = Buffer.from(new Uint8Array(32).fill(0xfb)).toString("base64")

describe("SecretKey", () => {
  it("derives the endpoint id", () => {
    for (const [secret, id] of known) assert.strictEqual<string>(SecretKey.toEndpointId(SecretKey.fromHex(secret)), id)
  })

  it("reads base64 and hex to the same key", () => {
    const key = SecretKey.fromHex(known[0][0])
    for (const text of [known[0][0].toUpperCase(), SecretKey.toBase64(key)]) {
      assert.strictEqual(SecretKey.toEndpointId(SecretKey.fromText(text)), SecretKey.toEndpointId(key))
    }
  })

  it.each(["", "AA==", base64.slice(0, -1), `${base64}=`, base64.replaceAll("+", "-"), "zz".repeat(32)])(
    "refuses %j without repeating it",
    (bad) => {
      const result = Result.try(() => SecretKey.fromText(bad))
      assert.isTrue(Result.isFailure(result))
      if (bad.length > 8) assert.notInclude(String(Result.isFailure(result) ? result.failure : ""), bad.slice(0, 8))
    }
  )

  it("is not shown", () => {
    const key = SecretKey.fromHex(known[0][0])
    for (const text of [String(key), JSON.stringify(key), inspect(key)]) assert.notMatch(text, /9d61|157/)
  })

  it("refuses other lengths without quoting them", () => {
    for (const make of [() => SecretKey.fromHex("secret"), () => SecretKey.fromBytes(new Uint8Array(31))]) {
      assert.throws(make, SecretKey.SecretKeyError)
    }
    try {
      SecretKey.fromHex("hunter2")
    } catch (error) {
      assert.notInclude(String(error), "hunter2")
    }
  })

  it("keeps a copy", () => {
    const bytes = new Uint8Array(32).fill(7)
    const key = SecretKey.fromBytes(bytes)
    bytes.fill(0)
    assert.strictEqual(Redacted.value(key)[0], 7)
  })

  it.effect("generates different keys, or those of the random service", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* SecretKey.generate, yield* SecretKey.generate]
      assert.notStrictEqual(SecretKey.toEndpointId(a), SecretKey.toEndpointId(b))
      const fixed = SecureRandom.make((size) => new Uint8Array(size).fill(9))
      const c = yield* Effect.provideService(SecretKey.generate, SecureRandom.SecureRandom, fixed)
      assert.deepStrictEqual(Redacted.value(c), new Uint8Array(32).fill(9))
    })
  )
})

describe("EndpointId", () => {
  it("reads bytes and hex in either case", () => {
    const id = EndpointId.parse("0A".repeat(32))
    assert.strictEqual(id, "0a".repeat(32))
    assert.deepStrictEqual(EndpointId.toBytes(id), new Uint8Array(32).fill(10))
    assert.strictEqual(EndpointId.fromBytes(EndpointId.toBytes(id)), id)
  })

  it("refuses everything else", () => {
    for (const text of ["", "0a".repeat(31), "0a".repeat(33), "zz".repeat(32), `${"0a".repeat(32)}\n`]) {
      assert.throws(() => EndpointId.parse(text), EndpointId.EndpointIdError)
    }
    assert.throws(() => EndpointId.fromBytes(new Uint8Array(33)), EndpointId.EndpointIdError)
  })
})
