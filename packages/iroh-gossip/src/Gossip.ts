/**
 * Topics on a node: members of a swarm find each other, and what one broadcasts reaches all.
 *
 * @since 0.1.0
 */
import type { Connection } from "@aster-effect/iroh/Connection"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AddressBook } from "./AddressBook.ts"
import { makeGossip } from "./internal/gossip.ts"
import type { SubscribeOptions, Topic } from "./Topic.ts"
import type { TopicId } from "./TopicId.ts"
import type { TopicConfig } from "./TopicState.ts"

/** Settings of a node's gossip. Limits of messages should be the same at all members. */
export interface GossipOptions {
  /**
   * The size from which on a message is not sent, in bytes; one of this size is still read. At least 512. Default: 4,096,
   * as everywhere.
   */
  readonly maxMessageSize?: number | undefined
  /**
   * Messages per second that a peer may send on average; twice as many at once. What exceeds it is dropped, and a peer that
   * goes on is shut out for a minute. Default: 10,000.
   */
  readonly maxMessageRate?: number | undefined
  /** Bytes that may wait for a slow peer; beyond, broadcasts to it are dropped and counted. Default: 1 MiB. */
  readonly maxQueued?: number | undefined
  /** Default: 10 seconds. */
  readonly dialTimeout?: Duration.Input | undefined
  /** How long a peer may take for a write before its connection is closed. Default: 30 seconds. */
  readonly writeTimeout?: Duration.Input | undefined
  /** A connection that no topic needs is closed after this time. Default: 10 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /**
   * Whether others are told how to reach this node. Leave it out where `GossipProtocol` is not served: nobody can dial such
   * a member, and nobody should try. Default: true.
   */
  readonly advertise?: boolean | undefined
  /**
   * Around the use of a connection, whoever dialled it, to end it when its peer is admitted no longer. Whom the `ConnectionGate`
   * denies is not dialled either.
   */
  readonly whileAdmitted?:
    | (<A, E, R>(connection: Connection, serving: Effect.Effect<A, E, R>) => Effect.Effect<A | void, E, R>)
    | undefined
  /** The protocol's numbers; for tests, or for a network of one's own. */
  readonly protocol?: TopicConfig | undefined
}

/** The gossip of a node. Addresses come from the `AddressBook` of the context, if there is one. */
export class Gossip extends Context.Service<
  Gossip,
  {
    /**
     * Joins a topic, until the scope closes: then this node leaves politely, unless another subscription to the same topic
     * is still open. Does not wait for neighbours: see `Topic.joined`.
     */
    readonly subscribe: (topic: TopicId, options?: SubscribeOptions) => Effect.Effect<Topic, never, Scope.Scope>
    /** The topics that this node is a member of. */
    readonly topics: Effect.Effect<ReadonlyArray<TopicId>>
    /** Serves a connection that a peer has made, until it ends; see `GossipProtocol`. */
    readonly accept: (connection: Connection, draining: Effect.Effect<void>) => Effect.Effect<void>
    /** Leaves all topics, and closes all connections once the goodbyes are out. Further use does nothing. */
    readonly close: Effect.Effect<void>
  }
>()("@aster-effect/iroh-gossip/Gossip") {
  /** Gossip on the node of the context. It joins others; for them to join it, serve `GossipProtocol` there too. */
  static readonly layer = (options: GossipOptions = {}): Layer.Layer<Gossip, never, IrohNode> =>
    Layer.effect(Gossip, makeGossip(options))

  /** The same, with addresses kept as it is said; see `AddressBook`. */
  static readonly layerWith = <E, R>(
    book: Layer.Layer<AddressBook, E, R>,
    options: GossipOptions = {}
  ): Layer.Layer<Gossip | AddressBook, E, R | IrohNode> => Layer.provideMerge(Gossip.layer(options), book)
}
