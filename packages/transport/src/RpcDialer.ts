/**
 * Connections for calls: opened when first needed, shared, and opened again after they were lost.
 *
 * @since 0.1.0
 */
import type { CallChannel } from "@aster-effect/core/wire/CallChannel"
import type * as Caller from "@aster-effect/core/call/Caller"
import * as Multiplex from "./Multiplex.ts"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import { type CloseReason, type Connection, type ConnectionLost, refuseStreams } from "@aster-effect/iroh/Connection"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type { ConnectError } from "@aster-effect/iroh/NodeError"
import * as RpcConnection from "./RpcConnection.ts"
import * as IrohChannel from "./IrohChannel.ts"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"

/** @since 0.1.0 */
export interface RpcDialer {
  /** Opens channels for calls on the connection to this peer. Fails with UNAVAILABLE or PERMISSION_DENIED. */
  readonly open: (address: NodeAddr) => Caller.Options["open"]
}

/** @since 0.1.0 */
export interface DialerOptions {
  /** For connecting. */
  readonly timeout: Duration.Input
  /** Asks the producer for admission once more, after it refused a connection. Default: nothing to be done. */
  readonly readmit?: Effect.Effect<void, RpcError> | undefined
  /**
   * Make sure of the admission when a connection is opened again, at the cost of a round trip: a refusal arrives after
   * the connection, so a call would run into it. Default false.
   */
  readonly prove?: boolean | undefined
  /** Put small unary calls on one stream where the producer knows how to. Default true. */
  readonly multiplex?: boolean | undefined
}

/**
 * All connections are closed with the scope. The first connection to a peer is simply opened; a later one may meet a
 * producer that no longer knows this consumer, and then `readmit` comes first.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  node: IrohNode["Service"],
  options: DialerOptions
): Effect.fn.Return<RpcDialer, never, Scope.Scope> {
  const peers = new Map<string, Peer>()
  let closed = false
  yield* Effect.addFinalizer(() =>
    Effect.forEach(peers.values(), ({ connection }) => connection?.close(0, "normal close") ?? Effect.void, {
      discard: true
    })
  )
  const attempts = yield* FiberSet.make<void>()
  yield* Effect.addFinalizer(() => Effect.sync(() => (closed = true)))
  return {
    open: (address) => (pattern, size) =>
      Effect.suspend(() => {
        if (closed) return Effect.fail(clientClosed)
        let peer = peers.get(address.endpointId)
        if (peer === undefined) {
          const connect = Effect.mapError(
            node.connect(address, RpcConnection.ALPN, { timeout: options.timeout }),
            unavailable
          )
          peers.set(address.endpointId, (peer = new Peer(reconnecting(connect, options), attempts, options)))
        }
        return pattern === "unary" && size <= Multiplex.MAX_REQUEST ? peer.openShared : peer.open
      })
  }
})

/** How to connect, given the connection before. */
type Connect = (previous: Connection | undefined) => Effect.Effect<Connection, RpcError>

const reconnecting = (
  connect: Effect.Effect<Connection, RpcError>,
  { prove = false, readmit = Effect.void }: DialerOptions
): Connect => {
  const afresh = Effect.andThen(readmit, connect)
  return Effect.fnUntraced(function* (previous) {
    if (previous === undefined) return yield* connect
    if (isRefusal(yield* previous.closed)) return yield* afresh
    const connection = yield* connect
    const proof = Effect.onInterrupt(refused(connection), () => connection.close(0, "normal close"))
    if (!prove || !(yield* proof)) return connection
    return yield* afresh
  })
}

/**
 * Whether the producer refuses a new connection: a stream without content is answered by its end, or falls with the
 * connection. Release 0.1.2 does not answer such a stream at all, hence the short wait.
 */
const refused = (connection: Connection): Effect.Effect<boolean> =>
  Effect.flatMap(connection.openBi, ({ recv, send }) =>
    Effect.ensuring(Effect.andThen(send.finish, Effect.timeoutOption(recv.read(), "1 second")), recv.discard)
  ).pipe(
    Effect.ignore,
    Effect.andThen(
      Effect.suspend(() => (connection.isClosed() ? Effect.map(connection.closed, isRefusal) : Effect.succeed(false)))
    )
  )

