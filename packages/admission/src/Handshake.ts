/**
 * The exchange that both admission handshakes have in common (Aster admission, exchange and time limits): one
 * connection, one bidirectional stream on it, one JSON text each way without frames. The asking side finishes its half
 * after the request, the answering side after the reply, and then the asking side closes the connection.
 *
 * @since 0.1.0
 */
import { MAX_ADMISSION_PAYLOAD_SIZE } from "@aster-effect/core/Limits"
import type { BiStream, RecvStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as AdmissionRequest from "./AdmissionRequest.ts"
import { HandshakeSlots, type SlotRefusal } from "./HandshakeSlots.ts"
import type { Malformed } from "./internal/jsonMessage.ts"

/**
 * A handshake came to nothing.
 *
 * | reason | meaning |
 * |---|---|
 * | `NoAnswer` | the other side ended the stream without a word |
 * | `TooLarge`, `Malformed` | its answer is none |
 * | `TimedOut` | it took too long |
 * | `TurnedAway` | it did not listen: this node tries too often, or is not wanted; a minute later it may |
 * | `Busy` | it did not listen: too many handshakes are under way; a moment later it may |
 *
 * @since 0.1.0
 */
export class HandshakeError extends Schema.TaggedError<HandshakeError>()("HandshakeError", {
  reason: Schema.Literals(["NoAnswer", "TooLarge", "Malformed", "TimedOut", "TurnedAway", "Busy"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** Time limits of the answering side. @since 0.1.0 */
export interface ServeOptions {
  /** From the connection to the complete request, and again for the reply to be taken. Default 10 seconds. */
  readonly requestTimeout?: Duration.Input | undefined
  /** For the other side to close after the reply. Default 5 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
  /** Whether the peer has shown a credential before: it then keeps its slot before newcomers. Default: no. */
  readonly known?: Effect.Effect<boolean> | undefined
  /** Run when a handshake gets no answer. Default: nothing is done. */
  readonly failed?: Effect.Effect<void> | undefined
}

const outOfTime = (detail: string) => () => Effect.fail(new HandshakeError({ reason: "TimedOut", detail }))

/** The first stream of a connection, and what came on it: a request, or what gets no answer. */
interface Received {
  readonly stream: BiStream
  readonly request: Result.Result<Uint8Array, "Empty" | "TooLarge">
}

const unanswered = { Empty: "it is empty", TooLarge: `it has more than ${MAX_ADMISSION_PAYLOAD_SIZE} bytes` } as const

/**
 * Serves one handshake connection: reads the request, lets `reply` make the answer, writes it, and waits for the other
 * side to close. An empty or over-long request gets the end of the stream and no data; a peer beyond its limits is
 * closed with 403, one that finds all slots taken or loses its own with 503, one that is too slow with 408, one that
 * sends more than a handshake can need with 413. None of that is an error of this node, so it is noted in the log and
 * succeeds.
 *
 * @since 0.1.0
 */
export const serve = Effect.fnUntraced(function* <R>(
  connection: Connection,
  reply: (request: Uint8Array) => Effect.Effect<Uint8Array, never, R>,
  options: ServeOptions = {}
): Effect.fn.Return<void, never, R | HandshakeSlots> {
  const slots = yield* HandshakeSlots
  const timeout = options.requestTimeout ?? "10 seconds"
  const failed = options.failed ?? Effect.void
  const request = receive(connection).pipe(
    Effect.timeoutOrElse({ duration: timeout, orElse: outOfTime("no complete admission request arrived in time") })
  )
  const decide = ({ request, stream }: Received) =>
    Result.match(request, {
      onFailure: (problem) =>
        Effect.as(
          Effect.andThen(
            failed,
            Effect.logInfo("An admission request gets no answer", {
              peer: connection.remoteId,
              reason: unanswered[problem]
            })
          ),
          { stream, answer: Option.none<Uint8Array>() }
        ),
      onSuccess: (bytes) => Effect.map(reply(bytes), (answer) => ({ stream, answer: Option.some(answer) }))
    })
  // Closing before the peer has could overtake the reply.
  const gone = Effect.timeoutOption(connection.closed, options.closeTimeout ?? "5 seconds")
  const tell = ({ answer, stream: { recv, send } }: { stream: BiStream; answer: Option.Option<Uint8Array> }) =>
    Option.match(answer, { onNone: () => recv.stop(0), onSome: (bytes) => send.write(bytes) }).pipe(
      Effect.andThen(send.finish),
      Effect.timeoutOrElse({ duration: timeout, orElse: outOfTime("the admission reply was not taken in time") }),
      Effect.andThen(gone)
    )
  const refuse = (refusal: SlotRefusal) =>
    Effect.andThen(
      Effect.andThen(
        failed,
        Effect.logInfo("An admission handshake is turned away", { peer: connection.remoteId, reason: refusal })
      ),
      refusal === "PeerLimit" ? connection.close(403, "not admitted") : connection.close(503, "too many handshakes")
    )
  const exchange = slots.run(connection.remoteId, { known: options.known, request, decide, tell, refuse }).pipe(
    Effect.catchTag("HandshakeError", ({ detail }) =>
      Effect.andThen(Effect.logInfo(detail, { peer: connection.remoteId }), connection.close(408, "too slow")).pipe(
        Effect.andThen(failed)
      )
    ),
    Effect.catch((error) => Effect.andThen(failed, Effect.logInfo("An admission handshake broke off", error.message)))
  )
  yield* exchange.pipe(
    Effect.raceFirst(Effect.andThen(flood(connection), Effect.andThen(failed, connection.close(413, "too much")))),
    Effect.andThen(connection.close(0, "done"))
  )
})

/** Far more than the longest message and everything around it on the network. */
const MAX_HANDSHAKE_TRAFFIC = 4 * MAX_ADMISSION_PAYLOAD_SIZE

/**
 * Waits for a peer to send more than a handshake can need. What it sends on streams that nobody reads would stay in
 * memory, up to a megabyte on each of 200.
 */
const flood = (connection: Connection): Effect.Effect<void> =>
  Effect.sync(() => connection.bytesReceived()).pipe(
    Effect.repeat({ until: (bytes) => bytes > MAX_HANDSHAKE_TRAFFIC, schedule: Schedule.spaced("100 millis") }),
    Effect.andThen(Effect.logInfo("A peer floods an admission handshake", { peer: connection.remoteId }))
  )

/** Only the first stream of a connection is ever looked at. */
const receive = Effect.fnUntraced(function* (
  connection: Connection
): Effect.fn.Return<Received, StreamError | ConnectionLost> {
  const stream = yield* connection.acceptBi
  const all = yield* readAll(stream.recv)
  return {
    stream,
    request: Result.filterOrFail(
      all,
      (bytes) => bytes.length > 0,
      () => "Empty" as const
    )
  }
})

/**
 * Asks on a handshake connection and reads the answer.
 *
 * @param options.timeout for the whole exchange, default 10 seconds
 * @since 0.1.0
 */
export const ask = Effect.fnUntraced(function* (
  connection: Connection,
  request: Uint8Array,
  options: { readonly timeout?: Duration.Input | undefined } = {}
): Effect.fn.Return<Uint8Array, HandshakeError | StreamError | ConnectionLost> {
  const answer = Effect.flatMap(connection.openBi, ({ recv, send }) =>
    send.write(request).pipe(Effect.andThen(send.finish), Effect.andThen(readAll(recv)))
  )
  const read = yield* Effect.raceFirst(answer, Effect.as(flood(connection), Result.fail("TooLarge" as const))).pipe(
    Effect.timeoutOrElse({
      duration: options.timeout ?? "10 seconds",
      orElse: outOfTime("the producer did not answer in time")
    }),
    Effect.mapError(turnedAway)
  )
  if (Result.isFailure(read)) {
    const detail = `the producer's answer has more than ${MAX_ADMISSION_PAYLOAD_SIZE} bytes`
    return yield* new HandshakeError({ reason: read.failure, detail })
  }
  if (read.success.length > 0) return read.success
  const detail = "the producer gave no answer to the admission request"
  return yield* new HandshakeError({ reason: "NoAnswer", detail })
})

/**
 * Asks for admission on a handshake connection.
 *
 * @param options.decode reads the answer
 * @param options.timeout for the whole exchange, default 10 seconds
 * @since 0.1.0
 */
export const request = Effect.fnUntraced(function* <Reply>(
  connection: Connection,
  options: {
    readonly request: AdmissionRequest.AdmissionRequest
    readonly decode: (bytes: Uint8Array) => Result.Result<Reply, Malformed>
    readonly timeout?: Duration.Input | undefined
  }
): Effect.fn.Return<Reply, HandshakeError | StreamError | ConnectionLost> {
  const reply = options.decode(yield* ask(connection, AdmissionRequest.encode(options.request), options))
  if (Result.isSuccess(reply)) return reply.success
  const detail = `the producer's answer is not an admission reply: ${reply.failure.problem}`
  return yield* new HandshakeError({ reason: "Malformed", detail })
})

/** The codes with which a handshake is closed that is not listened to. */
const closings: Readonly<Record<number, readonly [reason: "TurnedAway" | "Busy", detail: string]>> = {
  403: [
    "TurnedAway",
    "this node asked for admission too often, or is not wanted at all: wait a minute before the next attempt"
  ],
  503: ["Busy", "the producer has too many admission handshakes under way: try again"]
}

const turnedAway = <E extends HandshakeError | StreamError | ConnectionLost>(error: E): E | HandshakeError => {
  const lost = error._tag === "StreamError" ? error.reason : error
  const closing = lost._tag === "ConnectionLost" && lost.reason._tag === "Peer" ? closings[lost.reason.code] : undefined
  if (closing === undefined) return error
  const [reason, detail] = closing
  return new HandshakeError({ reason, detail })
}

/** Everything up to the end of the stream, if that is not too much. */
const readAll = Effect.fnUntraced(function* (
  recv: RecvStream
): Effect.fn.Return<Result.Result<Uint8Array, "TooLarge">, StreamError> {
  const chunks: Array<Uint8Array> = []
  let size = 0
  for (let chunk = yield* recv.read(); chunk !== undefined; chunk = yield* recv.read()) {
    size += chunk.length
    if (size > MAX_ADMISSION_PAYLOAD_SIZE) return Result.fail("TooLarge")
    chunks.push(chunk)
  }
  return Result.succeed(Buffer.concat(chunks))
})
