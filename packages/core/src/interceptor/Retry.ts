/**
 * Another attempt at calls that may be repeated.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { RpcError } from "../wire/RpcError.ts"
import type { CalledMethod } from "./CallContext.ts"
import * as Interceptor from "./Interceptor.ts"

/**
 * The detail of an error by which a server says when to come back: whole milliseconds, or a negative number for "not at
 * all". It stands in place of the client's own schedule.
 *
 * @since 0.1.0
 */
export const PUSHBACK = "aster-retry-pushback-ms"

/** What an error says about coming back. @since 0.1.0 */
export const pushback = (after: Duration.Input | "never"): { readonly [key: string]: string } => ({
  [PUSHBACK]: after === "never" ? "-1" : `${Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(after)))}`
})

/** @since 0.1.0 */
export interface RetryOptions {
  /** When to try again. Default: from 100 ms on, doubled each time, at most 5 s apart, jittered. */
  readonly schedule?: Schedule.Schedule<unknown, RpcError> | undefined
  /** Attempts after the first. Default 4. */
  readonly times?: number | undefined
  /** Which errors are worth another attempt. Default: UNAVAILABLE, and any that carries a pushback. */
  readonly while?: ((error: RpcError) => boolean) | undefined
  /**
   * Which methods may be called again. Default: those declared idempotent. Methods whose requests are a stream are never
   * called again, whatever this says.
   */
  readonly methods?: ((method: CalledMethod) => boolean) | undefined
  /** Longest wait that a server may ask for; beyond it the call fails. Default 30 seconds. */
  readonly maxPushback?: Duration.Input | undefined
}

/**
 * For clients: repeats calls of idempotent methods, as long as no message of the answer has been seen and within the
 * deadline of the call, which all attempts share. Calls whose requests are a stream are never repeated.
 *
 * @since 0.1.0
 */
export const make = (options: RetryOptions = {}): Interceptor.Interceptor => {
  const schedule = options.schedule ?? defaultSchedule
  const times = options.times ?? 4
  const worthwhile = options.while ?? ((error) => error.is("UNAVAILABLE") || error.details[PUSHBACK] !== undefined)
  const maxPushback = Duration.toMillis(Duration.fromInputUnsafe(options.maxPushback ?? "30 seconds"))
  const methods = options.methods ?? (({ idempotent }) => idempotent)
  return Interceptor.when(
    (method) => hasOneRequest(method) && methods(method),
    (call, next) =>
      Effect.gen(function* () {
        const step = yield* Schedule.toStep(schedule)
        let seen = false
        const attempt = next(call, {
          response: (message) => {
            seen = true
            return Effect.succeed(message)
          }
        })
        const again = (left: number): ReturnType<typeof next> =>
          Effect.catch(attempt, (error) =>
            Effect.gen(function* () {
              if (left === 0 || seen || !worthwhile(error)) return yield* error
              const now = yield* Clock.currentTimeMillis
              const asked = askedFor(error)
              if (asked !== undefined && (asked < 0 || asked > maxPushback)) return yield* error
              // A schedule that is over has no further attempts.
              const planned = yield* Effect.mapError(step(now, error), () => error)
              const delay = asked ?? Duration.toMillis(planned[1])
              // Whoever would come too late does not need to wait for it.
              if (call.deadline !== undefined && now + delay >= call.deadline) return yield* error
              yield* Effect.sleep(delay)
              return yield* again(left - 1)
            })
          )
        return yield* again(times)
      })
  )
}

const hasOneRequest = ({ pattern }: CalledMethod): boolean => pattern === "unary" || pattern === "server_stream"

const defaultSchedule = Schedule.jittered(
  Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])
)

/** Milliseconds; undefined where the server says nothing that can be understood. */
const askedFor = (error: RpcError): number | undefined => {
  const text = error.details[PUSHBACK]
  return text !== undefined && /^-?\d{1,12}$/.test(text) ? Number(text) : undefined
}
