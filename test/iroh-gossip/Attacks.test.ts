/** Peers that mean ill, or are broken: what they say does no harm, and costs them their place. */
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import type { StreamError } from "@aster-effect/iroh/BiStream"
import * as Frame from "@aster-effect/iroh-gossip/Frame"
import * as Message from "@aster-effect/iroh-gossip/Message"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as MessageId from "../../packages/iroh-gossip/src/proto/MessageId.ts"
import { collect, eventually, memoryMember, type MemberOptions, text, until } from "./Members.ts"
import { rawPeer } from "./RawPeer.ts"

const topicId = TopicId.fromName("attacked")

const test = (title: string, body: () => Effect.Effect<void, unknown, Scope.Scope | MemoryNetwork>) =>
  it.live(title, () => Effect.provide(Effect.scoped(body()), MemoryNetwork.layer()))

const gossip = (content: string, id = MessageId.of(text(content))): Message.Gossip => ({
  _tag: "Gossip",
  id,
  content: text(content),
  scope: { _tag: "Swarm", round: 0 }
})
const neighbor: Message.Neighbor = { _tag: "Neighbor", priority: "High", data: undefined }

/** A member with an honest neighbour, and a peer that has made itself another one. */
const attacked = Effect.fnUntraced(function* (options: MemberOptions = {}, raw: Parameters<typeof rawPeer>[1] = {}) {
  const member = yield* memoryMember(options)
  const honest = yield* memoryMember()
  const topic = yield* member.gossip.subscribe(topicId)
  const other = yield* honest.gossip.subscribe(topicId, { bootstrap: [member.addr] })
  yield* Effect.all([topic.joined, other.joined])
  const attacker = yield* rawPeer(member.addr, raw)
  const stream = yield* attacker.open(topicId)
  const say = (...messages: ReadonlyArray<Message.Message>): Effect.Effect<void, StreamError> =>
    stream.write(Buffer.concat(messages.map(Frame.encode)))
  yield* say(neighbor, neighbor)
  yield* eventually(topic.neighbors.get, (neighbors) => neighbors.length === 2, "the attacker is a neighbour")
  const heard = yield* collect(topic)
  const works = Effect.gen(function* () {
    yield* other.broadcast(text(`still works ${yield* Effect.sync(() => performance.now())}`))
    const count = heard.length
    yield* until(() => heard.slice(Math.max(0, count - 1)).some((one) => one.startsWith("still works")), "it works")
  })
  return { member, topic, attacker, stream, say, heard, works, other }
})

