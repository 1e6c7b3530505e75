/**
 * Leaving a producer alone that does not answer.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Breaker from "effect/persistence/CircuitBreaker"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { isRpcError, RpcError } from "../wire/RpcError.ts"
import type { Interceptor } from "./Interceptor.ts"
import { keyOf, type LimitKey } from "./LimitKey.ts"
import * as Cause from "effect/Cause"

/** @since 0.1.0 */
export interface CircuitBreakerOptions {
  /** When it opens. Default: after 5 failures in a row. */
  readonly trip?: Breaker.TripPolicy | undefined
  /** How long it stays open before a call may try again. Default 10 seconds. */
  readonly openDuration?: Duration.Input | Schedule.Schedule<unknown, number> | undefined
  /** What is counted together. Default `peer`: the producer. */
  readonly per?: LimitKey | undefined
  /** Which errors count. Default: UNAVAILABLE, DEADLINE_EXCEEDED and RESOURCE_EXHAUSTED; a call that is given up never does. */
  readonly isFailure?: ((error: RpcError) => boolean) | undefined
}

/**
 * For clients: when calls to a producer keep failing, further ones end with UNAVAILABLE at once, without being sent; after a
 * while one may try, and its success closes the circuit. Attempts of `Retry` count each when the breaker is the inner one.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: CircuitBreakerOptions = {}
): Effect.fn.Return<Interceptor, never, Scope.Scope> {
  const store = yield* Layer.build(Layer.fresh(Breaker.layerStoreMemory()))
  const breaker = yield* Effect.provideContext(
    Breaker.make({
      tripPolicy: options.trip ?? Breaker.consecutive(5),
      openDuration: options.openDuration ?? "10 seconds"
    }),
    store
  )
  const key = keyOf(options.per ?? "peer")
  const isFailure =
    options.isFailure ??
    ((error) => error.is("UNAVAILABLE") || error.is("DEADLINE_EXCEEDED") || error.is("RESOURCE_EXHAUSTED"))
  return (call, next) =>
    breaker
      .execute(next(call), {
        key: key(call),
        classify: (exit) => {
          if (Exit.isSuccess(exit)) return Breaker.success
          const error = Cause.findErrorOption(exit.cause)
          return error._tag === "Some" && isFailure(error.value) ? Breaker.failure() : Breaker.success
        }
      })
      .pipe(
        Effect.catch((error) =>
          isRpcError(error)
            ? Effect.fail(error)
            : Effect.fail(
                RpcError.of("UNAVAILABLE", `calls to ${call.peer} keep failing; it is left alone for a while`)
              )
        )
      )
})
