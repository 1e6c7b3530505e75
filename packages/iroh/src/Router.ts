/**
 * Serves incoming connections: gate, protocol by ALPN, one supervised fiber each.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import { type Connection, refuseUni } from "./Connection.ts"
import { ConnectionGate } from "./ConnectionGate.ts"
import type { EndpointId } from "./EndpointId.ts"
import { IrohNode } from "./IrohNode.ts"
import { supervise, Supervisor } from "./Supervisor.ts"

/**
 * Serves one connection. The connection lives as long as this runs: returning closes it (after the peer has had time to
 * take what was sent), failing or dying closes it with code 500 and is logged, without harm to other connections.
 *
 * `draining` completes when the router wants to stop: accept no more work then, finish what runs and return.
 */
export type Handler<R = never> = (
  connection: Connection,
  draining: Effect.Effect<void>
) => Effect.Effect<void, unknown, R>

/** For protocols that have no streams of one direction: those that a peer opens are stopped, see `refuseUni`. */
export const bidirectional =
  <R>(handler: Handler<R>): Handler<R> =>
  (connection, draining) =>
    Effect.raceFirst(
      handler(connection, draining),
      Effect.catch(refuseUni(connection), () => Effect.never)
    )

/** A protocol that a router can serve. The package that speaks it exports it. */
export interface Protocol<R = never> {
  /** Its name in the handshake. */
  readonly alpn: string
  readonly handler: Handler<R>
}

/** What `serve` can be told. */
export interface RouterOptions<Protocols extends ReadonlyArray<Protocol<unknown>>> {
  /** The node takes connections for exactly these, and those it was made with. Each ALPN at most once. */
  readonly protocols: Protocols
  /** Further connections are closed with code 503. Default: 1,024. */
  readonly maxConnections?: number | undefined
  /** Of these, connections of one peer; its further ones are closed with code 503. Default: 128. */
  readonly maxConnectionsPerPeer?: number | undefined
  /** How long handlers may go on once draining has begun, before they are interrupted. Default: 10 seconds. */
  readonly gracePeriod?: Duration.Input | undefined
  /** How long the peer may take to close a connection that was served, before we do. Default: 1 second. */
  readonly linger?: Duration.Input | undefined
  /** How long the gate may take; no answer is a denial. Default: 10 seconds. */
  readonly gateTimeout?: Duration.Input | undefined
}

/** A router at work. */
export interface Router {
  /** Connections being served now. */
  readonly connections: Effect.Effect<number>
  /**
   * Serves nobody new, tells the handlers, waits for them for the grace period and interrupts those left. Done again,
   * waits for the same end. The node stays open.
   */
  readonly drain: Effect.Effect<void>
}

/** What stands for a protocol that the router does not serve. */
const OTHER = "other"

/** The connections of one protocol, in numbers. */
interface Counts {
  readonly active: Metric.Gauge<number>
  readonly served: Metric.Counter<number>
  readonly denied: Metric.Counter<number>
  readonly unknown: Metric.Counter<number>
  readonly full: Metric.Counter<number>
}

const countsOf = (alpn: string): Counts => {
  const total = (outcome: string) =>
    Metric.counter("iroh_connections_total", {
      description: "Connections that came in, by protocol and what became of them",
      attributes: { alpn, outcome },
      incremental: true
    })
  return {
    active: Metric.gauge("iroh_connections_active", {
      description: "Connections that are served now, by protocol",
      attributes: { alpn }
    }),
    served: total("served"),
    denied: total("denied"),
    unknown: total("unknown_protocol"),
    full: total("full")
  }
}

/** What handlers need, apart from the scope that each connection brings. */
type Needs<Protocols extends ReadonlyArray<Protocol<unknown>>> = Exclude<
  Effect.Services<ReturnType<Protocols[number]["handler"]>>,
  Scope.Scope
>

/**
 * Serves the node's incoming connections in the background until the scope closes, which drains first.
 *
 * Closed without being served: with 403 "not admitted" whom the gate denies, with 400 a protocol that has no handler,
 * with 503 what goes beyond `maxConnections` and `maxConnectionsPerPeer`, and with 0 "server closed" who comes while draining.
 */
