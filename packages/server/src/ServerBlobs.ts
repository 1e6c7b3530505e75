/**
 * Blobs of a server: where they are kept, and who may do what with them.
 *
 * @since 0.1.0
 */
import * as Role from "@aster-effect/admission/Role"
import type { Resolved } from "@aster-effect/config/AsterConfig"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore, type BlobStoreOptions } from "@aster-effect/iroh-blobs/BlobStore"
import * as ChunkRangesSeq from "@aster-effect/iroh-blobs/ChunkRangesSeq"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { Gates } from "@aster-effect/trust/Gates"
import * as Router from "@aster-effect/iroh/Router"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * How a server's blobs are kept and served. Whoever may come in may fetch them, as far as `requires` and `authorize` let
 * it. Nobody may push, unless `pushRequires` or `authorizePush` is there; where both are, both have to allow it. What was
 * pushed is kept under the tag `pushed/<endpoint id>/<hash>`.
 *
 * @since 0.1.0
 */
export interface BlobsOptions extends BlobsProtocol.BlobsProtocolOptions, BlobStoreOptions {
  /** The roles of those who may fetch and observe. Default: none are needed. */
  readonly requires?: Role.Requirement | undefined
  /** The roles of those who may push. */
  readonly pushRequires?: Role.Requirement | undefined
}

/** The blobs of a server, in the store of the context if there is one. @since 0.1.0 */
export const layer = (options: BlobsOptions, config: Resolved): Layer.Layer<Blobs | BlobStore, never, IrohNode> =>
  Layer.provideMerge(
    Blobs.layer,
    BlobStore.layerIfAbsent({
      gcInterval: options.gcInterval,
      directory: NodeConfig.storageDirectory(config, "blobs")
    })
  )

/** Serves a connection for as long as its peer is admitted. @since 0.1.0 */
export const protocol = (options: BlobsOptions, gates: Gates["Service"]): Router.Protocol<BlobStore> => ({
  alpn: BlobsProtocol.ALPN,
  handler: Router.bidirectional(handler(options, gates))
})

const handler = (options: BlobsOptions, gates: Gates["Service"]): Router.Handler<BlobStore> => {
  const { authorize, authorizePush, onPushed, pushRequires, requires } = options
  const holds = (peer: EndpointId, requirement: Role.Requirement | undefined) =>
    requirement === undefined || Role.isSatisfied(requirement, gates.attributesOf(peer))
  const pushable = pushRequires !== undefined || authorizePush !== undefined
  return (connection, draining) =>
    Effect.flatMap(BlobStore, ({ tags }) => {
      const serve = BlobsProtocol.handler({
        ...options,
        authorize: (peer, request) => (holds(peer, requires) ? (authorize?.(peer, request) ?? allowed) : forbidden),
        authorizePush: (peer, request) =>
          pushable && holds(peer, pushRequires) ? (authorizePush?.(peer, request) ?? allowed) : forbidden,
        onPushed: Effect.fnUntraced(function* (peer, request) {
          const format = ChunkRangesSeq.reaches(request.ranges, 1) ? "hashSeq" : "raw"
          yield* tags.set(`pushed/${peer}/${request.hash}`, { hash: request.hash, format })
          yield* onPushed?.(peer, request) ?? Effect.void
        })
      })
      return gates.whileAdmitted(connection, serve(connection, draining))
    })
}

const allowed = Effect.succeed<BlobsProtocol.Verdict>("allowed")
const forbidden = Effect.succeed<BlobsProtocol.Verdict>("forbidden")
