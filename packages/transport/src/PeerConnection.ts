/**
 * One connection to a producer, and the calls on it.
 *
 * @since 0.1.0
 */
import type { CallChannel, ChannelError, DirectChannel } from "@aster-effect/core/wire/CallChannel"
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as IrohChannel from "./IrohChannel.ts"
import * as Multiplex from "./Multiplex.ts"

/**
 * Calls that have a stream of one connection at a time. QUIC allows 100 streams; the rest are for what keeps the connection
 * of use: the stream that small calls share, and finding out whether the peer is there.
 *
 * @since 0.1.0
 */
export const MAX_STREAMS = 96

/** What the connections to one producer have in common. @since 0.1.0 */
export interface Producer {
  /** Whether to ask for a shared stream: not any more once the producer was found to know of none. */
  asks: boolean
  /** What runs as long as the client. */
  readonly background: FiberSet.FiberSet<void>
  /** To be told when a call was given up: the peer may be gone. */
  readonly givenUp: (on: PeerConnection) => Effect.Effect<void>
}

/** @since 0.1.0 */
export class PeerConnection {
  readonly connection: Connection
  readonly #producer: Producer
  #retired = false
  /** Calls that have a stream. */
  #streams = 0
  /** Small calls so far: a client that makes only one does not ask for a shared stream. */
  #small = 0
  #shared: Multiplex.Multiplex | undefined

  constructor(connection: Connection, producer: Producer) {
    this.connection = connection
    this.#producer = producer
  }

  /** Whether it takes further calls. */
  get usable(): boolean {
    return !this.#retired && !this.connection.isClosed()
  }

  /** Whether there is a stream for another call. */
  get hasRoom(): boolean {
    return this.usable && this.#streams < MAX_STREAMS
  }

  /** A channel on the stream that small calls share, where there is one that has room. */
  openShared(): DirectChannel | undefined {
    return this.usable ? this.#shared?.open() : undefined
  }

  /** A channel of its own. To be run while there is room; waits for QUIC to give a stream back where it has to. */
  readonly open: Effect.Effect<CallChannel, ConnectionLost> = Effect.suspend(() => {
    this.#streams++
    return Effect.onError(
      Effect.map(
        this.connection.openBi,
        (stream): CallChannel => new StreamChannel(IrohChannel.make(stream, "client"), this)
      ),
      () => this.left
    )
  })

  /** The same, for a small call, after which others may share a stream. */
  readonly openSmall: Effect.Effect<CallChannel, ConnectionLost> = Effect.suspend(() =>
    this.#producer.asks && ++this.#small === 2
      ? Effect.tap(this.open, () => FiberSet.run(this.#producer.background, this.#share))
      : this.open
  )

  /** Asks for a shared stream and keeps it as long as it lasts. Calls meanwhile have streams of their own. */
  readonly #share: Effect.Effect<void> = Effect.suspend(() => this.connection.openBi).pipe(
    Effect.flatMap((stream) => Multiplex.connect(IrohChannel.make(stream, "client"), { givenUp: this.givenUp })),
    Effect.flatMap((shared) => {
      if (shared === undefined) {
        this.#producer.asks = false
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
        this.#small = 0
      })
    )
  )

  /** A call was given up. */
  readonly givenUp: Effect.Effect<void> = Effect.suspend(() => this.#producer.givenUp(this))

  /** A call with a stream is over. */
  readonly left: Effect.Effect<void> = Effect.sync(() => {
    this.#streams--
  })

  /** Takes no further calls, and closes the connection once those that run are over. */
  readonly retire: Effect.Effect<void> = Effect.suspend(() => {
    this.#retired = true
    const idle = Effect.repeat(Effect.sleep("1 second"), {
      until: () => this.connection.isClosed() || (this.#streams === 0 && (this.#shared?.calls() ?? 0) === 0)
    })
    return Effect.andThen(idle, this.connection.close(0, "normal close"))
  })
}

/** A stream that is counted until its call is over. */
class StreamChannel implements CallChannel {
  readonly receiveInto: CallChannel["receiveInto"]
  readonly #channel: CallChannel
  readonly #connection: PeerConnection
  #over = false

  constructor(channel: CallChannel, connection: PeerConnection) {
    this.receiveInto = channel.receiveInto
    this.#channel = channel
    this.#connection = connection
  }

  get receive(): Effect.Effect<Uint8Array | undefined, ChannelError> {
    return this.#channel.receive
  }

  send(bytes: Uint8Array): Effect.Effect<void, ChannelError> {
    return this.#channel.send(bytes)
  }

  get finish(): Effect.Effect<void, ChannelError> {
    return this.#channel.finish
  }

  get abort(): Effect.Effect<void> {
    return Effect.andThen(this.#channel.abort, Effect.andThen(this.#leave, this.#connection.givenUp))
  }

  get release(): Effect.Effect<void> {
    return Effect.andThen(this.#channel.release, this.#leave)
  }

  get #leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#over) return Effect.void
      this.#over = true
      return this.#connection.left
    })
  }
}
