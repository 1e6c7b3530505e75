import * as AuditLog from "@aster-effect/core/interceptor/AuditLog"
import * as CallMetrics from "@aster-effect/core/interceptor/CallMetrics"
import * as CircuitBreaker from "@aster-effect/core/interceptor/CircuitBreaker"
import * as ConcurrencyLimit from "@aster-effect/core/interceptor/ConcurrencyLimit"
import * as Deadline from "@aster-effect/core/interceptor/Deadline"
import type { Interceptor } from "@aster-effect/core/interceptor/Interceptor"
import * as RateLimit from "@aster-effect/core/interceptor/RateLimit"
import * as Retry from "@aster-effect/core/interceptor/Retry"
import * as Effect from "effect/Effect"

/** Refusals are counted and written down too, so what refuses stands inside of what tells. */
export const serverInterceptors: ReadonlyArray<Interceptor> = [
  CallMetrics.make("server"),
  AuditLog.make(),
  Deadline.make(),
  RateLimit.make({ limit: 1000, window: "1 second", per: "all" }),
  RateLimit.make({ limit: 100, window: "1 second", per: "peer" }),
  ConcurrencyLimit.make({ limit: 256, queue: 64 })
]

/** Every attempt counts for the breaker, so the retry stands around it. */
export const clientInterceptors = Effect.map(CircuitBreaker.make(), (breaker): ReadonlyArray<Interceptor> => [
  CallMetrics.make("client"),
  Retry.make(),
  breaker
])
