/**
 * The metrics of the process as text for Prometheus, and in short as JSON.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type { Status } from "./Health.ts"

/** The short form, as release 0.1.2 has it. Counts are those of the process. @since 0.1.0 */
export interface Summary {
  readonly connections: {
    readonly active_connections: number
    readonly total_connections: number
    readonly active_streams: number
    readonly total_streams: number
  }
  readonly admission: {
    readonly consumer_admitted: number
    readonly consumer_denied: number
    readonly consumer_errors: number
    readonly producer_admitted: number
    readonly producer_denied: number
    readonly producer_errors: number
    /** How long the last decision took, in milliseconds with one decimal. */
    readonly last_admission_ms: number
  }
  readonly rpc: {
    readonly started: number
    readonly succeeded: number
    readonly failed: number
    readonly in_flight: number
  }
}

/** @since 0.1.0 */
export const summary: Effect.Effect<Summary> = Effect.map(Metric.snapshot, (snapshots) => {
  const value = (id: string, label?: readonly [string, string]): number =>
    snapshots.reduce((sum, snapshot) => {
      if (snapshot.id !== id || (label !== undefined && snapshot.attributes?.[label[0]] !== label[1])) return sum
      if (snapshot.type === "Counter") return sum + Number(snapshot.state.count)
      return snapshot.type === "Gauge" ? sum + Number(snapshot.state.value) : sum
    }, 0)
  return {
    connections: {
      active_connections: value("aster_connections_active"),
      total_connections: value("aster_connections_total"),
      active_streams: value("aster_streams_active"),
      total_streams: value("aster_streams_total")
    },
    admission: {
      consumer_admitted: value("aster_admission_consumer_admitted_total"),
      consumer_denied: value("aster_admission_consumer_denied_total"),
      consumer_errors: value("aster_admission_consumer_errors_total"),
      producer_admitted: value("aster_admission_producer_admitted_total"),
      producer_denied: value("aster_admission_producer_denied_total"),
      producer_errors: value("aster_admission_producer_errors_total"),
      last_admission_ms: oneDecimal(value("aster_admission_last_duration_seconds") * 1000)
    },
    rpc: {
      started: value("aster_rpc_started_total"),
      succeeded: value("aster_rpc_completed_total", ["status", "ok"]),
      failed: value("aster_rpc_completed_total", ["status", "error"]),
      in_flight: value("aster_rpc_in_flight")
    }
  }
})

/** @since 0.1.0 */
export const oneDecimal = (value: number): number => Math.round(value * 10) / 10

const uptime = Metric.gauge("aster_uptime_seconds", { description: "Seconds since the server was started" })
const healthy = Metric.gauge("aster_healthy", { description: "Whether the server lives (1) or not (0)" })
const ready = Metric.gauge("aster_ready", { description: "Whether the server is ready (1) or not (0)" })

/** The content type of `prometheus`. @since 0.1.0 */
export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

/** Every metric of the process in the text format of Prometheus, with what a server says of itself. @since 0.1.0 */
export const prometheus = (status: Status): Effect.Effect<string> =>
  Effect.all(
    [
      Metric.update(uptime, oneDecimal(status.uptime)),
      Metric.update(healthy, status.live ? 1 : 0),
      Metric.update(ready, status.ready ? 1 : 0)
    ],
    { discard: true }
  ).pipe(Effect.andThen(PrometheusMetrics.format()))
