/** Changes that travel as they are made: documents on their gossip topics. iroh-docs wire, live sync. */
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import type { Received, Topic, TopicEvent } from "@aster-effect/iroh-gossip/Topic"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { Malformed } from "@aster-effect/iroh/Malformed"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DocumentId } from "../DocumentId.ts"
import * as Bytes from "../proto/Bytes.ts"
import * as LiveMessage from "../proto/LiveMessage.ts"
import type { Contents } from "./contents.ts"
import type { OpenDocument } from "./replica.ts"
import type { Syncer } from "./syncer.ts"

export interface Live {
  /** Joins the document's topic at some peers, or further peers when it is joined already. */
  readonly start: (document: OpenDocument, peers: ReadonlyArray<NodeAddr>) => Effect.Effect<void>
  readonly stop: (document: OpenDocument) => Effect.Effect<void>
}

export interface LiveOptions {
  /** Without gossip, documents are only synced from time to time. */
  readonly gossip: Gossip["Service"] | undefined
  readonly contents: Contents
  readonly syncer: Syncer
  /** Between sessions with peers that are directly connected. */
  readonly resyncInterval: Duration.Input
}

/**
 * After so long there is a second session with a new neighbour: what it wrote when the first one had begun, and it did not
 * see us as its neighbour yet, came neither way.
 */
const SETTLED = "3 seconds"

export const make = Effect.fnUntraced(function* ({
  contents,
  gossip,
  resyncInterval,
  syncer
}: LiveOptions): Effect.fn.Return<Live, never, Scope.Scope> {
  const members = yield* FiberMap.make<DocumentId, void>()

  const heard = (document: OpenDocument, { content, from, scope }: Received): Effect.Effect<void> => {
    const message = parse(content)
    // Who knows the document's id can say anything here.
    if (message === undefined) return Effect.logDebug("A message on a document's topic is none", { peer: from })
    switch (message._tag) {
      case "Put": {
        const direct = scope._tag === "Neighbors" || scope.round === 0
        return Effect.ignore(
          syncer.take(document, from, [{ entry: message.entry, content: direct ? "complete" : "missing" }])
        )
      }
      case "ContentReady": {
        const hash = BlobHash.fromBytes(message.hash)
        return document.stored.wanted().includes(hash) ? contents.fetch(document, from, [hash]) : Effect.void
      }
      case "SyncReport":
        return Bytes.equal(message.namespace, document.stored.namespace) &&
          LiveMessage.hasNews(message.heads, document.stored.heads)
          ? syncer.begin(document, from)
          : Effect.void
    }
  }

  const happened = (document: OpenDocument, event: TopicEvent): Effect.Effect<void, never, Scope.Scope> => {
    if (event._tag === "NeighborUp") {
      const { peer } = event
      document.neighbors.add(peer)
      document.subscribers.publish({ _tag: "NeighborUp", peer })
      const again = Effect.suspend(() => (document.neighbors.has(peer) ? syncer.begin(document, peer) : Effect.void))
      return Effect.andThen(
        syncer.begin(document, peer),
        Effect.asVoid(Effect.forkScoped(Effect.delay(again, SETTLED)))
      )
    }
    if (event._tag === "NeighborDown") {
      document.neighbors.delete(event.peer)
      document.subscribers.publish({ _tag: "NeighborDown", peer: event.peer })
    }
    return Effect.void
  }

  /** What was said while nobody listened is made up for by sessions. */
  const resync = (document: OpenDocument) =>
    Effect.suspend(() => {
      const remembered = document.stored.peers.map(({ endpointId }) => endpointId)
      return Effect.forEach(document.neighbors.size > 0 ? document.neighbors : remembered, (peer) =>
        syncer.begin(document, peer)
      )
    }).pipe(Effect.schedule(Schedule.jittered(Schedule.spaced(resyncInterval))))

  const member = Effect.fnUntraced(function* (document: OpenDocument, topic: Topic | undefined) {
    document.topic = topic
    yield* Effect.all(
      [
        resync(document),
        topic === undefined ? Effect.void : Stream.runForEach(topic.messages, (message) => heard(document, message)),
        topic === undefined ? Effect.void : Stream.runForEach(topic.events, (event) => happened(document, event))
      ],
      { concurrency: "unbounded", discard: true }
    )
  })

  return {
    start: Effect.fnUntraced(function* (document, peers) {
      if (document.topic !== undefined) return yield* Effect.ignore(document.topic.join(peers))
      const join = Effect.gen(function* () {
        const topic = yield* gossip === undefined
          ? Effect.succeed(undefined)
          : gossip.subscribe(TopicId.fromBytes(document.stored.namespace), { bootstrap: peers })
        yield* member(document, topic)
      })
      yield* FiberMap.run(
        members,
        document.id,
        join.pipe(
          Effect.scoped,
          Effect.catchCause((cause) => Effect.logError("The live changes of a document ended", cause)),
          Effect.ensuring(
            Effect.sync(() => {
              document.topic = undefined
              document.neighbors.clear()
            })
          )
        ),
        { onlyIfMissing: true, startImmediately: true }
      )
    }),
    stop: (document) => FiberMap.remove(members, document.id)
  }
})

const parse = (content: Uint8Array): LiveMessage.LiveMessage | undefined => {
  try {
    return LiveMessage.decode(content)
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}
