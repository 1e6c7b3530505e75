/**
 * Gossip at a consumer: topics of its producer.
 *
 * @since 0.1.0
 */
import type { Connection } from "@aster-effect/iroh/Connection"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import type { SubscribeOptions, Topic } from "@aster-effect/iroh-gossip/Topic"
import type { TopicId } from "@aster-effect/iroh-gossip/TopicId"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/**
 * Topics, joined at the producer unless told otherwise. A consumer has no door of its own: it takes part over the
 * connections that it has made, and others cannot dial it.
 *
 * @since 0.1.0
 */
export interface ConsumerGossip {
  /** Joins a topic until the scope closes. Default of `bootstrap`: the producer. */
  readonly subscribe: (topic: TopicId, options?: SubscribeOptions) => Effect.Effect<Topic, never, Scope.Scope>
}

/**
 * @param readmit asks the producer for admission once more; done when it closes a connection because it does not know us
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* <E>(
  producers: ReadonlyArray<NodeAddr>,
  readmit: Effect.Effect<void, E>
): Effect.fn.Return<
  { readonly consumer: ConsumerGossip; readonly service: Gossip["Service"] },
  never,
  IrohNode | Scope.Scope
> {
  const whileAdmitted = <A, E2, R>(connection: Connection, serving: Effect.Effect<A, E2, R>) =>
    Effect.tap(serving, () => (connection.isClosed() ? Effect.flatMap(connection.closed, again) : Effect.void))
  const again = (reason: Effect.Success<Connection["closed"]>): Effect.Effect<void> =>
    reason._tag === "Peer" && reason.code === 403 ? Effect.ignore(readmit) : Effect.void
  const gossip = Context.get(yield* Layer.build(Gossip.layer({ advertise: false, whileAdmitted })), Gossip)
  return {
    consumer: { subscribe: (topic, options) => gossip.subscribe(topic, { bootstrap: producers, ...options }) },
    service: gossip
  }
})
