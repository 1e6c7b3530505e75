/**
 * Probes and metrics over HTTP, for what watches over processes: Kubernetes, systemd, Prometheus (Aster configuration,
 * health server).
 *
 * | path | status | body |
 * |---|---|---|
 * | `/healthz` | 200, 503 | `{ "status": "ok" or "unhealthy", "uptime_s" }` |
 * | `/readyz` | 200, 503 | `{ "status": "ready" or "not_ready", "services": how many, "registry" }`, and `problems` when it is not |
 * | `/metrics` | 200 | JSON: `health`, `ready`, `connections`, `admission`, `rpc`; the text of Prometheus for who accepts it or asks with `?format=prometheus` |
 * | `/metrics/prometheus` | 200 | the text of Prometheus |
 * | other | 404 | `{ "error": "not found" }` |
 *
 * Every method is answered alike. There is no authentication: the default is to listen on this machine only.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import type { Health, Status } from "./Health.ts"
import * as MetricsReport from "./MetricsReport.ts"

/**
 * The address for probes cannot be had.
 *
 * @since 0.1.0
 */
export class HealthServerError extends Schema.TaggedError<HealthServerError>()("HealthServerError", {
  host: Schema.String,
  port: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `the health server cannot listen on ${this.host} port ${this.port}: ${this.detail}; choose another with ASTER_HEALTH_PORT and ASTER_HEALTH_HOST, or none with port 0`
  }
}

/** @since 0.1.0 */
export interface HealthServerOptions {
  /** 0 lets the system choose. */
  readonly port: number
  /** Default `127.0.0.1`: this machine only. */
  readonly host?: string | undefined
}

/** Connections at a time; probes need one. */
const MAX_CONNECTIONS = 64
/** Milliseconds for a request to arrive. */
const REQUEST_TIMEOUT = 5_000

/**
 * Answers probes until the scope closes. Answers the port it listens on.
 *
 * @since 0.1.0
 */
export const serve = Effect.fn("HealthServer.serve")(function* (
  health: Health["Service"],
  { host = "127.0.0.1", port }: HealthServerOptions
): Effect.fn.Return<number, HealthServerError, Scope.Scope> {
  const server = http.createServer({
    headersTimeout: REQUEST_TIMEOUT,
    requestTimeout: REQUEST_TIMEOUT,
    connectionsCheckingInterval: 1_000,
    keepAlive: false
  })
  server.maxConnections = MAX_CONNECTIONS
  const listening = yield* Effect.mapError(
    NodeHttpServer.make(() => server, { port, host, gracefulShutdownTimeout: "1 second" }),
    ({ cause }) => new HealthServerError({ host, port, detail: cause instanceof Error ? cause.message : String(cause) })
  )
  yield* listening.serve(Effect.provideService(respond(health), HttpMiddleware.TracerDisabledWhen, () => true))
  // Whoever holds a connection open without asking anything keeps no server from ending.
  yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : port
})

const respond = Effect.fnUntraced(function* (
  health: Health["Service"]
): Effect.fn.Return<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest> {
  const { headers, url } = yield* HttpServerRequest.HttpServerRequest
  const [path = "", query = ""] = url.split("?", 2)
  const status = yield* health.status
  switch (path) {
    case "/healthz":
      return json(status.live ? 200 : 503, liveness(status))
    case "/readyz":
      return json(status.ready ? 200 : 503, readiness(status))
    case "/metrics":
      if (!wantsText(query, headers["accept"])) {
        const summary = yield* MetricsReport.summary
        return json(200, { health: liveness(status), ready: readiness(status), ...summary })
      }
      return yield* prometheus(status)
    case "/metrics/prometheus":
      return yield* prometheus(status)
    default:
      return json(404, { error: "not found" })
  }
})

const liveness = ({ live, uptime }: Status) => ({
  status: live ? "ok" : "unhealthy",
  uptime_s: MetricsReport.oneDecimal(uptime)
})

const readiness = ({ problems, ready, registry, services }: Status) => ({
  status: ready ? "ready" : "not_ready",
  services: services.length,
  registry,
  ...(ready ? {} : { problems })
})

/** Prometheus names the types it reads, browsers and curl take anything. */
const wantsText = (query: string, accept = ""): boolean =>
  new URLSearchParams(query).get("format") === "prometheus" ||
  (/text\/plain|application\/openmetrics-text/.test(accept) && !accept.includes("application/json"))

const close = { connection: "close" }

const json = (status: number, body: unknown): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify(body, undefined, 2), {
    status,
    contentType: "application/json",
    headers: close
  })

const prometheus = (status: Status) =>
  Effect.map(MetricsReport.prometheus(status), (text) =>
    HttpServerResponse.text(text, { contentType: MetricsReport.PROMETHEUS_TYPE, headers: close })
  )
