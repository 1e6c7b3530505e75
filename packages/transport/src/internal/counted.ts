import * as Effect from "effect/Effect"
import type * as Metric from "effect/Metric"

/** Counts something from here to its end. */
export const counted = <A, E, R>(
  { active, total }: { readonly active: Metric.Gauge<number>; readonly total: Metric.Counter<number> },
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber(({ context }) => {
    total.updateUnsafe(1, context)
    active.modifyUnsafe(1, context)
    return Effect.ensuring(
      effect,
      Effect.sync(() => active.modifyUnsafe(-1, context))
    )
  })