export const serve = Effect.fnUntraced(function* <const Protocols extends ReadonlyArray<Protocol<unknown>>>(
  options: RouterOptions<Protocols>
): Effect.fn.Return<Router, never, IrohNode | Scope.Scope | Needs<Protocols>> {
  const node = yield* IrohNode
  const gate = yield* ConnectionGate
  // The union of what they need, which the compiler does not see through the index.
  const protocols = options.protocols as ReadonlyArray<Protocol<Needs<Protocols> | Scope.Scope>>
  const handlers = new Map(protocols.map(({ alpn, handler }) => [alpn, handler]))
  if (handlers.size < protocols.length) return yield* Effect.die(new Error("two protocols of a router share an ALPN"))
  const maxConnections = options.maxConnections ?? 1024
  const maxConnectionsPerPeer = options.maxConnectionsPerPeer ?? 128
  const perPeer = new Map<EndpointId, number>()
  const serving = yield* FiberSet.make<void>()
  const draining = Deferred.makeUnsafe<void>()
  const drained = Deferred.makeUnsafe<void>()

  // In a fiber of its own, so that interrupting one who waits for it does not stop it.
  const wait = Effect.timeoutOption(FiberSet.awaitEmpty(serving), options.gracePeriod ?? "10 seconds")
  yield* Deferred.await(draining).pipe(
    Effect.andThen(wait),
    Effect.andThen(FiberSet.clear(serving)),
    Effect.andThen(Deferred.succeed(drained, undefined)),
    Effect.forkScoped
  )
  const drain = Effect.andThen(Deferred.succeed(draining, undefined), Deferred.await(drained))
  yield* Effect.addFinalizer(() => drain)

  const admitted = (connection: Connection) =>
    Effect.suspend(() => gate.admit(connection.remoteId, connection.alpn)).pipe(
      Effect.timeoutOrElse({
        duration: options.gateTimeout ?? "10 seconds",
        orElse: () => Effect.as(Effect.logError("The gate did not answer; the peer is denied"), false)
      }),
      Effect.catchDefect((defect) => Effect.as(Effect.logError("The gate failed; the peer is denied", defect), false)),
      Effect.raceFirst(Effect.as(connection.closed, false)) // who has left need not be decided about
    )

  const handle = (connection: Connection, handler: Handler<Needs<Protocols> | Scope.Scope>) =>
    Effect.suspend(() => handler(connection, Deferred.await(draining))).pipe(
      Effect.scoped,
      Effect.andThen(Effect.timeoutOption(connection.closed, options.linger ?? "1 second")),
      Effect.catchCause((cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.void
        // A handler that minds its peer's leaving is no news; a defect is.
        if (connection.isClosed() && !Cause.hasDies(cause)) return Effect.logDebug("A connection ended", cause)
        return Effect.andThen(Effect.logError("Serving a connection failed", cause), connection.close(500, "failed"))
      }),
      Effect.ensuring(connection.close(0, "server closed"))
    )

  const counts = new Map([...handlers.keys(), OTHER].map((alpn) => [alpn, countsOf(alpn)]))
  const countsFor = ({ alpn }: Connection): Counts => counts.get(alpn) ?? counts.get(OTHER)!

  const serveOne = Effect.fnUntraced(function* (connection: Connection) {
    const { active, denied, served, unknown } = countsFor(connection)
    if (!(yield* admitted(connection))) {
      yield* Metric.update(denied, 1)
      return yield* connection.close(403, "not admitted")
    }
    const handler = handlers.get(connection.alpn)
    if (handler === undefined) {
      yield* Metric.update(unknown, 1)
      return yield* connection.close(400, "no handler for this protocol")
    }
    yield* Metric.update(served, 1)
    yield* Metric.modify(active, 1)
    yield* Effect.ensuring(
      Effect.annotateLogs(handle(connection, handler), { peer: connection.remoteId, alpn: connection.alpn }),
      Metric.modify(active, -1)
    )
  })

  /** Says that a limit turns peers away, at most once a minute for each limit. */
  const saidAt = new Map<string, number>()
  const full = (connection: Connection, limit: "maxConnections" | "maxConnectionsPerPeer", what: string) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const counted = Metric.update(countsFor(connection).full, 1)
      if (now < (saidAt.get(limit) ?? -Infinity) + 60_000) return counted
      saidAt.set(limit, now)
      return Effect.andThen(Effect.logWarning(`connections are refused: ${what} (${limit})`), counted)
    })

  /** Counts a connection of a peer while it is served. */
  const counted = <R>(peer: EndpointId, effect: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> => {
    perPeer.set(peer, (perPeer.get(peer) ?? 0) + 1)
    return Effect.ensuring(
      effect,
      Effect.sync(() => {
        const left = (perPeer.get(peer) ?? 0) - 1
        if (left > 0) perPeer.set(peer, left)
        else perPeer.delete(peer)
      })
    )
  }

  yield* node.advertise(handlers.keys())
  const supervisor = yield* Supervisor
  const accepting = node.accept.pipe(
    Effect.flatMap((connection) => {
      if (Deferred.isDoneUnsafe(draining)) return connection.close(0, "server closed")
      const peer = connection.remoteId
      return Effect.flatMap(FiberSet.size(serving), (count) => {
        if (count >= maxConnections) {
          return Effect.andThen(
            full(connection, "maxConnections", `all ${maxConnections} connections are taken`),
            connection.close(503, "too many connections")
          )
        }
        if ((perPeer.get(peer) ?? 0) >= maxConnectionsPerPeer) {
          return Effect.andThen(
            full(
              connection,
              "maxConnectionsPerPeer",
              `peer ${peer} has ${maxConnectionsPerPeer} connections, the limit for one`
            ),
            connection.close(503, "too many connections of one peer")
          )
        }
        return Effect.asVoid(FiberSet.run(serving, counted(peer, serveOne(connection))))
      })
    }),
    Effect.forever,
    Effect.catchTag("NodeClosed", () =>
      Effect.sync(() => {
        if (!Deferred.isDoneUnsafe(draining)) supervisor.giveUp("the router, whose node is closed")
      })
    )
  )
  yield* Effect.forkScoped(supervise("the accept loop of the router", accepting))
  return { connections: FiberSet.size(serving), drain }
})
