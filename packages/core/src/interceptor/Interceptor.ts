/**
 * Functions around a call, on either side.
 *
 * An interceptor sees the call and decides whether, when and with what it goes on: it may answer early with a status,
 * change the metadata that a client sends, add a time limit, retry, measure. On a server it surrounds the whole call
 * and runs once, before any request frame is read, so rejecting costs nothing. On a client it surrounds the whole call
 * of a unary or client-streaming method and the opening of a streaming one.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Call } from "../service/CallContext.ts"
import { RpcError } from "../wire/RpcError.ts"

/** @since 0.1.0 */
export interface Interceptor {
  <A, E, R>(call: Call, next: (call: Call) => Effect.Effect<A, E, R>): Effect.Effect<A, E | RpcError, R>
}

/**
 * One interceptor out of many; the first of the list is the outermost.
 *
 * @since 0.1.0
 */
export const compose = (interceptors: ReadonlyArray<Interceptor>): Interceptor =>
  interceptors.reduceRight<Interceptor>(
    (inner, outer) => (call, next) => outer(call, (outerCall) => inner(outerCall, next)),
    (call, next) => next(call)
  )

/**
 * Refuses calls whose deadline has passed when they arrive: DEADLINE_EXCEEDED, without running the handler. Clocks are
 * assumed to be roughly synchronous; a call that is late by more than the tolerance is reported as expired on receipt,
 * which hints at clocks that differ. This is what servers have by default.
 *
 * @param options.skewTolerance default 5 seconds
 * @since 0.1.0
 */
export const deadline = (options?: { readonly skewTolerance?: Duration.Input | undefined }): Interceptor => {
  const tolerance = Duration.toMillis(Duration.fromInputUnsafe(options?.skewTolerance ?? "5 seconds"))
  const late = (ms: number) =>
    RpcError.of(
      "DEADLINE_EXCEEDED",
      ms > tolerance
        ? `the deadline had already expired on receipt, ${ms} ms ago; compare the clocks of both sides`
        : "deadline exceeded"
    )
  return <A, E, R>(call: Call, next: (call: Call) => Effect.Effect<A, E, R>) => {
    const limit = call.deadline
    if (limit === undefined) return next(call)
    return Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<A, E | RpcError, R> =>
      now < limit ? next(call) : Effect.fail(late(now - limit))
    )
  }
}
