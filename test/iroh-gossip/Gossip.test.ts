import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import type * as EndpointId from "@aster-effect/iroh/EndpointId"
import { ConnectionGate } from "@aster-effect/iroh/ConnectionGate"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { MessageTooLarge, TopicClosed } from "@aster-effect/iroh-gossip/GossipError"
import type { TopicEvent } from "@aster-effect/iroh-gossip/Topic"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { collect, eventually, memoryMember, text, until } from "./Members.ts"

const topicId = TopicId.fromName("test")

const test = (title: string, body: () => Effect.Effect<void, unknown, Scope.Scope | MemoryNetwork>) =>
  it.live(title, () => Effect.provide(Effect.scoped(body()), MemoryNetwork.layer()))

/** Everything that happens to a topic, as it comes. */
const eventsOf = Effect.fnUntraced(function* (stream: Stream.Stream<TopicEvent>) {
  const events: Array<TopicEvent> = []
  yield* stream.pipe(
    Stream.runForEach((event) => Effect.sync(() => events.push(event))),
    Effect.forkScoped({ startImmediately: true })
  )
  return events
})

/** `count` members of one topic; all but the first join at it. */
const swarm = Effect.fnUntraced(function* (count: number) {
  const first = yield* memoryMember()
  const members = [first]
  for (let i = 1; i < count; i++) members.push(yield* memoryMember())
  const topics = yield* Effect.forEach(members, ({ gossip }, i) =>
    gossip.subscribe(topicId, { bootstrap: i === 0 ? [] : [first.addr] })
  )
  yield* Effect.all(
    topics.map(({ joined }) => joined),
    { concurrency: "unbounded" }
  )
  return { members, topics }
})

