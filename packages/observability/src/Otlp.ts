/**
 * Traces, metrics and logs to an OpenTelemetry collector over HTTP, by Effect's own exporters.
 *
 * The layer belongs around servers and clients: spans of calls are made where a tracer is installed when they start.
 *
 * ```ts
 * AsterServer.layer().pipe(Layer.provide(Otlp.layer({ baseUrl: "http://localhost:4318", serviceName: "billing" })))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Otlp from "effect/observability/Otlp"
import type * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"

/** @since 0.1.0 */
export interface OtlpOptions {
  /** Of the collector; `/v1/traces`, `/v1/metrics` and `/v1/logs` are appended. */
  readonly baseUrl: string
  /** Default: `OTEL_SERVICE_NAME`, else `aster`. */
  readonly serviceName?: string | undefined
  readonly serviceVersion?: string | undefined
  /** Further attributes of the resource. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
  /** For a collector that wants to know who sends. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** How bodies are written. Default `protobuf`. */
  readonly encoding?: "protobuf" | "json" | undefined
  /** Between exports of each kind. Default: 5 seconds for traces, 1 for logs, 10 for metrics. */
  readonly exportInterval?: Duration.Input | undefined
  /** For the last export when the scope closes. Default 3 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

const nameOf = (given: string | undefined): Effect.Effect<string> =>
  given === undefined
    ? Effect.orDie(Config.withDefault(Config.String("OTEL_SERVICE_NAME"), "aster"))
    : Effect.succeed(given)

/** To the collector that the program names. What is left is exported when the scope closes. @since 0.1.0 */
export const layer = (options: OtlpOptions): Layer.Layer<OtlpExporter.Flusher> =>
  Layer.unwrap(
    Effect.map(nameOf(options.serviceName), (serviceName) =>
      Otlp.layer({
        baseUrl: options.baseUrl,
        resource: { serviceName, serviceVersion: options.serviceVersion, attributes: { ...options.attributes } },
        headers: options.headers,
        loggerExportInterval: options.exportInterval,
        metricsExportInterval: options.exportInterval,
        tracerExportInterval: options.exportInterval,
        shutdownTimeout: options.shutdownTimeout
      })
    )
  ).pipe(
    Layer.provide([
      options.encoding === "json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf,
      FetchHttpClient.layer
    ])
  )

/** The exporter that OpenTelemetry takes where none is named. */
const defaults = ConfigProvider.layerAdd(
  ConfigProvider.fromUnknown({
    OTEL_TRACES_EXPORTER: "otlp",
    OTEL_METRICS_EXPORTER: "otlp",
    OTEL_LOGS_EXPORTER: "otlp"
  })
)

/**
 * To the collector that OpenTelemetry's variables name (`OTEL_EXPORTER_OTLP_ENDPOINT` and its like); nothing is exported
 * when they name none. Malformed values are defects.
 *
 * @since 0.1.0
 */
export const layerEnv: Layer.Layer<OtlpExporter.Flusher> = Layer.unwrap(
  Effect.map(nameOf(undefined), (serviceName) => Otlp.layerFromConfig({ resource: { serviceName } }))
).pipe(Layer.provide([OtlpSerialization.layerProtobuf, FetchHttpClient.layer, defaults]))
