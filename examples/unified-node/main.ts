/**
 * A node on loopback with gossip, blobs and documents, told what to do by JSON lines on standard input, with the commands of the Rust
 * peer of the tests (test/peers/iroh-rs/README.md) where they mean the same. The end of the input is the shutdown.
 */
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { AddressBook } from "@aster-effect/iroh-gossip/AddressBook"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import type { Received, Topic, TopicEvent } from "@aster-effect/iroh-gossip/Topic"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { Docs } from "@aster-effect/iroh-docs/Docs"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Router from "@aster-effect/iroh/Router"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { documentCommands } from "./Documents.ts"
import { addressOf, bytesOf, need, Request, show } from "./Arguments.ts"

const { values } = parseArgs({ options: { secret: { type: "string" }, store: { type: "string" } } })

const print = (line: object) => Console.log(JSON.stringify(line))

/** A topic that was subscribed to, and what came over it. */
interface Subscription {
  readonly topic: Topic
  readonly scope: Scope.Closeable
  bytes: number
  lagged: number
}

const received = ({ content, from, scope }: Received) => ({
  type: "received",
  content: show(content),
  from,
  scope: scope._tag === "Swarm" ? { Swarm: scope.round } : "Neighbors",
  direct: scope._tag === "Neighbors" || scope.round === 0
})

const happened = (event: TopicEvent): object | undefined => {
  switch (event._tag) {
    case "NeighborUp":
      return { type: "neighborUp", peer: event.peer }
    case "NeighborDown":
      return { type: "neighborDown", peer: event.peer, reason: event.reason }
    default:
      return undefined
  }
}

const topicIdOf = ({ topic }: Request): TopicId.TopicId => {
  const text = need(topic, "topic")
  return TopicId.isHex(text) ? TopicId.parse(text) : TopicId.fromName(text)
}

const program = Effect.gen(function* () {
  const node = yield* IrohNode
  const gossip = yield* Gossip
  const blobs = yield* Blobs
  const book = yield* AddressBook
  const docs = yield* Docs
  yield* Router.serve({
    protocols: [GossipProtocol.protocol, BlobsProtocol.protocol(), docs.protocol],
    gracePeriod: "1 second"
  })
  const topics = new Map<TopicId.TopicId, Subscription>()
  const describe = Effect.map(node.address, (addr) => ({
    id: addr.endpointId,
    addrs: addr.directAddresses,
    ticket: NodeAddr.toTicket(addr)
  }))
  const subscriptionOf = (request: Request) => need(topics.get(topicIdOf(request)), "a subscription to this topic")
  const contentOf = ({ hash, format = "raw" }: Request) => ({ hash: BlobHash.parse(need(hash, "hash")), format })
  const peersOf = (from: Request["from"]) =>
    (Array.isArray(from) ? from : [need(from, "from")]).map((address: Parameters<typeof addressOf>[0]) =>
      addressOf(address)
    )

  const subscribe = Effect.fnUntraced(function* (request: Request) {
    const id = topicIdOf(request)
    const left = topics.get(id)
    if (left !== undefined) yield* Scope.close(left.scope, Exit.void)
    const scope = yield* Scope.make()
    const bootstrap = (request.peers ?? []).map(addressOf)
    const topic = yield* Scope.provide(gossip.subscribe(id, { bootstrap, capacity: request.capacity }), scope)
    const subscription: Subscription = { topic, scope, bytes: 0, lagged: 0 }
    topics.set(id, subscription)
    const tell = (data: object | undefined) =>
      data === undefined || request.quiet === true ? Effect.void : print({ event: "gossip", topic: id, data })
    const messages = topic.messages.pipe(
      Stream.runForEach((message) => {
        subscription.bytes += message.content.length
        if (message.missed > 0) subscription.lagged++
        const lag = message.missed > 0 ? { type: "lagged", missed: message.missed } : undefined
        return Effect.andThen(tell(lag), tell(received(message)))
      })
    )
    const events = topic.events.pipe(Stream.runForEach((event) => tell(happened(event))))
    yield* Effect.all([messages, events], { concurrency: "unbounded" }).pipe(Effect.forkIn(scope))
    return { topic: id }
  })

  const commands: Readonly<Record<string, (request: Request) => Effect.Effect<unknown, unknown, Scope.Scope>>> = {
    ...documentCommands(docs, blobs, node.endpointId, print),
    "node.addr": () => describe,
    "node.learn": ({ addr }) => Effect.sync(() => book.add(addressOf(need(addr, "addr")))),
    "gossip.subscribe": subscribe,
    "gossip.broadcast": (request) => {
      const content = bytesOf(need(request.content, "content"))
      const { topic } = subscriptionOf(request)
      return request.neighbors === true ? topic.broadcastNeighbors(content) : topic.broadcast(content)
    },
    "gossip.join": (request) => subscriptionOf(request).topic.join(need(request.peers, "peers").map(addressOf)),
    "gossip.stats": (request) => {
      const { bytes, lagged, topic } = subscriptionOf(request)
      return Effect.map(Effect.all([topic.neighbors.get, topic.stats]), ([neighbors, stats]) => ({
        ...stats,
        neighbors,
        bytes,
        lagged
      }))
    },
    "gossip.leave": (request) => {
      const { scope } = subscriptionOf(request)
      topics.delete(topicIdOf(request))
      return Scope.close(scope, Exit.void)
    },
    "blob.add": (request) =>
      Effect.map(
        request.path === undefined
          ? blobs.addBytes(bytesOf(need(request.content, "content")), { format: request.format })
          : blobs.addPath(request.path, { format: request.format }),
        ({ hash }) => ({ hash })
      ),
    "blob.read": ({ hash }) => Effect.map(blobs.read(BlobHash.parse(need(hash, "hash"))), show),
    "blob.ticket": (request) => Effect.map(blobs.share(contentOf(request)), (ticket) => ({ ticket })),
    "blob.download": (request) =>
      request.ticket === undefined
        ? blobs.download(contentOf(request), { from: peersOf(request.from) })
        : blobs.download(request.ticket)
  }

  const run = (request: Request) =>
    Effect.suspend(() => need(commands[request.cmd], `the command ${request.cmd}`)(request)).pipe(
      Effect.matchCauseEffect({
        onSuccess: (ok) => print({ id: request.id, ok: ok ?? {} }),
        onFailure: (cause) => print({ id: request.id, error: String(Cause.squash(cause)) })
      })
    )
  const read = Schema.decodeUnknownEffect(Schema.fromJsonString(Request))

  yield* print({ event: "ready", addr: yield* describe, protocols: ["gossip", "blobs", "docs"] })
  yield* Stream.decodeText((yield* Stdio.Stdio).stdin).pipe(
    Stream.splitLines,
    Stream.filter((line) => line.trim() !== ""),
    Stream.runForEach((line) =>
      read(line).pipe(
        Effect.flatMap((request) => Effect.forkScoped(run(request))),
        Effect.catch((error) => print({ error: String(error) }))
      )
    )
  )
}).pipe(Effect.scoped)

const secretKey = values.secret === undefined ? undefined : SecretKey.fromHex(values.secret)
const documents = values.store === undefined ? undefined : path.join(values.store, "docs")
const live = Docs.layer({ directory: documents }).pipe(
  Layer.provideMerge(Layer.mergeAll(Gossip.layerWith(AddressBook.layerMemory({ hints: "all" })), Blobs.layer)),
  Layer.provideMerge([BlobStore.layer({ directory: values.store }), IrohNode.layer({ ...loopback, secretKey })]),
  Layer.merge(NodeStdio.layer)
)
runMain(Effect.provide(program, live))
