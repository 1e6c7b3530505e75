/**
 * Calls on one connection.
 *
 * @since 0.1.0
 */
import type { Dispatcher } from "@aster-effect/core/call/Dispatcher"
import type { CallChannel } from "@aster-effect/core/wire/CallChannel"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Multiplex from "./Multiplex.ts"
import type { Connection } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Router from "@aster-effect/iroh/Router"
import { counted } from "./internal/counted.ts"
import * as IrohChannel from "./IrohChannel.ts"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"

/** The ALPN of calls (Aster RPC wire, ALPNs). @since 0.1.0 */
export const ALPN = "aster/1"

/** Connections that calls come on. @since 0.1.0 */
export const connections = {
  active: Metric.gauge("aster_connections_active", { description: "Connections that calls come on, now" }),
  total: Metric.counter("aster_connections_total", { description: "Connections that calls came on", incremental: true })
} as const

/** Streams of calls that peers opened. Small calls of a client of ours share one. @since 0.1.0 */
export const streams = {
  active: Metric.gauge("aster_streams_active", { description: "Streams of calls that are open" }),
  total: Metric.counter("aster_streams_total", { description: "Streams of calls that peers opened", incremental: true })
} as const

/**
 * Calls as a protocol of a router.
 *
 * @param options.whileAdmitted serves a connection for as long as its peer is admitted
 * @since 0.1.0
 */
export const protocol = (
  dispatcher: Dispatcher,
  options: {
    readonly attributesOf: (id: EndpointId) => ReadonlyMap<string, string>
    readonly whileAdmitted: <E, R>(
      connection: Connection,
      serving: Effect.Effect<void, E, R>
    ) => Effect.Effect<void, E, R>
  }
): Router.Protocol<Scope.Scope> => ({
  alpn: ALPN,
  handler: Router.bidirectional((connection, draining) =>
    counted(
      connections,
      options.whileAdmitted(connection, serve(dispatcher, connection, options.attributesOf, draining))
    )
  )
})

/**
 * Serves every stream the peer opens as a call, each in a fiber of its own, until the connection ends or draining
 * begins. The end of the connection interrupts the calls that run, as there is nobody left to answer; draining waits for
 * them. Closing the scope interrupts them. Calls that come while draining, and until the connection is closed, are refused
 * with UNAVAILABLE.
 *
 * @param attributesOf what a peer is admitted with; asked again for every call
 * @since 0.1.0
 */
export const serve = Effect.fnUntraced(function* (
  dispatcher: Dispatcher,
  connection: Connection,
  attributesOf: (id: EndpointId) => ReadonlyMap<string, string>,
  draining: Effect.Effect<void>
): Effect.fn.Return<void, never, Scope.Scope> {
  const calls = yield* FiberSet.make<void>()
  const budget = yield* Effect.acquireRelease(
    Effect.sync(() => dispatcher.budget.join(connection.remoteId)),
    () => Effect.sync(() => dispatcher.budget.leave(connection.remoteId))
  )
  const peer = {
    id: connection.remoteId,
    budget,
    draining,
    get attributes() {
      return attributesOf(connection.remoteId)
    }
  }
  const handle = Multiplex.server(dispatcher, peer, draining)
  const accept = (
    fibers: FiberSet.FiberSet<void>,
    serving: (channel: CallChannel) => Effect.Effect<void>
  ): Effect.Effect<void> =>
    Effect.forever(
      Effect.flatMap(connection.acceptBi, (stream) =>
        FiberSet.run(
          fibers,
          counted(streams, Effect.catchCause(serving(IrohChannel.make(stream, "server")), logFailure)),
          { startImmediately: true }
        )
      ),
      { disableYield: true }
    ).pipe(Effect.catchTag("ConnectionLost", () => Effect.void))
  yield* Effect.raceFirst(accept(calls, handle), draining)
  // Who calls now is told at once, and may go elsewhere. The connection outlives this by what its peer needs to take the
  // last answers, and so does the refusing, which ends with it.
  const refusing = Effect.flatMap(FiberSet.make<void>(), (refused) =>
    accept(refused, (channel) => dispatcher.refuse(channel, goingAway))
  )
  yield* Effect.forkDetach(Effect.scoped(refusing))
  yield* Effect.raceFirst(FiberSet.awaitEmpty(calls), connection.closed)
})

/**
 * Detail of a status by which a server says that it has not begun with the call, and why: it may be made elsewhere, whatever
 * it does. Peers of release 0.1.2 pass over it.
 *
 * @since 0.1.0
 */
export const REFUSED = "aster.refused"

const goingAway = RpcError.of("UNAVAILABLE", "the server takes no further calls; try another one, or later", {
  [REFUSED]: "draining"
})

const logFailure = Effect.fnUntraced(function* (cause: Parameters<typeof Effect.logError>[0]) {
  yield* Effect.logError("serving a call failed", cause)
})
