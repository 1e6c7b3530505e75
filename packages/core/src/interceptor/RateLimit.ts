/**
 * Calls per time.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import { RpcError } from "../wire/RpcError.ts"
import type { Interceptor } from "./Interceptor.ts"
import { keyOf, type LimitKey, PerKey } from "./LimitKey.ts"
import { pushback } from "./Retry.ts"

/** @since 0.1.0 */
export interface RateLimitOptions {
  /** Calls that may come at once, and how many come back per `window`: a token bucket. */
  readonly limit: number
  /** Default 1 second. */
  readonly window?: Duration.Input | undefined
  /** What is counted together. Default `peer`. */
  readonly per?: LimitKey | undefined
}

/**
 * For servers: calls beyond the limit end with RESOURCE_EXHAUSTED before their requests are read, and say when to come back,
 * which `Retry` on the client keeps to. Counts are of this process; `RateLimiter` of Effect has stores that are shared.
 *
 * At most `LimitKey.MAX_KEYS` groups are counted at a time. Endpoint ids cost nothing, so where everybody is admitted a limit
 * per peer alone is no protection: put one for all calls beside it.
 *
 * @since 0.1.0
 */
export const make = (options: RateLimitOptions): Interceptor => {
  if (!Number.isInteger(options.limit) || options.limit < 1) {
    throw new RangeError(`a rate limit is a whole number of calls from 1 on, not ${options.limit}`)
  }
  const key = keyOf(options.per ?? "peer")
  const window = options.window ?? "1 second"
  // A store of its own for every group, since a shared one never forgets a key.
  const limiters = new PerKey(makeLimiter)
  return (call, next) =>
    Effect.suspend(() =>
      limiters.get(key(call)).consume({ algorithm: "token-bucket", key: "", limit: options.limit, window })
    ).pipe(
      Effect.catch(({ reason }) =>
        Effect.fail(
          RpcError.of(
            "RESOURCE_EXHAUSTED",
            `more than ${options.limit} calls in ${Duration.format(Duration.fromInputUnsafe(window))}`,
            reason._tag === "RateLimitExceeded" ? pushback(reason.retryAfter) : {}
          )
        )
      ),
      Effect.andThen(Effect.suspend(() => next(call)))
    )
}

const makeLimiter = (): RateLimiter.RateLimiter =>
  Effect.runSync(Effect.provide(RateLimiter.make, Layer.fresh(RateLimiter.layerStoreMemory)))
