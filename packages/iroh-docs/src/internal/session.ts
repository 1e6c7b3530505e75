/** A sync session on a stream. */
import type { StreamError } from "@aster-effect/iroh/BiStream"
import { type BiStream } from "@aster-effect/iroh/BiStream"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { Malformed } from "@aster-effect/iroh/Malformed"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { SyncFailed } from "../DocsError.ts"
import * as Bytes from "../proto/Bytes.ts"
import * as SyncMessage from "../proto/SyncMessage.ts"

/** Bounds of a session. */
export interface SessionLimits {
  /** Bytes of a message. */
  readonly maxMessage: number
  /** For one message to arrive or leave. */
  readonly idleTimeout: Duration.Input
  /** For all of it. */
  readonly sessionTimeout: Duration.Input
}

/** Takes the parts of a message and answers with those of the next one. */
export type Respond = (
  parts: ReadonlyArray<SyncMessage.Part>
) => Effect.Effect<ReadonlyArray<SyncMessage.Part>, SyncFailed>

const READ_SIZE = 65_536

/** Messages that a peer may send: halving a million entries takes 20 of them, and each brings up to 4 MiB of them. */
const MAX_ROUNDS = 1000

/** Messages of one session. */
export class Session {
  readonly #stream: BiStream
  readonly #peer: EndpointId
  readonly #limits: SessionLimits
  #pending: Uint8Array = new Uint8Array()

  constructor(stream: BiStream, peer: EndpointId, limits: SessionLimits) {
    this.#stream = stream
    this.#peer = peer
    this.#limits = limits
  }

  failed(reason: SyncFailed["reason"], detail: string): SyncFailed {
    return new SyncFailed({ peer: this.#peer, reason, detail })
  }

  send(message: SyncMessage.SyncMessage): Effect.Effect<void, SyncFailed> {
    return Effect.suspend(() => this.#stream.send.write(SyncMessage.encodeFrame(message))).pipe(
      Effect.mapError((error) => this.#lost(error)),
      this.#inTime("the peer does not read")
    )
  }

  /** Says that nothing follows. */
  get finish(): Effect.Effect<void> {
    return Effect.ignore(this.#stream.send.finish)
  }

  /** The next message; undefined when the peer has said its last one. */
  get receive(): Effect.Effect<SyncMessage.SyncMessage | undefined, SyncFailed> {
    return this.#receive().pipe(this.#inTime("the peer is silent"))
  }

  readonly #receive = Effect.fnUntraced(
    function* (this: Session): Effect.fn.Return<SyncMessage.SyncMessage | undefined, SyncFailed> {
      const header = yield* this.#take(SyncMessage.FRAME_HEADER)
      if (header === undefined) return undefined
      const length = SyncMessage.frameLength(header)
      if (length > this.#limits.maxMessage) {
        return yield* this.failed("TooLarge", `a message of ${length} bytes, and ${this.#limits.maxMessage} are read`)
      }
      const bytes = yield* this.#take(length)
      if (bytes === undefined) return yield* this.failed("ConnectionLost", "the stream ended inside a message")
      try {
        return SyncMessage.decode(bytes)
      } catch (error) {
        if (error instanceof Malformed) return yield* this.failed("Protocol", error.message)
        throw error
      }
    }.bind(this)
  )

  /** The next `length` bytes; undefined when the stream ends before the first of them. */
  readonly #take = Effect.fnUntraced(
    function* (this: Session, length: number): Effect.fn.Return<Uint8Array | undefined, SyncFailed> {
      const parts: Array<Uint8Array> = []
      let held = 0
      while (held < length) {
        if (this.#pending.length === 0) {
          const chunk = yield* this.#read
          if (chunk === undefined) {
            if (held === 0) return undefined
            return yield* this.failed("ConnectionLost", "the stream ended inside a message")
          }
          this.#pending = chunk
        }
        const part = this.#pending.subarray(0, length - held)
        this.#pending = this.#pending.subarray(part.length)
        parts.push(part)
        held += part.length
      }
      return parts.length === 1 ? parts[0] : Bytes.concat(...parts)
    }.bind(this)
  )

  /** Peers may close the connection right after their end of the stream, which may then be lost. */
  get #read(): Effect.Effect<Uint8Array | undefined, SyncFailed> {
    return this.#stream.recv.read(READ_SIZE).pipe(
      Effect.catch((error) => {
        const { reason } = error
        const left = reason._tag === "ConnectionLost" && reason.reason._tag === "Peer" && reason.reason.code === 0
        return left ? Effect.succeed(undefined) : Effect.fail(this.#lost(error))
      })
    )
  }

  #lost(error: StreamError): SyncFailed {
    const { reason } = error
    const closed = reason._tag === "ConnectionLost" && reason.reason._tag === "Peer" ? reason.reason.code : undefined
    return this.failed(closed === 403 ? "NotAdmitted" : "ConnectionLost", error.message)
  }

  #inTime(detail: string) {
    return Effect.timeoutOrElse({
      duration: this.#limits.idleTimeout,
      orElse: () => Effect.fail(this.failed("TimedOut", detail))
    })
  }
}

/** The session of the side that has dialled. */
export const dial = Effect.fnUntraced(function* (
  session: Session,
  init: { readonly namespace: Uint8Array; readonly parts: ReadonlyArray<SyncMessage.Part> },
  respond: Respond
): Effect.fn.Return<void, SyncFailed> {
  yield* session.send({ _tag: "Init", ...init })
  yield* converse(session, respond)
})

/** The session of the side that was dialled, from the first message on. */
export const accept = Effect.fnUntraced(function* (
  session: Session,
  parts: ReadonlyArray<SyncMessage.Part>,
  respond: Respond
): Effect.fn.Return<void, SyncFailed> {
  if (yield* answer(session, parts, respond)) yield* converse(session, respond)
  else yield* drain(session)
})

const converse = Effect.fnUntraced(function* (session: Session, respond: Respond): Effect.fn.Return<void, SyncFailed> {
  for (let rounds = 0; ; rounds++) {
    const message = yield* session.receive
    if (message === undefined) return yield* session.finish
    if (rounds === MAX_ROUNDS) return yield* session.failed("TimedOut", "the peer asks without end")
    if (message._tag === "Abort") return yield* aborted(session, message.reason)
    if (message._tag === "Init") return yield* session.failed("Protocol", "a second beginning")
    if (!(yield* answer(session, message.parts, respond))) return yield* drain(session)
  }
})

const answer = Effect.fnUntraced(function* (
  session: Session,
  parts: ReadonlyArray<SyncMessage.Part>,
  respond: Respond
): Effect.fn.Return<boolean, SyncFailed> {
  const reply = yield* respond(parts)
  if (reply.length === 0) return false
  yield* session.send({ _tag: "Sync", parts: reply })
  return true
})

/** Finishes, and makes sure that the peer does too. */
const drain = Effect.fnUntraced(function* (session: Session): Effect.fn.Return<void, SyncFailed> {
  yield* session.finish
  if ((yield* session.receive) !== undefined) return yield* session.failed("Protocol", "a message after the end")
})

const aborted = (session: Session, reason: SyncMessage.AbortReason): Effect.Effect<never, SyncFailed> => {
  switch (reason) {
    case "notFound":
      return Effect.fail(session.failed("NotFound", "the peer does not have the document, or does not share it"))
    case "alreadySyncing":
      return Effect.fail(session.failed("AlreadySyncing", "another session with the peer is under way"))
    case "internalServerError":
      return Effect.fail(session.failed("PeerFailed", "the peer could not go on"))
  }
}
