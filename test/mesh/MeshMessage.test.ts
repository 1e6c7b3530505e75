import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as MeshMessage from "@aster-effect/mesh/MeshMessage"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import { enrol, keyA, keyB } from "../admission/Deployment.ts"
import vectors from "./vectors/producer-message.json" with { type: "json" }

const utf8 = (text: string) => new TextEncoder().encode(text)
const me = SecretKey.toEndpointId(keyA)
const sign = SecretKey.signer(keyA)
const lease: MeshMessage.Body = {
  _tag: "LeaseUpdate",
  service: "Hello",
  version: 2,
  contractId: "cd".repeat(32),
  health: "ready",
  addressing: {}
}

describe("MeshMessage", () => {
  it.each(vectors.producer_message)("type $type at $epoch_ms, as release 0.1.2 signs and writes it", (vector) => {
    const message = MeshMessage.decode(utf8(vector.wire_utf8))!
    assert.strictEqual(Hex.encode(MeshMessage.signingBytes(message)), vector.signing_bytes_hex)
    assert.isTrue(MeshMessage.isSigned(message))
    const body = MeshMessage.bodyOf(message)
    assert.isObject(body)
    const key = vector.key === "node_a" ? keyA : keyB
    const again = MeshMessage.make(
      body as MeshMessage.Body,
      EndpointId.parse(vector.sender),
      vector.epoch_ms,
      SecretKey.signer(key)
    )
    assert.strictEqual(new TextDecoder().decode(MeshMessage.encode(again)), vector.wire_utf8)
  })

  it.effect("what is said comes back", () =>
    Effect.gen(function* () {
      const bodies: ReadonlyArray<MeshMessage.Body> = [
        { _tag: "Introduce", grant: utf8("grant") },
        { _tag: "Depart", reason: "" },
        { _tag: "ContractPublished", service: "Ä", version: 0, collectionHash: "ab".repeat(32) },
        { ...lease, addressing: { address: "x", "": "y" } },
        { _tag: "Credential", credential: yield* enrol({ endpointId: me }, { role: "producer" }), asks: false },
        { _tag: "Credential", credential: yield* enrol({ endpointId: me }), asks: true },
        { _tag: "Rotated", removed: [me, SecretKey.toEndpointId(keyB)] }
      ]
      for (const body of bodies) {
        const message = MeshMessage.make(body, me, 1_700_000_000_000, sign)
        const read = MeshMessage.decode(MeshMessage.encode(message))!
        assert.isTrue(MeshMessage.isSigned(read))
        assert.deepStrictEqual(MeshMessage.bodyOf(read), body)
      }
    })
  )

  it("every byte that is signed counts", () => {
    const message = MeshMessage.make(lease, me, 1_700_000_000_000, sign)
    const changed: ReadonlyArray<Partial<MeshMessage.MeshMessage>> = [
      { type: 3 },
      { payload: message.payload.slice(1) },
      { sender: SecretKey.toEndpointId(keyB) },
      { epochMs: message.epochMs + 1 },
      { signature: message.signature.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) }
    ]
    for (const change of changed) assert.isFalse(MeshMessage.isSigned({ ...message, ...change }))
  })

  it("payloads end at 1,895 bytes, so that the broadcast fits in a frame", () => {
    const said = (length: number) =>
      MeshMessage.make({ _tag: "Introduce", grant: new Uint8Array(length) }, me, 1_700_000_000_000, sign)
    assert.strictEqual(MeshMessage.maxPayload(1), 1895)
    assert.strictEqual(MeshMessage.maxPayload(128), 1894)
    assert.strictEqual(MeshMessage.encode(said(1895)).length, 4057)
    assert.throws(() => said(1896), /1895 bytes, not 1896/)
    const removed = Array.from({ length: MeshMessage.MAX_REMOVED }, () => me)
    assert.isAtMost(MeshMessage.encode(MeshMessage.make({ _tag: "Rotated", removed }, me, 1, sign)).length, 4057)
  })

  const wire = JSON.parse(vectors.producer_message[4]!.wire_utf8) as Record<string, unknown>
  it.each([
    ["no JSON", "{"],
    ["no object", "[]"],
    ["not UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d)],
    ["too long", JSON.stringify({ ...wire, more: "x".repeat(4000) })],
    ["nested", "[".repeat(4000)],
    ["no type", { type: undefined }],
    ["a fraction as type", { type: 1.5 }],
    ["a type of two bytes", { type: 256 }],
    ["a payload that is no hex", { payload: "0g" }],
    ["half a byte", { payload: "0" }],
    ["a sender in capitals", { sender: String(wire["sender"]).toUpperCase() }],
    ["a short sender", { sender: "ab" }],
    ["a time before 1970", { epoch_ms: -1 }],
    ["a time beyond 2^53", { epoch_ms: 2 ** 53 }],
    ["a time in text", { epoch_ms: "1700000000000" }],
    ["a short signature", { signature: "ab" }]
  ])("%s is no message", (_what, input) => {
    const bytes =
      input instanceof Uint8Array
        ? input
        : utf8(typeof input === "string" ? input : JSON.stringify({ ...wire, ...input }))
    assert.isUndefined(MeshMessage.decode(bytes))
  })

  it("keys that nobody knows are ignored, and so are types", () => {
    const read = MeshMessage.decode(utf8(JSON.stringify({ ...wire, type: 77, more: 1 })))!
    assert.strictEqual(read.type, 77)
    assert.isUndefined(MeshMessage.bodyOf(read))
  })

  const json = { service_name: "Hello", version: 2, contract_id: "cd".repeat(32), health_status: "ready" }
  it.each([
    [4, { ...json, service_name: "../x" }],
    [4, { ...json, service_name: "" }],
    [4, { ...json, service_name: "x".repeat(257) }],
    [4, { ...json, service_name: "a\nb" }],
    [4, { ...json, version: 1.5 }],
    [4, { ...json, contract_id: "../../etc" }],
    [4, { ...json, health_status: 1 }],
    [4, { ...json, addressing_info: { a: 1 } }],
    [4, { ...json, addressing_info: [] }],
    [3, { ...json, contract_collection_hash: "AB".repeat(32) }],
    [3, {}],
    [128, { endpoint_id: me }],
    [129, { removed: ["x"] }],
    [129, { removed: Array.from({ length: 25 }, () => me) }]
  ])("a payload of type %s that is not of that type: %o", (type, payload) => {
    const message = MeshMessage.decode(
      utf8(JSON.stringify({ ...wire, type, payload: Hex.encode(utf8(JSON.stringify(payload))) }))
    )!
    assert.strictEqual(MeshMessage.bodyOf(message), "malformed")
  })

  it("a lease without addresses, and a goodbye without a reason, are read as such", () => {
    const of = (type: number, text: string) =>
      MeshMessage.bodyOf({ type, payload: utf8(text), sender: me, epochMs: 0, signature: new Uint8Array(64) })
    assert.deepStrictEqual(of(4, JSON.stringify(json)), { ...lease })
    assert.deepStrictEqual(of(2, "{]"), { _tag: "Depart", reason: "" })
    assert.strictEqual(of(1, ""), "malformed")
  })
})
