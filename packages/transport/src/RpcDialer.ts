/**
 * Connections for calls: opened when first needed, shared, and opened again after they were lost.
 *
 * @since 0.1.0
 */
import type { CallChannel, DirectChannel } from "@aster-effect/core/wire/CallChannel"
import type { Pattern } from "@aster-effect/core/message/WireType"
import type * as Caller from "@aster-effect/core/call/Caller"
import * as Multiplex from "./Multiplex.ts"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import { type CloseReason, type Connection, ConnectionLost, refuseStreams } from "@aster-effect/iroh/Connection"
import type { StreamError } from "@aster-effect/iroh/BiStream"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { ConnectError } from "@aster-effect/iroh/NodeError"
import { counted } from "./internal/counted.ts"
import * as RpcConnection from "./RpcConnection.ts"
import { MAX_STREAMS, PeerConnection, type Producer } from "./PeerConnection.ts"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"

/** Connections of the clients of this process. @since 0.1.0 */
export const connections = {
  active: Metric.gauge("aster_client_connections_active", { description: "Connections of clients to producers, now" }),
  total: Metric.counter("aster_client_connections_total", {
    description: "Connections that clients opened to producers",
    incremental: true
  })
} as const

/** @since 0.1.0 */
export interface RpcDialer {
  /**
   * Opens channels for calls on the connection to this peer. Fails with UNAVAILABLE or PERMISSION_DENIED. Connections are
   * opened at the address of the peer that was given last.
   */
  readonly open: (address: NodeAddr.NodeAddr) => Caller.CallerOptions["open"]
  /** A channel on the stream that small calls to this peer share; undefined where there is none, or for other calls. */
  readonly openNow: (id: EndpointId) => NonNullable<Caller.CallerOptions["openNow"]>
  /** Opens a connection to this peer, if there is none yet, and makes sure that the peer serves it. */
  readonly connect: (address: NodeAddr.NodeAddr) => Effect.Effect<void, RpcError>
  /**
   * Whether this peer gives a sign of life in time, be it an acknowledgement, on one of its connections. Without a
   * connection nothing can be said against it.
   */
  readonly isAlive: (id: EndpointId, within: Duration.Input) => Effect.Effect<boolean>
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
  /** Connections to one producer at a time, each for 96 calls that have streams of their own. Default 32. */
  readonly maxConnections?: number | undefined
  /** Called when the last connection to a peer is lost. Default: the next call opens another one. */
  readonly lost?: ((id: EndpointId) => void) | undefined
}

/**
 * All connections are closed with the scope. The first connection to a peer is simply opened; a later one may meet a
 * producer that no longer knows this consumer, and then `readmit` comes first. When all streams of a connection are taken
 * another one is opened, and when a call was given up without a sign of life from the peer, one beside it.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  node: IrohNode["Service"],
  options: DialerOptions
): Effect.fn.Return<RpcDialer, never, Scope.Scope> {
  const peers = new Map<string, Peer>()
  /** Of each peer, what was said last. */
  const addresses = new Map<string, NodeAddr.NodeAddr>()
  let closed = false
  yield* Effect.addFinalizer(() => Effect.forEach(peers.values(), (peer) => peer.close, { discard: true }))
  const background = yield* FiberSet.make<void>()
  yield* Effect.addFinalizer(() => Effect.sync(() => (closed = true)))
  const peerOf = (id: EndpointId): Peer => {
    const known = peers.get(id)
    if (known !== undefined) return known
    const connect = Effect.suspend(() =>
      node.connect(addresses.get(id) ?? NodeAddr.make(id), RpcConnection.ALPN, { timeout: options.timeout })
    ).pipe(Effect.mapError(unavailable))
    const peer = new Peer(connect, background, { ...options, lost: () => options.lost?.(id) })
    peers.set(id, peer)
    return peer
  }
  return {
    open: (address) => {
      addresses.set(address.endpointId, address)
      return (pattern, size) =>
        Effect.suspend(() => {
          if (closed) return Effect.fail(clientClosed)
          const peer = peerOf(address.endpointId)
          return isSmall(pattern, size) ? peer.openSmall : peer.open
        })
    },
    openNow: (id) => (pattern, size) => (!closed && isSmall(pattern, size) ? peers.get(id)?.openShared() : undefined),
    connect: (address) =>
      Effect.suspend(() => {
        if (closed) return Effect.fail(clientClosed)
        addresses.set(address.endpointId, address)
        return peerOf(address.endpointId).connected
      }),
    isAlive: (id, within) => Effect.suspend(() => peers.get(id)?.isAlive(within) ?? Effect.succeed(true))
  }
})

