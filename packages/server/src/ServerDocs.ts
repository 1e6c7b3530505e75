/**
 * Documents of a server: where they are kept, and who may read them.
 *
 * @since 0.1.0
 */
import * as Role from "@aster-effect/admission/Role"
import type { Gates } from "@aster-effect/trust/Gates"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import type { Resolved } from "@aster-effect/config/AsterConfig"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as Docs from "@aster-effect/iroh-docs/Docs"
import type { DocumentId } from "@aster-effect/iroh-docs/DocumentId"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type * as Router from "@aster-effect/iroh/Router"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"

/**
 * How a server's documents are kept and shared. Whoever may come in may read a document whose id it knows, as far as
 * `requires` and `authorize` let it; where both are, both have to allow it. Who may write is decided by the document's own
 * secret. The registry document is for everybody who may come in.
 *
 * @since 0.1.0
 */
export interface DocsOptions extends Omit<Docs.DocsOptions, "directory"> {
  /** The roles of those who may read. Default: none are needed. */
  readonly requires?: Role.Requirement | undefined
}

/**
 * The documents of a server, whose contents are among its blobs.
 *
 * @param isPublic says of a document that everybody who may come in may read it
 * @since 0.1.0
 */
export const layer = (
  options: DocsOptions,
  config: Resolved,
  gates: Gates["Service"],
  isPublic: (document: DocumentId) => boolean
): Layer.Layer<Docs.Docs, never, Blobs | IrohNode> =>
  Docs.Docs.layer({
    ...options,
    directory: NodeConfig.storageDirectory(config, "docs"),
    authorize: (peer, document) => {
      if (isPublic(document)) return Effect.succeed(true)
      const { authorize, requires } = options
      if (!holds(gates, peer, requires)) return Effect.succeed(false)
      return authorize?.(peer, document) ?? Effect.succeed(true)
    }
  })

const holds = (gates: Gates["Service"], peer: EndpointId, requirement: Role.Requirement | undefined): boolean =>
  requirement === undefined || Role.isSatisfied(requirement, gates.attributesOf(peer))

/** Serves a connection for as long as its peer is admitted. @since 0.1.0 */
export const protocol = ({ protocol }: Docs.Docs["Service"], gates: Gates["Service"]): Router.Protocol => ({
  alpn: protocol.alpn,
  handler: (connection, draining) => gates.whileAdmitted(connection, protocol.handler(connection, draining))
})
