/**
 * How many admission handshakes a node has under way, and whose.
 *
 * @since 0.1.0
 */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { type SlotRefusal, SlotTable } from "./internal/slotTable.ts"

/** Why there is no slot: this peer tries too often or too much at once, or all slots are taken. @since 0.1.0 */
export type { SlotRefusal } from "./internal/slotTable.ts"

/** One handshake, in the parts that matter for its slot. @since 0.1.0 */
export interface Exchange<A, B, E, R> {
  /** Whether the peer has shown a credential before. Newcomers then do not end its wait. Default: no. */
  readonly known?: Effect.Effect<boolean> | undefined
  /** Waits for the peer to say what it wants. While all slots are taken, newcomers may end this. */
  readonly request: Effect.Effect<A, E, R>
  /** Keeps the slot until it is done. */
  readonly decide: (request: A) => Effect.Effect<B, E, R>
  /** Tells the answer and waits for the peer to go, in no slot. Of 64 that take their time, newcomers end the first. */
  readonly tell: (answer: B) => Effect.Effect<void, E, R>
  /** No slot, or a slot no longer, because the peer or the node is at its limit. */
  readonly refuse: (refusal: SlotRefusal) => Effect.Effect<void>
}

/**
 * The slots for admission handshakes of one node: at most 64 unfinished at a time, 4 of one peer, and 10 attempts of a
 * peer per minute. Where all are taken, a newcomer gets the slot of whoever has been waited for longest: an honest
 * request is there after one round trip, so peers that say nothing keep nobody out.
 *
 * @since 0.1.0
 */
export class HandshakeSlots extends Context.Service<
  HandshakeSlots,
  {
    /** Runs a peer's handshake in a slot of its own. */
    readonly run: <A, B, E, R>(peer: EndpointId, exchange: Exchange<A, B, E, R>) => Effect.Effect<void, E, R>
    /** The peer's handshake under way is none of its ten a minute. */
    readonly refund: (peer: EndpointId) => Effect.Effect<void>
  }
>()("@aster-effect/admission/HandshakeSlots") {
  static readonly layer: Layer.Layer<HandshakeSlots> = Layer.sync(this, () => {
    const slots = new SlotTable()
    return {
      refund: (peer) => Effect.sync(() => slots.refund(peer)),
      run: (peer, { decide, known = Effect.succeed(false), refuse, request, tell }) =>
        Effect.acquireUseRelease(
          Effect.zipWith(Clock.monotonicTimeNanos, known, (now, isKnown) =>
            slots.acquire(peer, Number(now / 1_000_000n), isKnown)
          ),
          Effect.fnUntraced(function* (acquired) {
            if (Result.isFailure(acquired)) {
              yield* refuse(acquired.failure)
              return Option.none()
            }
            const slot = acquired.success
            const lost = Effect.as(Deferred.await(slot.lost), Option.none())
            const asked = yield* Effect.raceFirst(Effect.map(request, Option.some), lost)
            if (Option.isNone(asked)) {
              yield* refuse("NodeLimit")
              return Option.none()
            }
            slots.commit(slot)
            return Option.some(yield* decide(asked.value))
          }),
          (acquired) => Effect.sync(() => Result.isSuccess(acquired) && slots.release(acquired.success))
        ).pipe(
          Effect.flatMap(Option.match({ onNone: () => Effect.void, onSome: (answer) => slots.linger(tell(answer)) }))
        )
    }
  })
}