const isSmall = (pattern: Pattern, size: number): boolean => pattern === "unary" && size <= Multiplex.MAX_REQUEST

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

/** Waits for the answer to a stream without content. */
const answered = (connection: Connection): Effect.Effect<unknown, ConnectionLost | StreamError> =>
  Effect.flatMap(connection.openBi, ({ recv, send }) =>
    Effect.ensuring(Effect.andThen(send.finish, recv.read()), recv.discard)
  )

/**
 * Whether the producer refuses a new connection: a stream without content is answered by its end, or falls with the
 * connection. Release 0.1.2 does not answer such a stream at all, hence the short wait.
 */
const refused = (connection: Connection): Effect.Effect<boolean> =>
  Effect.timeoutOption(answered(connection), "1 second").pipe(
    Effect.ignore,
    Effect.andThen(
      Effect.suspend(() => (connection.isClosed() ? Effect.map(connection.closed, isRefusal) : Effect.succeed(false)))
    )
  )

const clientClosed = RpcError.of("UNAVAILABLE", "this client is closed")

/** How long a peer that a call was given up on may be silent before a connection is opened beside the one to it. */
const SILENCE = Duration.millis(200)
/** Between two of those. */
const BESIDE_EVERY = Duration.seconds(10)

/** The connections to one producer. */
class Peer {
  readonly #connect: Effect.Effect<Connection, RpcError>
  readonly #reconnect: Connect
  readonly #producer: Producer
  readonly #maxConnections: number
  readonly #lost: (() => void) | undefined
  #connections: Array<PeerConnection> = []
  /** The last connection that was opened: what became of it decides how the next one is opened. */
  #last: Connection | undefined
  /** The attempt under way: everybody who needs a connection waits for the same one, and nobody stops it by leaving. */
  #attempt: Deferred.Deferred<void, RpcError> | undefined
  #besideAt = -Infinity
  #verifying = false

