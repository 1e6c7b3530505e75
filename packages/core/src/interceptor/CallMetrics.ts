/**
 * Calls in numbers.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { isStatusName } from "../wire/Status.ts"
import type { Call } from "./CallContext.ts"
import { type Interceptor, statusOf } from "./Interceptor.ts"

/** Calls that have ended, by `side`, `service`, `method` and `status`. @since 0.1.0 */
export const calls = Metric.counter("aster_rpc_calls_total", {
  description: "Calls that have ended, by outcome",
  incremental: true
})

/** Seconds that calls took, streams to their end, by `side`, `service` and `method`. @since 0.1.0 */
export const duration = Metric.histogram("aster_rpc_duration_seconds", {
  description: "How long calls took",
  boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
})

/** Calls under way, by `side`, `service` and `method`. @since 0.1.0 */
export const active = Metric.gauge("aster_rpc_active_calls", { description: "Calls under way" })

/** Messages that have passed, by `side`, `service`, `method` and `direction`. @since 0.1.0 */
export const messages = Metric.counter("aster_rpc_messages_total", {
  description: "Messages of calls, by direction",
  incremental: true
})

/**
 * Counts calls of one side. Labels are names of methods that exist and of statuses that are assigned, so a peer cannot add
 * any: other statuses count as `OTHER`.
 *
 * @since 0.1.0
 */
export const make = (side: "server" | "client"): Interceptor => {
  const known = new Map<string, Metrics>()
  const metricsOf = ({ method, service, version }: Call): Metrics => {
    const key = `${version} ${service} ${method}`
    let metrics = known.get(key)
    if (metrics === undefined) known.set(key, (metrics = labelled({ side, service, method })))
    return metrics
  }
  return (call, next) => {
    const metrics = metricsOf(call)
    const count = (direction: "request" | "response") => (message: unknown) =>
      Effect.as(Metric.update(metrics[direction], 1), message)
    return Effect.flatMap(Clock.currentTimeNanos, (begun) =>
      Effect.andThen(
        Metric.modify(metrics.active, 1),
        Effect.onExit(next(call, { request: count("request"), response: count("response") }), (exit) => {
          const status = statusOf(exit)
          return Effect.flatMap(Clock.currentTimeNanos, (now) =>
            Effect.all(
              [
                Metric.modify(metrics.active, -1),
                Metric.update(metrics.duration, Number(now - begun) / 1e9),
                Metric.update(metrics.ended(isStatusName(status) ? status : "OTHER"), 1)
              ],
              { discard: true }
            )
          )
        })
      )
    )
  }
}

interface Metrics {
  readonly active: Metric.Gauge<number>
  readonly duration: Metric.Histogram<number>
  readonly request: Metric.Counter<number>
  readonly response: Metric.Counter<number>
  readonly ended: (status: string) => Metric.Counter<number>
}

const labelled = (labels: { readonly [label: string]: string }): Metrics => {
  const byStatus = new Map<string, Metric.Counter<number>>()
  return {
    active: Metric.withAttributes(active, labels),
    duration: Metric.withAttributes(duration, labels),
    request: Metric.withAttributes(messages, { ...labels, direction: "request" }),
    response: Metric.withAttributes(messages, { ...labels, direction: "response" }),
    ended: (status) => {
      let counter = byStatus.get(status)
      if (counter === undefined) byStatus.set(status, (counter = Metric.withAttributes(calls, { ...labels, status })))
      return counter
    }
  }
}
