/** A node with documents whose changes are live. */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { Docs } from "@aster-effect/iroh-docs/Docs"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Router from "@aster-effect/iroh/Router"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const services = Docs.layer().pipe(
  Layer.provideMerge(Layer.mergeAll(Blobs.layer, Gossip.layer())),
  Layer.provideMerge(Layer.mergeAll(BlobStore.layerMemory(), IrohNode.layer(loopback)))
)

/** Documents on a node of their own, for as long as the scope. */
export const documents = Effect.gen(function* () {
  const context = yield* Layer.build(Layer.fresh(services))
  return yield* Effect.gen(function* () {
    const docs = yield* Docs
    const blobs = { alpn: BlobsProtocol.ALPN, handler: BlobsProtocol.handler() }
    yield* Router.serve({ protocols: [docs.protocol, GossipProtocol.protocol, blobs] })
    return docs
  }).pipe(Effect.provide(context))
})