describe("attacks", () => {
  test("contents under ids of others are not delivered, and do not stand in their way", () =>
    Effect.gen(function* () {
      const { heard, other, say, works } = yield* attacked()
      yield* say(gossip("forged", MessageId.of(text("genuine"))))
      yield* other.broadcast(text("genuine"))
      yield* until(() => heard.includes("genuine"), "the genuine one comes")
      assert.notInclude(heard, "forged")
      yield* works
    }))

  test("what is replayed is delivered once", () =>
    Effect.gen(function* () {
      const { attacker, heard, say, works } = yield* attacked()
      yield* say(...Array.from({ length: 100 }, () => gossip("again and again")))
      yield* until(() => attacker.heard.some(({ _tag }) => _tag === "Prune"), "it is told to stop")
      yield* works
      assert.lengthOf(
        heard.filter((one) => one === "again and again"),
        1
      )
    }))

  for (const [what, bytes] of [
    ["a frame that is too large", [0, 0, 0x10, 1]],
    ["a frame of four gigabytes", [0xff, 0xff, 0xff, 0xff]],
    ["a message of no kind", [0, 0, 0, 2, 0, 99]],
    ["a message that ends early", [0, 0, 0, 3, 1, 0, 7]],
    ["a list longer than its frame", [0, 0, 0, 7, 1, 3, 0xff, 0xff, 0xff, 0xff, 0x0f]]
  ] as const)
    test(`${what} ends its stream and nothing else`, () =>
      Effect.gen(function* () {
        const { attacker, heard, stream, topic, works } = yield* attacked()
        yield* stream.write(Uint8Array.from(bytes))
        const reason = yield* Effect.flip(
          Effect.forever(Effect.andThen(stream.write(Frame.encode(Message.PRUNE)), Effect.sleep(1)))
        )
        assert.deepStrictEqual(
          [reason.reason._tag, "code" in reason.reason && reason.reason.code],
          ["StreamStopped", 0]
        )
        assert.strictEqual((yield* topic.stats).malformed, 1)
        // The next stream is heard.
        const next = yield* attacker.open(topicId)
        yield* next.write(Frame.encode(gossip("on a new stream")))
        yield* until(() => heard.includes("on a new stream"), "it is heard")
        yield* works
      }))

  test("streams that say nothing, and topics that nobody is in, are nobody's business", () =>
    Effect.gen(function* () {
      const { attacker, heard, works } = yield* attacked()
      for (let i = 0; i < 40; i++) yield* Effect.flatMap(attacker.connection.openUni, (s) => s.write(Uint8Array.of(0)))
      const elsewhere = yield* attacker.open(TopicId.fromName("another"))
      yield* elsewhere.write(Buffer.concat(Array.from({ length: 1000 }, (_, i) => Frame.encode(gossip(`${i}`)))))
      yield* works
      assert.isTrue(heard.every((one) => one.startsWith("still works")))
    }))

  test("more than 64 streams at a time are stopped", () =>
    Effect.gen(function* () {
      const { attacker, works } = yield* attacked()
      const streams = yield* Effect.forEach(Array.from({ length: 90 }), () => attacker.open(topicId))
      const ends = yield* Effect.forEach(streams, (s) =>
        Effect.exit(Effect.andThen(Effect.sleep(5), s.write(Frame.encode(Message.PRUNE))))
      )
      assert.isAtLeast(ends.filter(({ _tag }) => _tag === "Failure").length, 20)
      yield* works
    }))

  test("a flood is cut down, and who does not stop is shut out", () =>
    Effect.gen(function* () {
      const { attacker, member, say, topic, works } = yield* attacked({ gossip: { maxMessageRate: 200 } })
      const dropped: Array<string> = []
      yield* topic.events.pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => event._tag === "PeerDropped" && dropped.push(`${event.peer} ${event.cause}`))
        ),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* Effect.ignore(
        Effect.forever(say(...Array.from({ length: 50 }, (_, i) => gossip(`flood ${performance.now()} ${i}`))))
      )
      const reason = yield* attacker.connection.closed
      assert.isTrue(reason._tag === "Peer" && reason.code === 429)
      assert.deepStrictEqual(dropped, [`${attacker.node.endpointId} sends more than it may`])
      const { excess, received } = yield* topic.stats
      assert.isAtMost(received, 450)
      assert.isAtLeast(excess, 400)
      // Nor may it come back at once.
      const again = yield* attacker.node.connect(member.addr, "/iroh-gossip/1")
      const closed = yield* again.closed
      assert.isTrue(closed._tag === "Peer" && closed.code === 429)
      yield* works
    }))

  test("names without end lead to few dials and little memory", () =>
    Effect.gen(function* () {
      const { member, say, topic, works } = yield* attacked({ gossip: { dialTimeout: "50 millis" } })
      let dials = 0
      yield* topic.events.pipe(
        Stream.runForEach((event) => Effect.sync(() => event._tag === "DialFailed" && dials++)),
        Effect.forkScoped({ startImmediately: true })
      )
      for (let i = 0; i < 30; i++)
        yield* say(
          ...Array.from({ length: 10 }, (_, j): Message.ForwardJoin => {
            const id = EndpointId.fromBytes(MessageId.toBytes(MessageId.of(text(`${i} ${j}`))))
            return { _tag: "ForwardJoin", peer: { id, data: new Uint8Array(400) }, ttl: 0 }
          })
        )
      yield* works
      yield* Effect.sleep(300)
      assert.isAtMost(dials, 150)
      assert.isAtMost((yield* topic.stats).known, 30)
      assert.isAtMost(member.book.size(), 1, "only the honest one can be reached")
    }))

  test("announcements of what is never sent are not listened to for long", () =>
    Effect.gen(function* () {
      const { attacker, say, works } = yield* attacked({
        gossip: { protocol: { broadcast: { graftTimeout: 1, graftRetry: 1, graftRepeat: 1, maxBroken: 100 } } }
      })
      const announce = (round: number) =>
        say({
          _tag: "IHave",
          announcements: Array.from({ length: 50 }, (_, i) => ({ id: MessageId.of(text(`${round} ${i}`)), round: 0 }))
        })
      for (let round = 0; round < 100; round++) yield* Effect.andThen(announce(round), Effect.sleep(5))
      yield* works
      const grafts = attacker.heard.filter(({ _tag }) => _tag === "Graft").length
      assert.isAtLeast(grafts, 100)
      assert.isAtMost(grafts, 3000, "of 15,000 that a peer of trust would be asked for")
      yield* announce(1000)
      yield* Effect.sleep(100)
      assert.strictEqual(attacker.heard.filter(({ _tag }) => _tag === "Graft").length, grafts)
    }))

  test("asking for one content over and over is answered three times", () =>
    Effect.gen(function* () {
      const { attacker, other, say, works } = yield* attacked()
      yield* other.broadcast(text("wanted"))
      yield* until(() => attacker.heard.some(({ _tag }) => _tag === "Gossip"), "it comes by itself")
      const before = attacker.heard.filter(({ _tag }) => _tag === "Gossip").length
      const graft: Message.Graft = { _tag: "Graft", id: MessageId.of(text("wanted")), round: 0 }
      yield* say(...Array.from({ length: 500 }, () => graft))
      yield* works
      yield* Effect.sleep(100)
      const wanted = attacker.heard.filter((one) => one._tag === "Gossip" && one.id === graft.id)
      assert.isAtMost(wanted.length - before, 3)
    }))

  test("a peer that takes nothing holds up nobody", () =>
    Effect.gen(function* () {
      const { heard, other, topic } = yield* attacked({ gossip: { maxQueued: 20_000 } }, { deaf: true })
      for (let i = 0; i < 200; i++) yield* other.broadcast(text(`${i}`.padEnd(2000)))
      yield* until(() => heard.length === 200, "all come")
      const others = yield* collect(other)
      for (let i = 0; i < 200; i++) yield* topic.broadcast(text(`mine ${i}`.padEnd(2000)))
      yield* until(() => others.length === 200, "all go")
      const { missed, unsent } = yield* topic.stats
      assert.strictEqual(missed, 0)
      assert.isAbove(unsent, 100)
    }))

  test("a peer that takes nothing for too long loses its connection, and what was for it is counted", () =>
    Effect.gen(function* () {
      const { attacker, topic, works } = yield* attacked({ gossip: { writeTimeout: 200 } }, { deaf: true })
      for (let i = 0; i < 100; i++) yield* topic.broadcast(text(`mine ${i}`.padEnd(2000)))
      const reason = yield* attacker.connection.closed
      assert.deepStrictEqual(reason, { _tag: "Peer", code: 0, reason: "takes nothing" })
      yield* eventually(topic.neighbors.get, (neighbors) => neighbors.length === 1, "it is no neighbour")
      assert.isAbove((yield* topic.stats).unsent, 50)
      yield* works
    }))
})
