/**
 * Documents at a consumer.
 *
 * @since 0.1.0
 */
import type { Resolved } from "@aster-effect/config/AsterConfig"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { Docs, type DocsOptions as ProtocolOptions } from "@aster-effect/iroh-docs/Docs"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/** How a consumer's documents are kept. @since 0.1.0 */
export type DocsOptions = Omit<ProtocolOptions, "authorize" | "directory">

/**
 * Documents, joined with a ticket of the producer or of others that can be dialled. A consumer has no door of its own: it
 * begins every session, takes part in live changes, and serves nobody. So of what it writes others get the entries; the
 * contents only when it pushes them to the producer (`client.blobs.push`), which has to permit it.
 *
 * @since 0.1.0
 */
export type ConsumerDocs = Omit<Docs["Service"], "protocol">

/** Documents in memory, or in `docs` under the storage path where there is one. @since 0.1.0 */
export const make = (
  options: DocsOptions,
  config: Resolved,
  blobs: Blobs["Service"],
  gossip: Gossip["Service"]
): Effect.Effect<ConsumerDocs, never, IrohNode | Scope.Scope> =>
  Layer.build(Docs.layer({ ...options, directory: NodeConfig.storageDirectory(config, "docs") })).pipe(
    Effect.provideService(Blobs, blobs),
    Effect.provideService(Gossip, gossip),
    Effect.map((context) => Context.get(context, Docs))
  )
