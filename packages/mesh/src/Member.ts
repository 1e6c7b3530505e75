/**
 * A producer of a mesh, as another one knows it.
 *
 * @since 0.1.0
 */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type { Attributes } from "@aster-effect/trust/Credential"

/** A contract that a producer has published. @since 0.1.0 */
export interface PublishedContract {
  readonly service: string
  readonly version: number
  /** The collection of its parts, 64 hex digits. */
  readonly collectionHash: string
}

/** A service that this member serves. @since 0.1.0 */
export interface OwnLease {
  readonly service: string
  readonly version: number
  readonly contractId: string
}

/** A producer's word that it serves a service. @since 0.1.0 */
export interface MeshLease {
  readonly service: string
  readonly version: number
  /** 64 hex digits. */
  readonly contractId: string
  /** `starting`, `ready`, `degraded` or `draining`; a producer may use other words. */
  readonly health: string
  /** Where it says that it can be reached; undefined when it does not say so in our form. */
  readonly address: NodeAddr | undefined
}

/** Times are milliseconds since the Unix epoch. @since 0.1.0 */
export interface Member {
  readonly endpointId: EndpointId
  readonly isSelf: boolean
  /**
   * How it is known to belong here: by a credential of its own that the root key signed, or because a producer that this
   * one was told to ask has it on its list. Gate 0 lets those with a credential in everywhere, others onto gossip only.
   */
  readonly proof: "credential" | "listed"
  /** What its credential says; empty without one. */
  readonly attributes: Attributes
  /** Until when it belongs here. */
  readonly expiresAt: number | undefined
  /** When it was heard last, in this run. */
  readonly heardAt: number | undefined
  /** Our clock less its, in milliseconds, with the time that its last message took. */
  readonly offset: number | undefined
  /** Its clock is too far from the others': what it says about services is left aside. */
  readonly isolated: boolean
  readonly contracts: ReadonlyArray<PublishedContract>
  readonly leases: ReadonlyArray<MeshLease>
}
