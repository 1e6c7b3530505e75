/**
 * Spans of calls, linked across the network by the W3C trace context in their metadata.
 *
 * Attributes follow OpenTelemetry's conventions for RPC. A span lasts as long as its call, streams included, and ends with
 * the status of the call.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Call } from "./CallContext.ts"
import { type Interceptor, statusOf } from "./Interceptor.ts"

/** The metadata key of the trace context (W3C Trace Context, traceparent header). @since 0.1.0 */
export const TRACEPARENT = "traceparent"

/**
 * For servers: a span for every call, the child of the caller's when the metadata names one. Handlers run within it. What a
 * peer says about a trace is its word: it names ids, and may ask for a trace not to be sampled.
 *
 * @since 0.1.0
 */
export const server: Interceptor = (call, next) => {
  const traceparent = call.metadata.get(TRACEPARENT)
  const parent =
    traceparent === undefined
      ? Option.none<Tracer.ExternalSpan>()
      : HttpTraceContext.w3c(Headers.fromRecordUnsafe({ traceparent }))
  return Effect.useSpan(
    nameOf(call),
    { kind: "server", attributes: attributesOf(call), ...(Option.isSome(parent) ? { parent: parent.value } : {}) },
    (span) => Effect.onExit(Effect.withParentSpan(next(call), span), (exit) => ended(span, exit))
  )
}

/**
 * For clients: a span for every call, sent with it as the parent of the server's. Attempts of a `Retry` outside of this are
 * spans of their own.
 *
 * @since 0.1.0
 */
export const client: Interceptor = (call, next) =>
  Effect.useSpan(nameOf(call), { kind: "client", attributes: attributesOf(call) }, (span) => {
    const { traceparent } = HttpTraceContext.toHeaders(span)
    const metadata = traceparent === undefined ? call.metadata : new Map([...call.metadata, [TRACEPARENT, traceparent]])
    return Effect.onExit(Effect.withParentSpan(next({ ...call, metadata }), span), (exit) => ended(span, exit))
  })

/**
 * Whether anybody looks at spans: a tracer that is not the one which effect has when nobody has installed any.
 *
 * @since 0.1.0
 */
export const isInstalled: Effect.Effect<boolean> = Effect.map(Effect.tracer, (tracer) => tracer !== Tracer.nativeTracer)

const nameOf = ({ method, service }: Call): string => `${service}/${method}`

const attributesOf = ({ method, peer, service, version }: Call): Record<string, unknown> => ({
  "rpc.system": "aster",
  "rpc.service": service,
  "rpc.method": method,
  "aster.service.version": version,
  "network.peer.address": peer
})

const ended = (span: Tracer.Span, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.sync(() => span.attribute("rpc.response.status_code", statusOf(exit)))