  constructor(
    connect: Effect.Effect<Connection, RpcError>,
    background: FiberSet.FiberSet<void>,
    options: Omit<DialerOptions, "lost"> & { readonly lost?: () => void }
  ) {
    this.#lost = options.lost
    this.#connect = connect
    this.#reconnect = reconnecting(connect, options)
    this.#maxConnections = options.maxConnections ?? 32
    this.#producer = {
      asks: options.multiplex ?? true,
      background,
      givenUp: (on) => this.#verify(on)
    }
  }

  /** On a stream of its own. */
  readonly open: Effect.Effect<CallChannel, RpcError> = this.#opening((connection) => connection.open)

  readonly #openSmall: Effect.Effect<CallChannel, RpcError> = this.#opening((connection) => connection.openSmall)

  /** On the stream that calls share, as soon as there is one. */
  readonly openSmall: Effect.Effect<CallChannel, RpcError> = Effect.suspend(() => {
    const channel = this.openShared()
    return channel === undefined ? this.#openSmall : Effect.succeed(channel)
  })

  /** A channel on a stream that calls share, where there is one. */
  openShared(): DirectChannel | undefined {
    for (const connection of this.#connections) {
      const channel = connection.openShared()
      if (channel !== undefined) return channel
    }
    return undefined
  }

  /** Waits until there is a connection that the peer serves. */
  readonly connected: Effect.Effect<void, RpcError> = Effect.suspend(() => this.#connected()).pipe(
    Effect.flatMap(({ connection }) =>
      Effect.flatMap(refused(connection), () =>
        connection.isClosed() ? Effect.flatMap(connection.closed, (reason) => Effect.fail(lostBy(reason))) : Effect.void
      )
    )
  )

  isAlive(within: Duration.Input): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const open = this.#connections.filter(({ connection }) => !connection.isClosed())
      if (open.length === 0) return Effect.succeed(true)
      const sign = Effect.raceAll(open.map(({ connection }) => alive(connection)))
      return Effect.map(Effect.timeoutOption(sign, within), (heard) => heard._tag === "Some")
    })
  }

  /** Closes all connections. */
  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(this.#connections, ({ connection }) => connection.close(0, "normal close"), { discard: true })
  )

  // A connection can be lost between the look at it and its use, so one more try is fair before any byte was sent.
  #opening(
    on: (connection: PeerConnection) => Effect.Effect<CallChannel, ConnectionLost>
  ): Effect.Effect<CallChannel, RpcError> {
    const once = Effect.suspend(() => Effect.flatMap(this.#connected(), on))
    return once.pipe(
      Effect.catchTag("ConnectionLost", () => once),
      Effect.catchTag("ConnectionLost", ({ reason }) => Effect.fail(lostBy(reason)))
    )
  }

  /** A connection that has a stream for another call. */
  #connected(): Effect.Effect<PeerConnection, RpcError> {
    this.#connections = this.#connections.filter(({ connection }) => !connection.isClosed())
    const free = this.#connections.find(({ hasRoom }) => hasRoom)
    if (free !== undefined) return Effect.succeed(free)
    if (this.#attempt !== undefined) return this.#after(this.#attempt)
    const usable = this.#connections.filter((connection) => connection.usable).length
    if (usable >= this.#maxConnections) {
      return Effect.fail(
        RpcError.of(
          "RESOURCE_EXHAUSTED",
          `${usable * MAX_STREAMS} calls with streams of their own run on ${usable} connections to this producer, which is ` +
            "the limit (maxConnections); end some of them first"
        )
      )
    }
    return this.#dial(usable === 0 ? Effect.suspend(() => this.#reconnect(this.#last)) : this.#connect)
  }

  /** Whoever waited for the same connection may have taken all of its streams. */
  #after(attempt: Deferred.Deferred<void, RpcError>): Effect.Effect<PeerConnection, RpcError> {
    return Effect.andThen(
      Deferred.await(attempt),
      Effect.suspend(() => this.#connected())
    )
  }

  /** Opens another connection. */
  #dial(connect: Effect.Effect<Connection, RpcError>): Effect.Effect<PeerConnection, RpcError> {
    const attempt = (this.#attempt = Deferred.makeUnsafe<void, RpcError>())
    const dial = Effect.onExit(connect, (exit) => {
      this.#attempt = undefined
      if (Exit.isFailure(exit)) {
        return Deferred.failCause(attempt, Exit.hasInterrupts(exit) ? Cause.fail(clientClosed) : exit.cause)
      }
      return Effect.andThen(this.#add(exit.value), Deferred.succeed(attempt, undefined))
    })
    return Effect.andThen(FiberSet.run(this.#producer.background, Effect.ignore(dial)), this.#after(attempt))
  }

  #add(connection: Connection): Effect.Effect<void> {
    this.#last = connection
    const added = new PeerConnection(connection, this.#producer)
    this.#connections.push(added)
    // Producers open no streams. Refusing them lasts as long as the connection, so that is what is counted.
    const open = counted(connections, Effect.ignore(refuseStreams(connection)))
    const over = Effect.sync(() => {
      if (this.#attempt === undefined && !this.#connections.some(({ usable }) => usable)) this.#lost?.()
    })
    return Effect.asVoid(FiberSet.run(this.#producer.background, Effect.andThen(open, over)))
  }

  /**
   * A call was given up. A peer that died is noticed by QUIC only after half a minute, while it may be back already; so
   * when it gives no sign of life, not even an acknowledgement, a connection is opened beside, and takes the further calls.
   */
  #verify(on: PeerConnection): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (this.#verifying || !on.usable || now < this.#besideAt + Duration.toMillis(BESIDE_EVERY)) return Effect.void
      this.#verifying = true
      const beside = Effect.flatMap(this.#connect, (connection) => {
        this.#besideAt = now
        return Effect.andThen(this.#add(connection), on.retire)
      })
      const verify = Effect.raceFirst(alive(on.connection), Effect.delay(beside, SILENCE))
      return Effect.asVoid(
        FiberSet.run(
          this.#producer.background,
          Effect.ensuring(
            Effect.ignore(verify),
            Effect.sync(() => (this.#verifying = false))
          )
        )
      )
    })
  }
}

/** Waits for a sign of life: anything that arrives, or the answer to a stream without content. */
const alive = (connection: Connection): Effect.Effect<void> =>
  Effect.suspend(() => {
    const before = connection.bytesReceived()
    const heard = Effect.repeat(Effect.sleep("20 millis"), { until: () => connection.bytesReceived() > before })
    return Effect.raceFirst(
      Effect.asVoid(heard),
      Effect.catch(answered(connection), () => Effect.never)
    )
  })

/** 403 is how a gate closes the door, and 503 how a producer says that it has no room. */
const isRefusal = (reason: CloseReason): boolean => reason._tag === "Peer" && reason.code === 403

const statusFor = (reason: CloseReason) =>
  isRefusal(reason)
    ? "PERMISSION_DENIED"
    : reason._tag === "Peer" && reason.code === 503
      ? "RESOURCE_EXHAUSTED"
      : "UNAVAILABLE"

const lostBy = (reason: CloseReason): RpcError => RpcError.of(statusFor(reason), new ConnectionLost({ reason }).message)

const unavailable = (error: ConnectError): RpcError => RpcError.of("UNAVAILABLE", error.message)
