import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as AddrInfo from "@aster-effect/iroh-gossip/AddrInfo"
import * as Message from "@aster-effect/iroh-gossip/Message"
import * as MessageId from "../../packages/iroh-gossip/src/proto/MessageId.ts"
import { hex, steps, unhex, vectors } from "./Vectors.ts"

const octet = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const between = (minLength: number, maxLength: number) =>
  Arbitrary.map(Arbitrary.array(octet, { minLength, maxLength }), (octets) => Uint8Array.from(octets))
const bytes = (length: number) => between(length, length)
const upTo = (most: number) => between(0, most)
const u16 = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 })))
const bool = Arbitrary.schema(Schema.Boolean)
const data = Arbitrary.flatMap(bool, (some) => Arbitrary.map(upTo(200), (data) => (some ? data : undefined)))
const endpointId = Arbitrary.map(bytes(32), EndpointId.fromBytes)
const messageId = Arbitrary.map(bytes(32), MessageId.fromBytes)
const peer = Arbitrary.flatMap(endpointId, (id) => Arbitrary.map(data, (data): Message.PeerInfo => ({ id, data })))
const peers = Arbitrary.array(peer, { maxLength: 12 })

const kinds: ReadonlyArray<Arbitrary.Arbitrary<Message.Message>> = [
  Arbitrary.map(data, (data) => ({ _tag: "Join", data })),
  Arbitrary.flatMap(peer, (peer) => Arbitrary.map(u16, (ttl) => ({ _tag: "ForwardJoin", peer, ttl }))),
  Arbitrary.flatMap(endpointId, (origin) =>
    Arbitrary.flatMap(peers, (nodes) => Arbitrary.map(u16, (ttl) => ({ _tag: "Shuffle", origin, nodes, ttl })))
  ),
  Arbitrary.map(peers, (nodes) => ({ _tag: "ShuffleReply", nodes })),
  Arbitrary.flatMap(bool, (high) =>
    Arbitrary.map(data, (data) => ({ _tag: "Neighbor", priority: high ? "High" : "Low", data }))
  ),
  Arbitrary.map(bool, (alive) => ({ _tag: "Disconnect", alive })),
  Arbitrary.flatMap(upTo(2000), (content) =>
    Arbitrary.flatMap(bool, (swarm) =>
      Arbitrary.map(u16, (round) => ({
        _tag: "Gossip",
        id: MessageId.of(content),
        content,
        scope: swarm ? { _tag: "Swarm", round } : Message.NEIGHBORS
      }))
    )
  ),
  Arbitrary.map(bool, () => Message.PRUNE),
  Arbitrary.flatMap(messageId, (id) =>
    Arbitrary.flatMap(bool, (some) =>
      Arbitrary.map(u16, (round) => ({ _tag: "Graft", id: some ? id : undefined, round }))
    )
  ),
  Arbitrary.map(
    Arbitrary.array(
      Arbitrary.flatMap(messageId, (id) => Arbitrary.map(u16, (round) => ({ id, round }))),
      { maxLength: 20 }
    ),
    (announcements) => ({ _tag: "IHave", announcements })
  )
]
const message = Arbitrary.flatMap(
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: kinds.length - 1 }))),
  (kind) => kinds[kind]!
)

