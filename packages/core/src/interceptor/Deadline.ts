/**
 * Calls that arrive too late, and calls that take too long.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { RpcError } from "../wire/RpcError.ts"
import type { Call } from "./CallContext.ts"
import type { Interceptor } from "./Interceptor.ts"

/**
 * Refuses calls whose deadline has passed when they arrive: DEADLINE_EXCEEDED, without running the handler. Clocks are
 * assumed to be roughly synchronous; a call that is late by more than the tolerance is reported as expired on receipt,
 * which hints at clocks that differ. This is what servers have by default.
 *
 * @param options.skewTolerance default 5 seconds
 * @since 0.1.0
 */
export const make = (options?: { readonly skewTolerance?: Duration.Input | undefined }): Interceptor => {
  const tolerance = Duration.toMillis(Duration.fromInputUnsafe(options?.skewTolerance ?? "5 seconds"))
  const late = (ms: number) =>
    RpcError.of(
      "DEADLINE_EXCEEDED",
      ms > tolerance
        ? `the deadline had already expired on receipt, ${ms} ms ago; compare the clocks of both sides`
        : "deadline exceeded"
    )
  const refusing: Interceptor = (call, next) => {
    const limit = call.deadline
    if (limit === undefined) return next(call)
    return Effect.flatMap(Clock.currentTimeMillis, (now) => (now < limit ? next(call) : Effect.fail(late(now - limit))))
  }
  const passes = ({ deadline }: Call, context: Context.Context<never>) =>
    deadline === undefined || Context.get(context, Clock.Clock).currentTimeMillisUnsafe() < deadline
  return Object.assign(refusing, { brief: { passes } })
}

/**
 * Gives calls at most this much time, also those that have no deadline: a client sends it and gives up when it is over, a
 * server interrupts the handler. A deadline that is earlier stays.
 *
 * @since 0.1.0
 */
export const atMost = (time: Duration.Input): Interceptor => {
  const ms = Duration.toMillis(Duration.fromInputUnsafe(time))
  return (call, next) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      next({ ...call, deadline: Math.min(call.deadline ?? Infinity, now + ms) })
    )
}
