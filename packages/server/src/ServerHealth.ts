/**
 * Health of a server: what it needs to be ready, and who may ask.
 *
 * @since 0.1.0
 */
import type { Resolved } from "@aster-effect/config/AsterConfig"
import * as Service from "@aster-effect/core/service/Service"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import { type Check, Health, type Phase } from "@aster-effect/observability/Health"
import type { HealthServerError } from "@aster-effect/observability/HealthServer"
import * as HealthService from "@aster-effect/observability/HealthService"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/** How a server tells others of its health. @since 0.1.0 */
export interface HealthOptions {
  /** Where probes and metrics are answered over HTTP. Default: the setting `health_port`; 0 is nowhere. */
  readonly port?: number | undefined
  /** The address for it. Default: the setting `health_host`, which is this machine only. */
  readonly host?: string | undefined
  /** Whether peers may ask as well: `AsterHealth`, the service of `HealthService`, is served beside the others. Default false. */
  readonly service?: boolean | undefined
  /**
   * Whether the server is ready only while its node has a relay. Default: where the address it gave out when it started
   * names one, since that is where peers look for it.
   */
  readonly needsRelay?: boolean | undefined
}

/** What `AsterServer` keeps up to date. */
export interface State {
  phase: Phase
  /** Whether the contracts are published. */
  registry: () => boolean
  /** Whether the address that was given out names a relay. */
  relayGiven: boolean
  /** What is wrong with its place in the registry that producers share. */
  leased: Check
}

/** The health of a server, in the state that it keeps. */
export const make = (
  { needsRelay }: HealthOptions,
  state: State,
  services: ReadonlyArray<Service.Any>,
  node: IrohNode["Service"],
  checks: ReadonlyArray<Check>
): Effect.Effect<Health["Service"]> => {
  const relay: Check = Effect.suspend(() =>
    (needsRelay ?? state.relayGiven)
      ? Effect.map(node.address, ({ relayUrl }) => (relayUrl === undefined ? "the node has no relay" : undefined))
      : Effect.undefined
  )
  return Health.make({
    phase: Effect.sync(() => state.phase),
    services: services.map(({ name }) => name),
    registry: Effect.sync(() => state.registry()),
    checks: [relay, Effect.suspend(() => state.leased), ...checks]
  })
}

/** Answers probes over HTTP, where a port is given. Answers where. */
export const listen = Effect.fnUntraced(function* (
  options: HealthOptions,
  config: Resolved,
  health: Health["Service"]
): Effect.fn.Return<string | undefined, HealthServerError, Scope.Scope> {
  const port = options.port ?? config.healthPort
  const host = options.host ?? config.healthHost
  if (port === 0) return undefined
  // An HTTP server is much to load for those who want none.
  const HealthServer = yield* Effect.promise(() => import("@aster-effect/observability/HealthServer"))
  yield* HealthServer.serve(health, { port, host })
  yield* Effect.logInfo("health and metrics are served", { host, port })
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`
})

/** `AsterHealth` with its handlers. */
export const implementation = (
  health: Health["Service"]
): Effect.Effect<ReadonlyArray<Service.Implementation>, never, Scope.Scope> =>
  Effect.map(Layer.build(HealthService.layer(health)), Service.implementationsIn)
