import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** Calls whose method was found, in sessions too. */
export const startedCalls = Metric.counter("aster_rpc_started_total", {
  description: "Calls whose method was found",
  incremental: true
})

/** Calls whose handler or answer is under way. */
export const runningCalls = Metric.gauge("aster_rpc_in_flight", { description: "Calls under way" })

const completed = (attributes?: { readonly status: string }) =>
  Metric.counter("aster_rpc_completed_total", {
    description: "Calls that were answered, refused ones too",
    attributes,
    incremental: true
  })

/** Calls by outcome: the attribute `status` is `ok` or `error`. */
export const completedCalls = completed()
export const succeededCalls = completed({ status: "ok" })
export const failedCalls = completed({ status: "error" })

/** Counts a call from here to its end. */
export const counted = <E, R>(
  serving: Effect.Effect<void, E, R>,
  ended: Effect.Effect<void>
): Effect.Effect<void, E, R> =>
  Effect.withFiber(({ context }) => {
    startedCalls.updateUnsafe(1, context)
    return running(serving, ended)
  })

/** Counts a call as running from here to its end. */
export const running = <E, R>(
  serving: Effect.Effect<void, E, R>,
  ended: Effect.Effect<void>
): Effect.Effect<void, E, R> =>
  Effect.withFiber(({ context }) => {
    runningCalls.modifyUnsafe(1, context)
    return Effect.ensuring(
      serving,
      Effect.suspend(() => {
        runningCalls.modifyUnsafe(-1, context)
        return ended
      })
    )
  })
