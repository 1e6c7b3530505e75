/**
 * Admissions in numbers.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** What the handshakes of one kind are counted with. @since 0.1.0 */
export interface AdmissionMetrics {
  /** A peer was admitted. */
  readonly admitted: Effect.Effect<void>
  /** A peer was refused. Reasons are a few words of this package, never the peer's. */
  readonly denied: (reason: string) => Effect.Effect<void>
  /** A handshake got no answer: it was empty, too long, too slow, one too many, or broke off. */
  readonly failed: Effect.Effect<void>
  /** Measures how long a decision takes. */
  readonly timed: <A, E, R>(deciding: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** So that what has not happened yet counts as zero. */
  readonly touch: Effect.Effect<void>
}

const last = Metric.gauge("aster_admission_last_duration_seconds", {
  description: "How long the last decision on an admission took"
})

/**
 * Counters `aster_admission_<path>_admitted_total`, `..._denied_total` and `..._errors_total`, denials by reason, and how
 * long decisions take.
 *
 * @since 0.1.0
 */
export const make = (path: "consumer" | "producer"): AdmissionMetrics => {
  const counter = (outcome: string, description: string) =>
    Metric.counter(`aster_admission_${path}_${outcome}_total`, { description, incremental: true })
  const admitted = counter("admitted", `Admissions granted to ${path}s`)
  const denied = counter("denied", `Admissions refused to ${path}s`)
  const errors = counter("errors", `Handshakes of ${path}s that got no answer`)
  const duration = Metric.histogram("aster_admission_duration_seconds", {
    description: "How long decisions on admissions took",
    attributes: { path },
    boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
  })
  const reasons = new Map<string, Metric.Counter<number>>()
  const denials = (reason: string): Metric.Counter<number> => {
    let found = reasons.get(reason)
    if (found === undefined) {
      found = Metric.counter("aster_admission_denials_total", {
        description: "Admissions refused, by reason",
        attributes: { path, reason },
        incremental: true
      })
      reasons.set(reason, found)
    }
    return found
  }
  return {
    admitted: Metric.update(admitted, 1),
    denied: (reason) => Effect.andThen(Metric.update(denied, 1), Metric.update(denials(reason), 1)),
    failed: Metric.update(errors, 1),
    timed: (deciding) =>
      Effect.flatMap(Clock.monotonicTimeNanos, (begun) =>
        Effect.tap(deciding, () =>
          Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
            const seconds = Number(now - begun) / 1e9
            return Effect.andThen(Metric.update(duration, seconds), Metric.update(last, seconds))
          })
        )
      ),
    touch: Effect.all(
      [Metric.update(admitted, 0), Metric.update(denied, 0), Metric.update(errors, 0), Metric.modify(last, 0)],
      { discard: true }
    )
  }
}
