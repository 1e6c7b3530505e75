import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Encoding } from "../../message/MessageCodec.ts"
import type { Pattern } from "../../message/WireType.ts"
import { type CallChannel, ChannelError } from "../../wire/CallChannel.ts"
import { decodeStatus, encodeStatus, OK, type RpcStatus, SESSION_ALIVE } from "../../wire/Control.ts"
import { DETAIL_KEY } from "../../wire/DeclaredError.ts"
import * as Frame from "../../wire/Frame.ts"
import { FrameReader } from "../../wire/FrameReader.ts"
import { RpcError } from "../../wire/RpcError.ts"
import { StatusCode } from "../../wire/Status.ts"

/** For the answer to a CANCEL: a server that does not give it has lost count, or is one that never does. */
const CANCEL_PATIENCE = "5 seconds"

const cancelFrame = Frame.encode(new Uint8Array(0), Frame.CANCEL)

/**
 * One session at a client: its calls take turns on one stream. Where a server has ended the session it may say nothing more,
 * no end and no trailer, so after what it ends sessions with nothing more is sent.
 */
export class ClientSession {
  readonly #channel: CallChannel
  readonly reader: FrameReader
  readonly #lock = Semaphore.makeUnsafe(1)
  readonly okTrailer: Uint8Array
  #dead: RpcError | undefined

  constructor(channel: CallChannel, encoding: Encoding) {
    this.#channel = channel
    this.reader = new FrameReader(channel)
    this.okTrailer = Frame.encode(encodeStatus(OK, encoding), Frame.TRAILER)
  }

  /** A channel for the next call, once the calls before are over. */
  open(pattern: Pattern): Effect.Effect<CallChannel, RpcError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(this.#lock.take(1)), () =>
        this.#dead === undefined
          ? Effect.succeed(new SessionCall(this, pattern))
          : Effect.andThen(this.leave, Effect.fail(this.#dead))
      )
    )
  }

  /** The call is over. */
  readonly leave: Effect.Effect<void> = Effect.suspend(() => Effect.asVoid(this.#lock.release(1)))

  send(bytes: Uint8Array): Effect.Effect<void, ChannelError> {
    // Frames stay whole, also when the call is interrupted meanwhile.
    return Effect.uninterruptible(this.#channel.send(bytes))
  }

  /** No further calls: the server has ended the session, or nobody knows where it is. */
  die(why: string): void {
    this.#dead ??= RpcError.of("UNAVAILABLE", `the session is over: ${why}; open another one`)
  }

  /** Ends the session, between calls where that comes soon. */
  get close(): Effect.Effect<void> {
    return Effect.flatMap(Effect.timeoutOption(this.#lock.take(1), CANCEL_PATIENCE), (taken) => {
      const quiet = taken._tag === "Some" && this.#dead === undefined
      this.die("it was closed")
      return quiet ? this.#channel.release : this.#channel.abort
    })
  }
}

/** For the status of a cancelled call behind that of the call itself. */
const SECOND_TRAILER = "1 second"

/** Statuses with which servers of release 0.1.2 end a session, unless they are a handler's. */
const FATAL: ReadonlySet<number> = new Set([
  StatusCode.RESOURCE_EXHAUSTED,
  StatusCode.FAILED_PRECONDITION,
  StatusCode.UNIMPLEMENTED
])

const isFatal = ({ code, detailKeys }: RpcStatus): boolean =>
  FATAL.has(code) && !detailKeys.includes(SESSION_ALIVE) && !detailKeys.includes(DETAIL_KEY)

/** One call of a session as a channel. */
class SessionCall implements CallChannel {
  readonly #session: ClientSession
  readonly #single: boolean
  #begun = false
  /** Whether the answer is complete. */
  #answered = false
  #left = false

  constructor(session: ClientSession, pattern: Pattern) {
    this.#session = session
    this.#single = pattern === "unary" || pattern === "client_stream"
  }

  readonly receive: Effect.Effect<Uint8Array | undefined, ChannelError> = Effect.suspend(() =>
    Effect.matchEffect(this.#session.reader.next, {
      onFailure: (error) => {
        this.#session.die("its stream is broken")
        return Effect.fail(
          error instanceof Frame.FrameError ? new ChannelError({ reason: "Reset", detail: error.message }) : error
        )
      },
      onSuccess: (frame) => this.#take(frame)
    })
  )

  #take(frame: Frame.Frame | undefined): Effect.Effect<Uint8Array | undefined, ChannelError> {
    const { okTrailer } = this.#session
    if (frame === undefined) {
      this.#session.die("the server has ended its stream")
      return Effect.undefined
    }
    const bytes = Frame.encode(frame.payload, frame.flags)
    if ((frame.flags & Frame.TRAILER) === 0) {
      this.#begun = true
      if (!this.#single) return Effect.succeed(bytes)
      // In a session a single response stands without a trailer.
      this.#answered = true
      return Effect.succeed(Buffer.concat([bytes, okTrailer]))
    }
    const status = statusOf(frame)
    // TypeScript servers of release 0.1.2 end client streams with a trailer that belongs to no call.
    if (this.#single && !this.#begun && status?.code === 0) return this.receive
    this.#answered = true
    if (status === undefined) this.#session.die("the server sent a status that cannot be read")
    else if (isFatal(status)) this.#session.die(`the server ended a call with status ${status.code}`)
    return Effect.succeed(bytes)
  }

  send(bytes: Uint8Array): Effect.Effect<void, ChannelError> {
    return this.#session.send(bytes)
  }

  readonly finish: Effect.Effect<void> = Effect.void

  readonly release: Effect.Effect<void> = Effect.suspend(() => this.#leave)

  /** Cancels the call and waits, in the background, until the server has said so: the next call comes after that. */
  readonly abort: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#left || this.#answered) return this.#leave
    const { reader } = this.#session
    const trailer = Effect.repeat(reader.next, {
      until: (frame) => frame === undefined || (frame.flags & Frame.TRAILER) !== 0
    })
    // The answer may have been on its way already: then it comes first. Python servers leave the other out for bidi calls.
    const quiet = Effect.flatMap(trailer, (first) =>
      first === undefined || statusOf(first)?.code === StatusCode.CANCELLED
        ? Effect.succeed(first)
        : Effect.timeoutOrElse(trailer, { duration: SECOND_TRAILER, orElse: () => Effect.succeed(first) })
    )
    const cancelling = Effect.andThen(this.#session.send(cancelFrame), quiet).pipe(
      Effect.timeout(CANCEL_PATIENCE),
      Effect.flatMap((frame) =>
        Effect.sync(() => {
          if (frame === undefined) this.#session.die("the server has ended its stream")
        })
      ),
      Effect.catch(() =>
        Effect.sync(() => this.#session.die("a call of it was given up, and the server did not say so"))
      ),
      Effect.ensuring(Effect.suspend(() => this.#leave))
    )
    // Detached: giving a call up does not wait for the server. Bounded by its patience.
    return Effect.asVoid(Effect.forkDetach(cancelling))
  })

  get #leave(): Effect.Effect<void> {
    if (this.#left) return Effect.void
    this.#left = true
    return this.#session.leave
  }
}

const statusOf = (frame: Frame.Frame): RpcStatus | undefined => {
  try {
    return decodeStatus(frame.payload)
  } catch {
    return undefined
  }
}