describe("Message", () => {
  it("is written as the reference writes it", () => {
    for (const { name, payload } of vectors.encodings) {
      const decoded = Message.decode(unhex(payload))
      assert.strictEqual(hex(Message.encode(decoded)), payload, name)
    }
  })

  it("every message that was seen on the wire is read, and written alike", () => {
    const seen = new Map<string, number>()
    for (const { kind, note, payload } of steps) {
      if (kind !== "message" || payload === undefined) continue
      const message = Message.decode(unhex(payload))
      seen.set(message._tag, (seen.get(message._tag) ?? 0) + 1)
      assert.strictEqual(hex(Message.encode(message)), payload, note)
    }
    for (const kind of [
      "Join",
      "Neighbor",
      "Shuffle",
      "ShuffleReply",
      "Disconnect",
      "Gossip",
      "Prune",
      "Graft",
      "IHave"
    ])
      assert.isAbove(seen.get(kind) ?? 0, 0, kind)
  })

  it("fields are what they were recorded as", () => {
    const payloads = new Map(vectors.encodings.map(({ name, payload }) => [name, payload]))
    const decode = (name: string) => Message.decode(unhex(payloads.get(name)!))
    assert.deepStrictEqual(decode("Disconnect alive"), { _tag: "Disconnect", alive: true })
    assert.deepStrictEqual(decode("Neighbor Low without data"), { _tag: "Neighbor", priority: "Low", data: undefined })
    const forward = decode("ForwardJoin without data ttl 300")
    assert.isTrue(forward._tag === "ForwardJoin" && forward.ttl === 300 && forward.peer.data === undefined)
    const gossip = decode("Gossip swarm round 200")
    assert.isTrue(gossip._tag === "Gossip" && gossip.scope._tag === "Swarm" && gossip.scope.round === 200)
    assert.isTrue(gossip._tag === "Gossip" && new TextDecoder().decode(gossip.content) === "hello from js")
  })

  it("is named by the hash of its content", () => {
    for (const { content, id } of vectors.messageIds)
      assert.strictEqual(hex(MessageId.toBytes(MessageId.of(unhex(content)))), id)
  })

  it("the longest content fills a frame of the default size", () => {
    const content = new Uint8Array(Message.contentIn(4095))
    assert.strictEqual(content.length, 4057)
    const of = (round: number) =>
      Message.encode({ _tag: "Gossip", id: MessageId.of(content), content, scope: { _tag: "Swarm", round } }).length
    assert.deepStrictEqual([of(0), of(127)], [4095, 4095])
  })

  it("as many announcements fit as are put in a message", () => {
    const count = Message.announcementsIn(4095)
    assert.isAtMost(count, 116)
    const announcements = Array.from({ length: count }, () => ({ id: MessageId.of(new Uint8Array(0)), round: 65_535 }))
    assert.isAtMost(Message.encode({ _tag: "IHave", announcements }).length, 4095)
  })

  it.effect.prop("comes back as it was", { message }, ({ message }) =>
    Effect.sync(() => assert.deepStrictEqual(Message.decode(Message.encode(message)), message))
  )

  it.effect.prop("cut short anywhere it is malformed, with something after it it is read", { message }, ({ message }) =>
    Effect.sync(() => {
      const encoded = Message.encode(message)
      for (let length = 0; length < encoded.length; length += Math.max(1, encoded.length >> 5))
        assert.throws(() => Message.decode(encoded.subarray(0, length)), Malformed)
      assert.deepStrictEqual(Message.decode(Buffer.concat([encoded, Uint8Array.of(1, 2, 3)])), message)
    })
  )

  it.effect.prop("of any bytes nothing but a message or an error comes", { noise: upTo(300) }, ({ noise }) =>
    Effect.sync(() => {
      try {
        Message.decode(noise)
      } catch (error) {
        assert.instanceOf(error, Malformed)
      }
    })
  )
})

describe("AddrInfo", () => {
  it("is read and written as recorded", () => {
    for (const { decoded, hex: recorded } of vectors.peerData) {
      const info = AddrInfo.decode(unhex(recorded))
      assert.deepStrictEqual(info.directAddresses, decoded?.addrs ?? [])
      assert.isUndefined(info.relayUrl)
      if (recorded !== "") assert.strictEqual(hex(AddrInfo.encode(info)), recorded)
    }
  })

  it("IPv4 comes first, in order and once, and a relay is kept", () => {
    const info = AddrInfo.decode(
      AddrInfo.encode({
        relayUrl: "https://relay.example.org/",
        directAddresses: ["[2001:db8::1]:5", "192.0.2.7:9", "192.0.2.7:8", "192.0.2.7:9", "nonsense"]
      })
    )
    assert.deepStrictEqual(info, {
      relayUrl: "https://relay.example.org/",
      directAddresses: ["192.0.2.7:8", "192.0.2.7:9", "[2001:db8::1]:5"]
    })
  })

  it("of many addresses only the first are kept, and nonsense is malformed", () => {
    const directAddresses = Array.from({ length: 500 }, (_, i) => `192.0.2.1:${i + 1}`)
    assert.lengthOf(AddrInfo.decode(AddrInfo.encode({ directAddresses })).directAddresses, 32)
    for (const bad of ["02", "00ff", "000102", "0001007f000001ffff07", "0102ffff00", `01ac02${"61".repeat(300)}00`])
      assert.throws(() => AddrInfo.decode(unhex(bad)), Malformed, undefined, bad)
  })
})
