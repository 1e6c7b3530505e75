/**
 * Health as a service, for peers that cannot reach the port for probes: in the manner of gRPC's health checking protocol.
 * A server serves it when its option `health.service` says so. Release 0.1.2 has none; its clients call this one by name.
 *
 * @since 0.1.0
 */
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Health, Status } from "./Health.ts"

/** What is asked about: a service by name, or with the empty name the whole server. @since 0.1.0 */
export class HealthCheckRequest extends Wire.Class<HealthCheckRequest>("aster/HealthCheckRequest")({
  service: Wire.String.pipe(Wire.withDefault(""))
}) {}

/** @since 0.1.0 */
export class HealthCheckResponse extends Wire.Class<HealthCheckResponse>("aster/HealthCheckResponse")({
  /** `SERVING` or `NOT_SERVING`. */
  status: Wire.String.pipe(Wire.withDefault("")),
  /** Why it is not serving, a sentence each. */
  problems: Wire.List(Wire.String).pipe(Wire.withDefault([]))
}) {}

/**
 * `check` answers at once; `watch` answers at once and after every change. A service that the server does not have is
 * NOT_FOUND. Whoever watches hears of draining before the stream ends, and has to ask again when the time limit of
 * handlers ends it.
 *
 * @since 0.1.0
 */
export const HealthService = Service.make("AsterHealth", {
  public: true,
  description: "Whether this server, or one of its services, takes calls"
}).add(
  Rpc.unary("check", { request: HealthCheckRequest, response: HealthCheckResponse, idempotent: true }),
  Rpc.serverStream("watch", { request: HealthCheckRequest, response: HealthCheckResponse })
)

/** The handlers, for one server. @since 0.1.0 */
export const layer = (health: Health["Service"]): Layer.Layer<Service.HandlersFor<typeof HealthService>> => {
  const known = ({ service }: HealthCheckRequest) =>
    Effect.flatMap(health.status, (status) =>
      service === "" || service === HealthService.name || status.services.includes(service)
        ? Effect.succeed(status)
        : Effect.fail(RpcError.of("NOT_FOUND", `there is no service '${service.slice(0, 256)}'`))
    )
  // A server that drains waits for its calls, so this one has to end.
  const watched = Stream.takeUntil(health.changes, ({ phase }) => phase === "draining" || phase === "closed")
  return HealthService.toLayer({
    check: (request) => Effect.map(known(request), response),
    watch: (request) => Stream.unwrap(Effect.as(known(request), Stream.map(watched, response)))
  })
}

const response = ({ problems, ready }: Status): HealthCheckResponse =>
  new HealthCheckResponse({ status: ready ? "SERVING" : "NOT_SERVING", problems })
