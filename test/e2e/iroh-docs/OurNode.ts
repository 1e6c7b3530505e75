/** A node of ours on loopback that serves documents, blobs and gossip. */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { Docs, type DocsOptions } from "@aster-effect/iroh-docs/Docs"
import { AddressBook } from "@aster-effect/iroh-gossip/AddressBook"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Router from "@aster-effect/iroh/Router"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** The node lives as long as the scope. A `key` byte, 32 times, fixes its identity. */
export const ourNode = Effect.fnUntraced(function* (options: DocsOptions & { readonly key?: number } = {}) {
  const secretKey =
    options.key === undefined ? {} : { secretKey: SecretKey.fromBytes(new Uint8Array(32).fill(options.key)) }
  const layer = Docs.layer(options).pipe(
    Layer.provideMerge(Layer.mergeAll(Blobs.layer, Gossip.layerWith(AddressBook.layerMemory({ hints: "all" })))),
    Layer.provideMerge(Layer.mergeAll(BlobStore.layerMemory(), IrohNode.layer({ ...loopback, ...secretKey })))
  )
  const context = yield* Layer.build(Layer.fresh(layer))
  const docs = Context.get(context, Docs)
  yield* Router.serve({
    gracePeriod: "1 second",
    linger: "100 millis",
    protocols: [docs.protocol, { alpn: BlobsProtocol.ALPN, handler: BlobsProtocol.handler() }, GossipProtocol.protocol]
  }).pipe(Effect.provide(context))
  return { docs, blobs: Context.get(context, Blobs), node: Context.get(context, IrohNode) }
})
