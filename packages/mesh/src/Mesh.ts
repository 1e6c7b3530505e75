/**
 * This producer's part in the mesh of its deployment: it joins the topic, says who it is and what it serves, and knows the
 * others (Aster admission, producer mesh).
 *
 * @since 0.1.0
 */
import type { Join } from "@aster-effect/admission/ProducerAdmission"
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import type { Subscribable } from "@aster-effect/iroh-gossip/Topic"
import type { Producers } from "@aster-effect/transport/Producers"
import type { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import type { EnrollmentCredential } from "@aster-effect/trust/Credential"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeMesh } from "./internal/mesh.ts"
import type { JoinError } from "./JoinError.ts"
import type { Member, OwnLease, PublishedContract } from "./Member.ts"
import type { Health } from "./MeshMessage.ts"
import type { Wanted } from "./ServiceProducers.ts"
import type { MeshError, ProducerMesh } from "./ProducerMesh.ts"
import type { DropReason } from "./proto/MemberState.ts"

/** @since 0.1.0 */
export interface MeshOptions {
  /**
   * Producers to ask for admission, and to join at. What they say about who else belongs to the mesh is believed. Default:
   * none; then this producer founds a mesh, or goes on with the one it knows.
   */
  readonly contacts?: ReadonlyArray<NodeAddr | EndpointId> | undefined
  /**
   * The credential by which the root key says that this node is a producer. Without one this node can ask nobody for
   * admission and is introduced to nobody: it is known to those who were told to ask it.
   */
  readonly credential?: EnrollmentCredential | undefined
  /** What proves the instance that the credential is tied to, if it is. */
  readonly iidToken?: string | undefined
  /** Between two lease updates. At most an hour; a lease holds for an hour and a half. Default 15 minutes. */
  readonly heartbeat?: Duration.Input | undefined
  /** How old, or how early, a message may be. Default `ASTER_REPLAY_WINDOW_MS`, else 30 seconds. */
  readonly replayWindow?: Duration.Input | undefined
  /** How far a clock may be from the median. Default `ASTER_CLOCK_DRIFT_TOLERANCE_MS`, else 5 seconds. */
  readonly driftTolerance?: Duration.Input | undefined
  /** After joining, how long nobody's clock is judged. Default `ASTER_GRACE_PERIOD_MS`, else 60 seconds. */
  readonly gracePeriod?: Duration.Input | undefined
}

/** What a mesh is built with. @since 0.1.0 */
export interface MeshLayerOptions extends MeshOptions {
  readonly root: RootPublicKey
  /** Whether it joins the topic and asks contacts. Otherwise it only knows whom it has let in itself. Default true. */
  readonly takesPart?: boolean | undefined
}

/** Counts since the start. @since 0.1.0 */
export interface MeshStats {
  /** Messages that were taken. */
  readonly received: number
  readonly sent: number
  readonly dropped: Readonly<Record<DropReason, number>>
  /** Entries held in memory. */
  readonly held: number
}

/** @since 0.1.0 */
export class Mesh extends Context.Service<
  Mesh,
  {
    /** 64 hex digits, as of now. */
    readonly topicId: string
    /** 64 hex digits, as of now; for accepted producers only. */
    readonly salt: string
    /** The ids of everybody in the mesh, in ascending order. */
    readonly acceptedProducers: Effect.Effect<ReadonlyArray<EndpointId>>
    /** Everybody in the mesh, this producer included. */
    readonly members: Subscribable<ReadonlyArray<Member>>
    /** Where a client learns which producers serve a service, as they say themselves; see `ServiceProducers`. */
    readonly producers: (wanted: Wanted) => Producers
    /** Those that this producer is connected with on the topic. */
    readonly neighbors: Effect.Effect<ReadonlyArray<EndpointId>>
    readonly stats: Effect.Effect<MeshStats>
    /** Whether our own clock is wrong, so that nothing is said. */
    readonly isOut: Effect.Effect<boolean>
    /** What this producer serves; others are told at once, and with every heartbeat. */
    readonly serve: (services: ReadonlyArray<OwnLease>) => Effect.Effect<void>
    /** Where the contracts of what it serves are published; others are told at once. */
    readonly publish: (contracts: ReadonlyArray<PublishedContract>) => Effect.Effect<void>
    /** How it is; others are told at once, and with every heartbeat. */
    readonly setHealth: (health: Health) => Effect.Effect<void>
    /** Asks a producer for admission, and joins at it. It is asked again whenever there is no neighbour left. */
    readonly join: (contact: NodeAddr | EndpointId) => Effect.Effect<void, JoinError | MeshError>
    /** What the admission handshake does with a producer that has shown its credential. */
    readonly admit: Join
    /**
     * Changes the salt, and with it the topic. All members are told to ask for the new one, apart from those named, who are
     * let in by nobody any more; at most 24. Who is not there at the moment asks when it finds nobody on the old topic.
     */
    readonly rotate: (options?: {
      readonly without?: ReadonlyArray<EndpointId> | undefined
    }) => Effect.Effect<void, MeshError>
    /** Lets one in again that a rotation has put out. For this producer only: it has to be said to each. */
    readonly reinstate: (id: EndpointId) => Effect.Effect<void, MeshError>
    /** Says goodbye and leaves the topic. Closing the scope does the same. */
    readonly depart: (reason?: string) => Effect.Effect<void>
  }
>()("@aster-effect/mesh/Mesh") {
  /** Joins the mesh whose state `ProducerMesh` keeps. Contacts are asked in the background, and again until one answers. */
  static readonly layer = (
    options: MeshLayerOptions
  ): Layer.Layer<Mesh, Config.ConfigError, ProducerMesh | Gossip | IrohNode | AdmittedPeers> =>
    Layer.effect(this, makeMesh(options))
}