const clientClosed = RpcError.of("UNAVAILABLE", "this client is closed")

/** The one connection to a peer. */
class Peer {
  connection: Connection | undefined
  readonly #connect: Connect
  readonly #attempts: FiberSet.FiberSet<void>
  /** The attempt under way: everybody who needs the connection waits for the same one, and nobody stops it by leaving. */
  #attempt: Deferred.Deferred<Connection, RpcError> | undefined
  /** Small calls so far on the connection: a client that makes only one does not ask for a shared stream. */
  #calls = 0
  #shared: Multiplex.Multiplex | undefined
  /** Whether to ask for a shared stream: once for every connection, and never again where the producer knows of none. */
  #asks: boolean

  constructor(connect: Connect, attempts: FiberSet.FiberSet<void>, { multiplex = true }: DialerOptions) {
    this.#connect = connect
    this.#attempts = attempts
    this.#asks = multiplex
  }

  readonly #connected: Effect.Effect<Connection, RpcError> = Effect.suspend(() => {
    const { connection } = this
    if (connection?.isClosed() === false) return Effect.succeed(connection)
    if (this.#attempt !== undefined) return Deferred.await(this.#attempt)
    const attempt = (this.#attempt = Deferred.makeUnsafe<Connection, RpcError>())
    const dial = Effect.onExit(this.#connect(connection), (exit) => {
      this.#attempt = undefined
      const done = Deferred.done(attempt, Exit.hasInterrupts(exit) ? Exit.fail(clientClosed) : exit)
      if (Exit.isFailure(exit)) return done
      this.connection = exit.value
      // Producers open no streams.
      return Effect.andThen(FiberSet.run(this.#attempts, Effect.ignore(refuseStreams(exit.value))), done)
    })
    return Effect.andThen(FiberSet.run(this.#attempts, Effect.ignore(dial)), Deferred.await(attempt))
  })

  // A connection can be lost between the look at it and its use, so one more try is fair before any byte was sent.
  readonly open: Effect.Effect<CallChannel, RpcError> = Effect.suspend(() => this.#opened).pipe(
    Effect.catchTag("ConnectionLost", () => this.#opened),
    Effect.catchTag("ConnectionLost", (error) => Effect.fail(RpcError.of(statusFor(error.reason), error.message)))
  )

  /** On the stream that calls share, as soon as there is one. */
  readonly openShared: Effect.Effect<CallChannel, RpcError> = Effect.suspend(() => {
    const channel = this.#shared?.open()
    if (channel !== undefined) return Effect.succeed(channel)
    if (!this.#asks || ++this.#calls !== 2) return this.open
    return Effect.tap(this.open, () => FiberSet.run(this.#attempts, this.#share))
  })

  /** Asks for a shared stream and keeps it as long as it lasts. Calls meanwhile have streams of their own. */
  readonly #share: Effect.Effect<void> = Effect.suspend(() => this.#opened).pipe(
    Effect.flatMap(Multiplex.connect),
    Effect.flatMap((shared) => {
      if (shared === undefined) {
        this.#asks = false
        return Effect.void
      }
      this.#shared = shared
      return shared.ended
    }),
    Effect.scoped,
    Effect.ignore,
    Effect.ensuring(
      Effect.sync(() => {
        this.#shared = undefined
        this.#calls = 0
      })
    )
  )

  get #opened(): Effect.Effect<CallChannel, RpcError | ConnectionLost> {
    return Effect.flatMap(this.#connected, (connection) => Effect.map(connection.openBi, IrohChannel.make))
  }
}

/** 403 is how a gate closes the door. */
const isRefusal = (reason: CloseReason): boolean => reason._tag === "Peer" && reason.code === 403

const statusFor = (reason: CloseReason) => (isRefusal(reason) ? "PERMISSION_DENIED" : "UNAVAILABLE")

const unavailable = (error: ConnectError): RpcError => RpcError.of("UNAVAILABLE", error.message)
