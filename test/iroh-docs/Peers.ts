/** Nodes of a network in memory, each with documents and blobs that it serves. */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { Docs, type DocsOptions } from "@aster-effect/iroh-docs/Docs"
import type { DocEvent } from "@aster-effect/iroh-docs/DocEvent"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Router from "@aster-effect/iroh/Router"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Bytes from "../../packages/iroh-docs/src/proto/Bytes.ts"
import * as Entry from "../../packages/iroh-docs/src/proto/Entry.ts"
import * as Signature from "../../packages/iroh-docs/src/proto/Signature.ts"

/** A node that serves documents and blobs. */
export interface Peer {
  readonly docs: Docs["Service"]
  readonly blobs: Blobs["Service"]
  readonly node: IrohNode["Service"]
}

/** A node in the network of the context; it lives as long as the scope. */
export const peer = Effect.fnUntraced(function* (options: DocsOptions = {}) {
  const layer = Docs.layer(options).pipe(
    Layer.provideMerge(Blobs.layer),
    Layer.provideMerge(Layer.mergeAll(BlobStore.layerMemory(), IrohNode.layerMemory()))
  )
  const context = yield* Layer.build(Layer.fresh(layer))
  const docs = Context.get(context, Docs)
  yield* Router.serve({
    gracePeriod: "1 second",
    linger: "50 millis",
    protocols: [docs.protocol, { alpn: BlobsProtocol.ALPN, handler: BlobsProtocol.handler() }]
  }).pipe(Effect.provide(context))
  return { docs, blobs: Context.get(context, Blobs), node: Context.get(context, IrohNode) } satisfies Peer
})

/** An entry of now, of 4 bytes that nobody has, but for what is changed. */
export const signed = (
  namespace: Signature.KeyPair,
  author: Signature.KeyPair,
  key: string,
  change: Partial<Entry.Entry> = {}
): Entry.SignedEntry =>
  Signature.signEntry(
    {
      id: Entry.identifier(namespace.publicKey, author.publicKey, Bytes.of(key)),
      hash: new Uint8Array(32).fill(3),
      length: 4,
      timestamp: Date.now() * 1000,
      ...change
    },
    namespace,
    author
  )

/** Waits for events of a document: each call for the next one that a predicate holds for. */
export const listener = Effect.fnUntraced(function* (events: Stream.Stream<DocEvent>) {
  const queue = yield* Stream.toQueue(events, { capacity: "unbounded" })
  return <A extends DocEvent>(isWanted: (event: DocEvent) => event is A) =>
    Effect.gen(function* () {
      while (true) {
        const event = yield* Queue.take(queue)
        if (isWanted(event)) return event
      }
    }).pipe(Effect.orDie)
})

/** Events of one kind. */
export const is =
  <Tag extends DocEvent["_tag"]>(tag: Tag) =>
  (event: DocEvent): event is Extract<DocEvent, { readonly _tag: Tag }> =>
    event._tag === tag
