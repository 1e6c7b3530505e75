/** Gossip on the node of a server and of its consumers, on a network in memory. */
import * as Role from "@aster-effect/admission/Role"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { consume, dial, issue, memoryNode, scenario, serve } from "../admission/Deployment.ts"
import { collect, text } from "../iroh-gossip/Members.ts"

const topicId = TopicId.fromName("prices")

const enrolled = Effect.fnUntraced(function* (server: { readonly address: string }) {
  const own = yield* memoryNode()
  const consumer = yield* consume(own, server, { credential: yield* issue({ to: own }) })
  return { own, consumer }
})

/** Gives others their turn until something is so. */
const settles = (condition: () => boolean, what: string) =>
  Effect.gen(function* () {
    for (let i = 0; !condition(); i++) {
      if (i === 10_000) assert.fail(`in vain: ${what}`)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
  })

describe("a producer's gossip", () => {
  scenario("reaches its consumers, and theirs reaches it and each other", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const topic = yield* server.gossip.subscribe(topicId)
      const heard = yield* collect(topic)
      const consumers = yield* Effect.all([enrolled(server), enrolled(server)])
      const theirs = yield* Effect.forEach(consumers, ({ consumer }) => consumer.gossip.subscribe(topicId))
      const texts = yield* Effect.forEach(theirs, collect)
      yield* Effect.all(theirs.map(({ joined }) => joined))
      yield* settles(() => Effect.runSync(topic.neighbors.get).length === 2, "both are neighbours")
      yield* topic.broadcast(text("from the producer"))
      yield* theirs[0]!.broadcast(text("from a consumer"))
      yield* settles(() => heard.length === 1 && texts[1]!.length === 2 && texts[0]!.length === 1, "all hear all")
      assert.sameMembers(texts[1]!, ["from the producer", "from a consumer"])
    })
  )
})

describe("the gate stands before gossip", () => {
  scenario("who is not admitted is closed out with 403", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const topic = yield* server.gossip.subscribe(topicId)
      const connection = yield* dial(yield* memoryNode(), server, GossipProtocol.ALPN)
      assert.deepStrictEqual(yield* connection.closed, { _tag: "Peer", code: 403, reason: "not admitted" })
      assert.deepStrictEqual(yield* topic.neighbors.get, [])
    })
  )

  scenario("an admission that ends takes its peer out of the swarm", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const topic = yield* server.gossip.subscribe(topicId)
      const { consumer, own } = yield* enrolled(server)
      const theirs = yield* consumer.gossip.subscribe(topicId)
      yield* Effect.all([topic.joined, theirs.joined])
      yield* server.admittedPeers.revoke(own.endpointId)
      const down = yield* topic.events.pipe(
        Stream.filter((event) => event._tag === "NeighborDown"),
        Stream.take(1),
        Stream.runCollect
      )
      assert.deepStrictEqual(
        down.map(({ peer, reason }) => [peer, reason]),
        [[own.endpointId, "lost"]]
      )
      assert.deepStrictEqual(yield* topic.neighbors.get, [])
    })
  )

  scenario("who lacks the role takes no part", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { gossip: { requires: Role.role("trader") } })
      yield* server.gossip.subscribe(topicId)
      const { own } = yield* enrolled(server)
      const connection = yield* dial(own, server, GossipProtocol.ALPN)
      assert.deepStrictEqual(yield* connection.closed, { _tag: "Peer", code: 403, reason: "not permitted" })
    })
  )

  scenario("draining says goodbye", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const topic = yield* server.gossip.subscribe(topicId)
      const { consumer } = yield* enrolled(server)
      const theirs = yield* consumer.gossip.subscribe(topicId)
      yield* Effect.all([topic.joined, theirs.joined])
      yield* Effect.forkChild(server.drain)
      const down = yield* theirs.events.pipe(
        Stream.filter((event) => event._tag === "NeighborDown"),
        Stream.take(1),
        Stream.runCollect
      )
      assert.strictEqual(down[0]!.reason, "left")
    })
  )
})
