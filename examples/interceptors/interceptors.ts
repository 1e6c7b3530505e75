import * as Interceptor from "@aster-effect/core/interceptor/Interceptor"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** For a server or a client: one line per call, whatever its pattern and however it ended. */
export const logging: Interceptor.Interceptor = (call, next) =>
  Effect.onExit(next(call), (exit) =>
    Effect.logInfo(`${call.service}.${call.method} of ${call.peer}: ${Interceptor.statusOf(exit)}`)
  )

/** For a client: sends a token with every call. */
export const withToken =
  (token: string): Interceptor.Interceptor =>
  (call, next) =>
    next({ ...call, metadata: new Map([...call.metadata, ["token", token]]) })

/** For a client: tries again while the producer is away, but never after a message has been seen. */
export const retrying: Interceptor.Interceptor = (call, next) =>
  Effect.suspend(() => {
    let seen = false
    const attempt = next(call, { response: (message) => Effect.sync(() => ((seen = true), message)) })
    return Effect.retry(attempt, {
      schedule: Schedule.jittered(Schedule.exponential("100 millis")),
      times: 4,
      while: (error) => !seen && error.is("UNAVAILABLE")
    })
  })
