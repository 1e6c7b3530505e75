/**
 * A topic that this node is a member of.
 *
 * @since 0.1.0
 */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type { ConnectError } from "@aster-effect/iroh/NodeError"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { MessageTooLarge, TopicClosed } from "./GossipError.ts"
import type { Scope } from "./Message.ts"
import type { TopicId } from "./TopicId.ts"

/** A broadcast that reached this member. Members are not told who wrote it: what has to be known must be in the content. */
export interface Received {
  /** Do not change it: other readers of this topic get the same bytes. */
  readonly content: Uint8Array
  /** The neighbour that handed it on, as proven by its connection; not necessarily the author. */
  readonly from: EndpointId
  /** How it travelled. `round` is the number of members that had handed it on before. */
  readonly scope: Scope
  /** How many broadcasts before this one were dropped because this reader was too slow. */
  readonly missed: number
}

/** What happens to this member. */
export type TopicEvent =
  | { readonly _tag: "NeighborUp"; readonly peer: EndpointId; readonly missed: number }
  | {
      readonly _tag: "NeighborDown"
      readonly peer: EndpointId
      /** It left the topic, one of both made room for another, or it cannot be reached. */
      readonly reason: "left" | "evicted" | "lost"
      readonly missed: number
    }
  /** A peer could not be dialled. Other peers, and this one later, are tried where there is need. */
  | { readonly _tag: "DialFailed"; readonly peer: EndpointId; readonly error: ConnectError; readonly missed: number }
  /** There is no neighbour left, and joining is tried again. */
  | { readonly _tag: "Rejoining"; readonly attempt: number; readonly missed: number }
  /** A peer was shut out for a minute. */
  | { readonly _tag: "PeerDropped"; readonly peer: EndpointId; readonly cause: string; readonly missed: number }

/** A value that can be read and followed. */
export interface Subscribable<A> {
  readonly get: Effect.Effect<A>
  /** The value now, and each later one; those that come faster than they are taken are left out, never the last. */
  readonly changes: Stream.Stream<A>
}

/** Counts since the topic was joined. */
export interface TopicStats {
  readonly neighbors: number
  /** Other members known by name. */
  readonly known: number
  readonly received: number
  readonly broadcast: number
  /** Broadcasts that readers of `messages` missed because they were too slow, all together. */
  readonly missed: number
  /** Broadcasts to peers that were dropped because those took them too slowly, or because the connection broke. */
  readonly unsent: number
  /** Broadcasts that others announced and that never came, whoever was asked for them. */
  readonly lost: number
  /**
   * Announcements that were left aside because too much was open already. Nothing is lost by that alone: the tree may bring
   * what they announced.
   */
  readonly overlooked: number
  /** Messages that were no messages, and those beyond what one peer may send. */
  readonly malformed: number
  readonly excess: number
}

/** What a topic is joined with. */
export interface SubscribeOptions {
  /**
   * Members to join at: addresses, or ids that the address book or the node's look-up knows. With none, this member waits
   * for others. They are tried again whenever there is no neighbour left.
   */
  readonly bootstrap?: ReadonlyArray<NodeAddr | EndpointId> | undefined
  /** Broadcasts kept for slow readers of `messages`; beyond, the oldest are dropped and counted. Default: 1,024. */
  readonly capacity?: number | undefined
}

/** A topic that this node is a member of, for as long as the scope of its subscription. */
export interface Topic {
  readonly id: TopicId
  /**
   * Broadcasts of others. The first reader gets those since the subscription, further ones those from now on. There is no
   * order between authors, and the same content within 90 seconds is delivered once.
   */
  readonly messages: Stream.Stream<Received>
  /** What happens to this member, in the same manner. */
  readonly events: Stream.Stream<TopicEvent>
  /** The members that this one is connected with, at most five. */
  readonly neighbors: Subscribable<ReadonlyArray<EndpointId>>
  /** Waits until there is a neighbour. Without one, it waits forever: give it a time limit. */
  readonly joined: Effect.Effect<void>
  /**
   * Sends a content to all members. It is done when it was handed to the connections: nobody acknowledges a broadcast. A
   * content that was broadcast within the last 90 seconds, by anybody, is no news and reaches nobody.
   */
  readonly broadcast: (content: Uint8Array) => Effect.Effect<void, MessageTooLarge | TopicClosed>
  /** Sends a content to some neighbours, those that broadcasts are pushed to, who hand it on to nobody. */
  readonly broadcastNeighbors: (content: Uint8Array) => Effect.Effect<void, MessageTooLarge | TopicClosed>
  /** Joins at further members. */
  readonly join: (peers: ReadonlyArray<NodeAddr | EndpointId>) => Effect.Effect<void, TopicClosed>
  readonly stats: Effect.Effect<TopicStats>
  /** The most bytes that a broadcast may have. */
  readonly maxContent: number
}
