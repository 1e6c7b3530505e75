/**
 * Calls in numbers.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { isStatusName } from "../wire/Status.ts"
import type { Call } from "./CallContext.ts"
import { type Brief, type Interceptor, type Messages, statusOf } from "./Interceptor.ts"

const description = {
  calls: "Calls that have ended, by outcome",
  duration: "How long calls took",
  active: "Calls under way",
  messages: "Messages of calls, by direction"
}

const boundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

type Labels = { readonly [label: string]: string }

// With their labels from the start: adding them to each update costs several times as much as the update.
const callsOf = (attributes?: Labels) =>
  Metric.counter("aster_rpc_calls_total", { description: description.calls, attributes, incremental: true })
const durationOf = (attributes?: Labels) =>
  Metric.histogram("aster_rpc_duration_seconds", { description: description.duration, attributes, boundaries })
const activeOf = (attributes?: Labels) =>
  Metric.gauge("aster_rpc_active_calls", { description: description.active, attributes })
const messagesOf = (attributes?: Labels) =>
  Metric.counter("aster_rpc_messages_total", { description: description.messages, attributes, incremental: true })

/** Calls that have ended, by `side`, `service`, `method` and `status`. @since 0.1.0 */
export const calls = callsOf()

/** Seconds that calls took, streams to their end, by `side`, `service` and `method`. @since 0.1.0 */
export const duration = durationOf()

/** Calls under way, by `side`, `service` and `method`. @since 0.1.0 */
export const active = activeOf()

/** Messages that have passed, by `side`, `service`, `method` and `direction`. @since 0.1.0 */
export const messages = messagesOf()

/** What stands for names that no contract has. @since 0.1.0 */
export const OTHER = "other"

/** Methods that have labels of their own. */
const MAX_METHODS = 1_000

/** @since 0.1.0 */
export interface CallMetricsOptions {
  /** Whether messages are counted too, which streams pay for with every message. Default true. */
  readonly messages?: boolean | undefined
}

/**
 * Counts calls of one side. Labels are names of methods that exist and of statuses that are assigned, so a peer cannot add
 * any: other statuses count as `OTHER`. Methods beyond 1,000 count as `other`, which only clients can meet that call what
 * they are told to.
 *
 * @since 0.1.0
 */
export const make = (side: "server" | "client", options: CallMetricsOptions = {}): Interceptor => {
  const known = new Map<string, Metrics>()
  let others: Metrics | undefined
  const metricsOf = ({ method, service, version }: Call): Metrics => {
    const key = `${version} ${service} ${method}`
    let metrics = known.get(key)
    if (metrics !== undefined) return metrics
    if (known.size >= MAX_METHODS) return (others ??= new Metrics({ side, service: OTHER, method: OTHER }, options))
    known.set(key, (metrics = new Metrics({ side, service, method }, options)))
    return metrics
  }
  const counting: Interceptor = (call, next) =>
    Effect.clockWith((clock) =>
      Effect.withFiber(({ context }) => {
        const metrics = metricsOf(call)
        const begun = clock.monotonicTimeNanosUnsafe()
        metrics.active.modifyUnsafe(1, context)
        return Effect.onExit(next(call, metrics.counting), (exit) =>
          Effect.sync(() => {
            metrics.active.modifyUnsafe(-1, context)
            metrics.duration.updateUnsafe(Number(clock.monotonicTimeNanosUnsafe() - begun) / 1e9, context)
            metrics.ended(statusOf(exit)).updateUnsafe(1, context)
          })
        )
      })
    )
  // Of a call that is answered at once nobody sees that it is under way.
  const brief: Brief = {
    passes: (call) => metricsOf(call).counting === undefined,
    ended: (call, status, seconds, context) => {
      const metrics = metricsOf(call)
      metrics.duration.updateUnsafe(seconds, context)
      metrics.ended(status).updateUnsafe(1, context)
    }
  }
  const interceptor = Object.assign(counting, { brief })
  made.add(interceptor)
  return interceptor
}

const made = new WeakSet<Interceptor>()

/** Whether `make` made one of these, so that nobody counts calls twice. @since 0.1.0 */
export const isAmong = (interceptors: ReadonlyArray<Interceptor>): boolean =>
  interceptors.some((interceptor) => made.has(interceptor))

/**
 * Counts a call that found no method, and so no interceptor: `service` and `method` are `other`, whatever it asked for.
 *
 * @since 0.1.0
 */
export const refused = (status: string): Effect.Effect<void> =>
  Effect.suspend(() => Metric.update(refusals.ended(status), 1))

class Metrics {
  readonly active: Metric.Gauge<number>
  readonly duration: Metric.Histogram<number>
  readonly counting: Messages | undefined
  readonly #labels: Labels
  readonly #ended = new Map<string, Metric.Counter<number>>()

  constructor(labels: Labels, { messages: counted = true }: CallMetricsOptions) {
    this.#labels = labels
    this.active = activeOf(labels)
    this.duration = durationOf(labels)
    const count = (direction: "request" | "response") => {
      const counter = messagesOf({ ...labels, direction })
      return (message: unknown) => Effect.as(Metric.update(counter, 1), message)
    }
    this.counting = counted ? { request: count("request"), response: count("response") } : undefined
  }

  ended(status: string): Metric.Counter<number> {
    const label = isStatusName(status) ? status : "OTHER"
    let counter = this.#ended.get(label)
    if (counter === undefined) this.#ended.set(label, (counter = callsOf({ ...this.#labels, status: label })))
    return counter
  }
}

const refusals = new Metrics({ side: "server", service: OTHER, method: OTHER }, { messages: false })