describe("Gossip", () => {
  test("what one says reaches all others, and not itself", () =>
    Effect.gen(function* () {
      const { topics } = yield* swarm(12)
      const heard = yield* Effect.forEach(topics, collect)
      // Whoever joins may put another out, which is alone until it has found its way back, and hears nothing meanwhile. So
      // all speak again until the swarm has come to rest.
      const speak = Effect.fnUntraced(function* (round: number) {
        for (const [i, topic] of topics.entries()) yield* topic.broadcast(text(`${round} from ${i}`))
        const all = () => heard.every((texts) => texts.filter((each) => each.startsWith(`${round} `)).length >= 11)
        return yield* Effect.timeoutOption(until(all, "all hear all"), "3 seconds")
      })
      let rounds = 0
      while (Option.isNone(yield* speak(rounds++))) assert.isBelow(rounds, 20, "all hear all")
      yield* Effect.sleep(100)
      for (const [i, texts] of heard.entries()) {
        assert.lengthOf(
          texts.filter((each) => each.startsWith(`${rounds - 1} `)),
          11
        )
        assert.lengthOf(texts, new Set(texts).size)
        for (let round = 0; round < rounds; round++) assert.notInclude(texts, `${round} from ${i}`)
      }
    }))

  test("what was said stays, whatever its memory is used for next", () =>
    Effect.gen(function* () {
      const { topics } = yield* swarm(2)
      const heard = yield* collect(topics[1]!)
      const room = Buffer.from("first")
      yield* topics[0]!.broadcast(room)
      room.write("other")
      yield* until(() => heard.length >= 1, "it comes")
      assert.deepStrictEqual(heard, ["first"])
    }))

  test("the first reader hears what was said before it came", () =>
    Effect.gen(function* () {
      const { topics } = yield* swarm(2)
      yield* topics[0]!.broadcast(text("early"))
      yield* eventually(topics[1]!.stats, ({ received }) => received === 1, "it comes")
      const heard = yield* topics[1]!.messages.pipe(Stream.take(1), Stream.runCollect)
      assert.strictEqual(new TextDecoder().decode(heard[0]!.content), "early")
      assert.deepStrictEqual(heard[0]!.scope, { _tag: "Swarm", round: 0 })
    }))

  test("neighbours are told who comes, who leaves, and who vanishes", () =>
    Effect.gen(function* () {
      const a = yield* memoryMember()
      const topic = yield* a.gossip.subscribe(topicId)
      const events = yield* eventsOf(topic.events)
      const scope = yield* Scope.make()
      const b = yield* memoryMember()
      yield* Scope.provide(b.gossip.subscribe(topicId, { bootstrap: [a.addr] }), scope)
      yield* topic.joined
      assert.deepStrictEqual(yield* topic.neighbors.get, [b.node.endpointId])
      yield* Scope.close(scope, Exit.void)
      yield* until(() => events.some(({ _tag }) => _tag === "NeighborDown"), "it is down")
      assert.deepStrictEqual(yield* topic.neighbors.get, [])
      const c = yield* memoryMember()
      yield* c.gossip.subscribe(topicId, { bootstrap: [a.addr] })
      yield* topic.joined
      yield* c.node.close
      yield* until(() => events.filter(({ _tag }) => _tag === "NeighborDown").length === 2, "it is down")
      assert.deepStrictEqual(
        events.flatMap((event) => (event._tag === "NeighborDown" ? [[event.peer, event.reason]] : [])),
        [
          [b.node.endpointId, "left"],
          // A node that is closed in an orderly manner says goodbye if there is time, else its connection ends.
          [c.node.endpointId, "lost"]
        ]
      )
    }))

  test("two subscriptions share a membership; the last one leaves", () =>
    Effect.gen(function* () {
      const { members, topics } = yield* swarm(2)
      const scope = yield* Scope.make()
      const second = yield* Scope.provide(members[1]!.gossip.subscribe(topicId), scope)
      const [event] = yield* second.events.pipe(Stream.take(1), Stream.runCollect)
      assert.isTrue(event?._tag === "NeighborUp" && event.peer === members[0]!.node.endpointId)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* members[1]!.gossip.topics, [topicId])
      const heard = yield* collect(topics[1]!)
      yield* topics[0]!.broadcast(text("still here"))
      yield* until(() => heard.length === 1, "it comes")
    }))

  test("after it was left, a topic ends its streams and takes nothing", () =>
    Effect.gen(function* () {
      const { gossip } = yield* memoryMember()
      const scope = yield* Scope.make()
      const topic = yield* Scope.provide(gossip.subscribe(topicId), scope)
      const reading = yield* Effect.forkChild(
        Effect.all(
          [Stream.runDrain(topic.messages), Stream.runDrain(topic.events), Stream.runDrain(topic.neighbors.changes)],
          {
            concurrency: "unbounded"
          }
        ),
        { startImmediately: true }
      )
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(reading)
      assert.instanceOf(yield* Effect.flip(topic.broadcast(text("x"))), TopicClosed)
      assert.instanceOf(yield* Effect.flip(topic.join([])), TopicClosed)
      assert.deepStrictEqual(yield* gossip.topics, [])
    }))

  test("contents up to the limit travel, one byte more is an error here and now", () =>
    Effect.gen(function* () {
      const { topics } = yield* swarm(3)
      const [topic] = topics
      assert.strictEqual(topic!.maxContent, 4057)
      const reading = yield* Effect.forkChild(topics[2]!.messages.pipe(Stream.take(1), Stream.runCollect))
      yield* topic!.broadcast(new Uint8Array(4057).fill(7))
      assert.strictEqual((yield* Fiber.join(reading))[0]!.content.length, 4057)
      const error = yield* Effect.flip(topic!.broadcast(new Uint8Array(4058)))
      assert.instanceOf(error, MessageTooLarge)
      assert.include(error.message, "4057")
    }))

  test("a reader that falls behind is told how much it missed; another misses nothing", () =>
    Effect.gen(function* () {
      const a = yield* memoryMember()
      const b = yield* memoryMember()
      const topic = yield* a.gossip.subscribe(topicId, { capacity: 100 })
      const other = yield* b.gossip.subscribe(topicId, { bootstrap: [a.addr] })
      yield* Effect.all([topic.joined, other.joined])
      const quick = yield* collect(topic)
      const slow: Array<readonly [number, number]> = []
      yield* topic.messages.pipe(
        Stream.rechunk(1),
        Stream.runForEach(({ content, missed }) =>
          Effect.andThen(
            Effect.sync(() => slow.push([Number(new TextDecoder().decode(content)), missed])),
            slow.length === 1 ? until(() => quick.length === 1000, "the other has all") : Effect.void
          )
        ),
        Effect.forkScoped({ startImmediately: true })
      )
      for (let i = 0; i < 1000; i++) yield* other.broadcast(text(`${i}`))
      yield* until(() => slow.at(-1)?.[0] === 999, "the slow one has caught up")
      assert.deepStrictEqual(
        quick,
        Array.from({ length: 1000 }, (_, i) => `${i}`)
      )
      let expected = 0
      for (const [number, missed] of slow) {
        assert.strictEqual(number, expected + missed)
        expected = number + 1
      }
      const { missed } = yield* topic.stats
      assert.isAbove(missed, 500)
      assert.strictEqual(missed, 1000 - slow.length)
    }))

  test("to neighbours only", () =>
    Effect.gen(function* () {
      const { topics } = yield* swarm(2)
      const reading = yield* Effect.forkChild(topics[0]!.messages.pipe(Stream.take(2), Stream.runCollect))
      yield* topics[1]!.broadcastNeighbors(text("a"))
      yield* topics[1]!.broadcastNeighbors(text("a"))
      assert.deepStrictEqual(
        (yield* Fiber.join(reading)).map(({ scope }) => scope._tag),
        ["Neighbors", "Neighbors"]
      )
    }))

  test("many topics on one connection", () =>
    Effect.gen(function* () {
      const a = yield* memoryMember()
      const b = yield* memoryMember()
      const ids = Array.from({ length: 30 }, (_, i) => TopicId.fromName(`topic ${i}`))
      const ours = yield* Effect.forEach(ids, (id) => a.gossip.subscribe(id))
      const theirs = yield* Effect.forEach(ids, (id) => b.gossip.subscribe(id, { bootstrap: [a.addr] }))
      yield* Effect.all([...ours, ...theirs].map(({ joined }) => joined))
      const heard = yield* Effect.forEach(ours, collect)
      for (const [i, topic] of theirs.entries()) yield* topic.broadcast(text(`${i}`))
      yield* until(() => heard.every((texts) => texts.length === 1), "each hears its own")
      assert.deepStrictEqual(
        heard.flat(),
        ids.map((_, i) => `${i}`)
      )
    }))

  test("a member that cannot be dialled is told of, joining goes on, and ends when it comes back", () =>
    Effect.gen(function* () {
      const secretKey = yield* SecretKey.generate
      const id = SecretKey.toEndpointId(secretKey)
      const b = yield* memoryMember({
        gossip: { dialTimeout: "100 millis", protocol: { membership: { rejoinMin: 100 } } }
      })
      const topic = yield* b.gossip.subscribe(topicId, { bootstrap: [id] })
      const events = yield* eventsOf(topic.events)
      yield* until(() => events.filter(({ _tag }) => _tag === "DialFailed").length > 1, "it is told")
      assert.isTrue(events.some((event) => event._tag === "Rejoining"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.timeout(topic.joined, "10 millis"))))
      const a = yield* memoryMember({ node: { secretKey } })
      yield* a.gossip.subscribe(topicId)
      yield* topic.joined
    }))

  test("a member that crashed and came back under the same key is a neighbour again", () =>
    Effect.gen(function* () {
      const secretKey = yield* SecretKey.generate
      const a = yield* memoryMember()
      const topic = yield* a.gossip.subscribe(topicId)
      const network = yield* MemoryNetwork
      const crashed = yield* memoryMember({ node: { secretKey } })
      const before = yield* crashed.gossip.subscribe(topicId, { bootstrap: [a.addr] })
      yield* Effect.all([topic.joined, before.joined])
      yield* network.lose(crashed.node.endpointId)
      const back = yield* memoryMember({ node: { secretKey } })
      const again = yield* back.gossip.subscribe(topicId, { bootstrap: [a.addr] })
      yield* again.joined
      const heard = yield* collect(topic)
      yield* again.broadcast(text("back"))
      yield* until(() => heard.includes("back"), "it is heard")
    }))

  test("connections that no topic needs are closed", () =>
    Effect.gen(function* () {
      const a = yield* memoryMember({ gossip: { idleTimeout: "1 millis" } })
      const b = yield* memoryMember({ gossip: { idleTimeout: "1 millis" } })
      const connection = yield* b.node.connect(a.addr, "/iroh-gossip/1")
      const reason = yield* Effect.timeout(connection.closed, "1 minute")
      assert.isTrue(reason._tag === "Peer" && reason.code === 0)
    }))

  test("whom the gate denies is neither let in nor dialled", () =>
    Effect.gen(function* () {
      const stranger = yield* memoryMember()
      const guarded = yield* Effect.provideService(memoryMember(), ConnectionGate, {
        admit: (id: EndpointId.EndpointId) => Effect.succeed(id !== stranger.node.endpointId)
      })
      const friend = yield* memoryMember()
      const topic = yield* guarded.gossip.subscribe(topicId, { bootstrap: [stranger.addr] })
      const events = yield* eventsOf(topic.events)
      const outside = yield* stranger.gossip.subscribe(topicId, { bootstrap: [guarded.addr] })
      const inside = yield* friend.gossip.subscribe(topicId, { bootstrap: [guarded.addr] })
      yield* Effect.all([topic.joined, inside.joined])
      yield* until(() => events.some(({ _tag }) => _tag === "DialFailed"), "it is not dialled")
      assert.notInclude(yield* topic.neighbors.get, stranger.node.endpointId)
      assert.deepStrictEqual(yield* outside.neighbors.get, [])
    }))
})
