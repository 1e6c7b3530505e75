/**
 * Calls at a time.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { RpcError } from "../wire/RpcError.ts"
import type { Interceptor } from "./Interceptor.ts"
import { keyOf, type LimitKey, PerKey } from "./LimitKey.ts"
import { pushback } from "./Retry.ts"

/** @since 0.1.0 */
export interface ConcurrencyLimitOptions {
  /** Calls that run at a time. */
  readonly limit: number
  /** Calls that wait for one of them to end; those beyond are shed at once. Default 0. */
  readonly queue?: number | undefined
  /** What is counted together. Default `all`. */
  readonly per?: LimitKey | undefined
}

interface Group {
  readonly slots: Semaphore.Semaphore
  /** Running and waiting. */
  count: number
}

/**
 * Bounds the calls that run at a time, streams included; what does not fit ends with RESOURCE_EXHAUSTED before its requests
 * are read. On a client it bounds what is asked of a server.
 *
 * @since 0.1.0
 */
export const make = (options: ConcurrencyLimitOptions): Interceptor => {
  const { limit } = options
  const queue = options.queue ?? 0
  if (!Number.isInteger(limit) || limit < 1) {
    throw new RangeError(`a limit of calls at a time is a whole number from 1 on, not ${limit}`)
  }
  if (!Number.isInteger(queue) || queue < 0) {
    throw new RangeError(`a queue of calls has a whole number of places, not ${queue}`)
  }
  const key = keyOf(options.per ?? "all")
  const groups = new PerKey<Group>(
    () => ({ slots: Semaphore.makeUnsafe(limit), count: 0 }),
    ({ count }) => count === 0
  )
  const shed = RpcError.of("RESOURCE_EXHAUSTED", `${limit} calls run and ${queue} wait already`, pushback("100 millis"))
  return (call, next) =>
    Effect.acquireUseRelease(
      Effect.suspend(() => {
        const group = groups.get(key(call))
        if (group.count >= limit + queue) return Effect.fail(shed)
        group.count++
        return Effect.succeed(group)
      }),
      ({ slots }) => slots.withPermit(Effect.suspend(() => next(call))),
      (group) =>
        Effect.sync(() => {
          group.count--
        })
    )
}
