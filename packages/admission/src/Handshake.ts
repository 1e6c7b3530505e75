/**
 * What both admission handshakes have in common (Aster admission, exchange and time limits): one connection, one
 * bidirectional stream on it, one JSON text each way without frames. The asking side finishes its half after the
 * request, the answering side after the reply, and then the asking side closes the connection.
 *
 * @since 0.1.0
 */
import * as Json from "@aster-effect/core/message/Json"
import { MAX_ADMISSION_PAYLOAD_SIZE } from "@aster-effect/core/Limits"
import type { BiStream, RecvStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { AttemptCounter } from "./internal/attempts.ts"

/**
 * A handshake came to nothing.
 *
 * | reason | meaning |
 * |---|---|
 * | `NoAnswer` | the other side ended the stream without a word |
 * | `TooLarge`, `Malformed` | its answer is none |
 * | `TimedOut` | it took too long |
 * | `TurnedAway` | it did not listen: this node tries too often, or there are too many; later it may |
 *
 * @since 0.1.0
 */
export class HandshakeError extends Schema.TaggedError<HandshakeError>()("HandshakeError", {
  reason: Schema.Literals(["NoAnswer", "TooLarge", "Malformed", "TimedOut", "TurnedAway"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** One handshake, in the parts that matter for its place. @since 0.1.0 */
export interface Exchange<A, B, E, R> {
  /** Waits for the peer to say what it wants. While all places are taken, newcomers may end this. */
  readonly request: Effect.Effect<A, E, R>
  /** Keeps the place until it is done. */
  readonly decide: (request: A) => Effect.Effect<B, E, R>
  /** Tells the answer and waits for the peer to go, in no place. Of 64 that take their time, newcomers end the first. */
  readonly tell: (answer: B) => Effect.Effect<void, E, R>
  /** No place, or a place no longer, because the peer or the node is at its limit. */
  readonly refuse: (excess: "Peer" | "Node") => Effect.Effect<void>
}

/**
 * The places for admission handshakes of one node: at most 64 unfinished at a time, 4 of one peer, and 10 attempts of a
 * peer per minute. Where all are taken, a newcomer gets the place of whoever has been waited for longest: an honest
 * request is there after one round trip, so peers that say nothing keep nobody out.
 *
 * @since 0.1.0
 */
export class HandshakeLimits extends Context.Service<
  HandshakeLimits,
  {
    /** Runs a peer's handshake in a place of its own. */
    readonly run: <A, B, E, R>(peer: EndpointId, exchange: Exchange<A, B, E, R>) => Effect.Effect<void, E, R>
    /** The peer's handshake under way is none of its ten a minute. */
    readonly forgive: (peer: EndpointId) => Effect.Effect<void>
  }
>()("@aster-effect/admission/HandshakeLimits") {
  static readonly layer: Layer.Layer<HandshakeLimits> = Layer.sync(this, () => {
    const places = new Places()
    return {
      forgive: (peer) => Effect.sync(() => places.forgive(peer)),
      run: (peer, { decide, refuse, request, tell }) =>
        Effect.acquireUseRelease(
          Effect.map(Clock.currentTimeMillis, (now) => places.take(peer, now)),
          (place) => {
            if (typeof place === "string") return Effect.as(refuse(place), undefined)
            const asked = Effect.map(request, (value) => ({ value }))
            const taken = Effect.as(Deferred.await(place.lost), undefined)
            return Effect.flatMap(Effect.raceFirst(asked, taken), (asked) => {
              if (asked === undefined) return Effect.as(refuse("Node"), undefined)
              places.settle(place)
              return Effect.map(decide(asked.value), (answer) => ({ answer }))
            })
          },
          (place) => Effect.sync(() => (typeof place === "string" ? undefined : places.give(place)))
        ).pipe(Effect.flatMap((decided) => (decided === undefined ? Effect.void : places.leave(tell(decided.answer)))))
    }
  })
}

/** Peers that were answered and have not closed yet. */
const maxLeaving = 64

interface Place {
  readonly peer: EndpointId
  /** Done when a newcomer has got this place. */
  readonly lost: Deferred.Deferred<void>
}

class Places {
  readonly #counter = new AttemptCounter()
  readonly #held = new Set<Place>()
  /** Those whose request has not come yet, longest waiting first. */
  readonly #waiting = new Set<Place>()
  readonly #leaving = new Set<Deferred.Deferred<void>>()

  /** A place, or which limit stands against it. */
  take(peer: EndpointId, now: number): Place | "Peer" | "Node" {
    let excess = this.#counter.begin(peer, now)
    if (excess === "Node" && this.#evict()) excess = this.#counter.begin(peer, now)
    if (excess !== undefined) return excess
    const place: Place = { peer, lost: Deferred.makeUnsafe() }
    this.#held.add(place)
    this.#waiting.add(place)
    return place
  }

  /** The request has come: the place is taken away no longer. */
  settle(place: Place): void {
    this.#waiting.delete(place)
  }

  give(place: Place): void {
    this.#waiting.delete(place)
    if (this.#held.delete(place)) this.#counter.end(place.peer)
  }

  forgive(peer: EndpointId): void {
    this.#counter.forgive(peer)
  }

  leave<E, R>(telling: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const [first] = this.#leaving
        if (first !== undefined && this.#leaving.size >= maxLeaving) {
          this.#leaving.delete(first)
          Deferred.doneUnsafe(first, Effect.void)
        }
        const hurry = Deferred.makeUnsafe<void>()
        this.#leaving.add(hurry)
        return hurry
      }),
      (hurry) => Effect.raceFirst(telling, Deferred.await(hurry)),
      (hurry) => Effect.sync(() => this.#leaving.delete(hurry))
    )
  }

  #evict(): boolean {
    const [longest] = this.#waiting
    if (longest === undefined) return false
    this.give(longest)
    Deferred.doneUnsafe(longest.lost, Effect.void)
    return true
  }
}

/** Time limits of the answering side. @since 0.1.0 */
export interface ServeOptions {
  /** From the connection to the complete request, and again for the reply to be taken. Default 10 seconds. */
  readonly requestTimeout?: Duration.Input | undefined
  /** For the other side to close after the reply. Default 5 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
}

const outOfTime = (detail: string) => () => Effect.fail(new HandshakeError({ reason: "TimedOut", detail }))

/**
 * Serves one handshake connection: reads the request, lets `reply` make the answer, writes it, and waits for the other
 * side to close. An empty or over-long request gets the end of the stream and no data; a peer beyond its limits is
 * closed with 403, one that finds all places taken or loses its own with 503, one that is too slow with 408, one that
 * sends more than a handshake can need with 413. None of that is an error of
 * this node, so it is noted in the log and succeeds.
 *
 * @since 0.1.0
 */
export const serve = Effect.fnUntraced(function* <R>(
  connection: Connection,
  reply: (request: Uint8Array) => Effect.Effect<Uint8Array, never, R>,
  options: ServeOptions = {}
): Effect.fn.Return<void, never, R | HandshakeLimits> {
  const limits = yield* HandshakeLimits
  const timeout = options.requestTimeout ?? "10 seconds"
  const request = received(connection).pipe(
    Effect.timeoutOrElse({ duration: timeout, orElse: outOfTime("no complete admission request arrived in time") })
  )
  const decide = ([stream, request]: readonly [BiStream, Uint8Array | string]) =>
    typeof request === "string"
      ? Effect.as(
          Effect.logInfo("An admission request gets no answer", { peer: connection.remoteId, reason: request }),
          { stream, bytes: undefined }
        )
      : Effect.map(reply(request), (bytes) => ({ stream, bytes }))
  // Closing before the peer has could overtake the reply.
  const gone = Effect.timeoutOption(connection.closed, options.closeTimeout ?? "5 seconds")
  const tell = ({ bytes, stream: { recv, send } }: { stream: BiStream; bytes: Uint8Array | undefined }) =>
    (bytes === undefined ? recv.stop(0) : send.write(bytes)).pipe(
      Effect.andThen(send.finish),
      Effect.timeoutOrElse({ duration: timeout, orElse: outOfTime("the admission reply was not taken in time") }),
      Effect.andThen(gone)
    )
  const refuse = (excess: "Peer" | "Node") =>
    Effect.andThen(
      Effect.logInfo("An admission handshake is turned away", {
        peer: connection.remoteId,
        reason: excess === "Peer" ? "this peer is at its limit" : "all places are taken"
      }),
      excess === "Peer" ? connection.close(403, "not admitted") : connection.close(503, "too many handshakes")
    )
  const exchange = limits.run(connection.remoteId, { request, decide, tell, refuse }).pipe(
    Effect.catchTag("HandshakeError", ({ detail }) =>
      Effect.andThen(Effect.logInfo(detail, { peer: connection.remoteId }), connection.close(408, "too slow"))
    ),
    Effect.catch((error) => Effect.logInfo("An admission handshake broke off", error.message))
  )
  yield* exchange.pipe(
    Effect.raceFirst(Effect.andThen(flood(connection), connection.close(413, "too much"))),
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

/** The request, or why it gets no answer. Only the first stream of a connection is ever looked at. */
const received = Effect.fnUntraced(function* (
  connection: Connection
): Effect.fn.Return<readonly [BiStream, Uint8Array | string], StreamError | ConnectionLost> {
  const stream = yield* connection.acceptBi
  const bytes = yield* readAll(stream.recv)
  if (bytes === undefined) return [stream, `it has more than ${MAX_ADMISSION_PAYLOAD_SIZE} bytes`]
  return [stream, bytes.length === 0 ? "it is empty" : bytes]
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
  const bytes = yield* Effect.raceFirst(answer, Effect.as(flood(connection), undefined)).pipe(
    Effect.timeoutOrElse({
      duration: options.timeout ?? "10 seconds",
      orElse: outOfTime("the producer did not answer in time")
    }),
    Effect.mapError(turnedAway)
  )
  if (bytes === undefined) {
    const detail = `the producer's answer has more than ${MAX_ADMISSION_PAYLOAD_SIZE} bytes`
    return yield* new HandshakeError({ reason: "TooLarge", detail })
  }
  if (bytes.length > 0) return bytes
  const detail = "the producer gave no answer to the admission request"
  return yield* new HandshakeError({ reason: "NoAnswer", detail })
})

/** The codes with which a handshake is closed that is not listened to. */
const closings: Readonly<Record<number, string>> = {
  403: "this node asked for admission too often, or is not wanted at all: wait a minute before the next attempt",
  503: "the producer has too many admission handshakes under way: try again"
}

const turnedAway = <E extends HandshakeError | StreamError | ConnectionLost>(error: E): E | HandshakeError => {
  const lost = error._tag === "StreamError" ? error.reason : error
  const detail = lost._tag === "ConnectionLost" && lost.reason._tag === "Peer" ? closings[lost.reason.code] : undefined
  return detail === undefined ? error : new HandshakeError({ reason: "TurnedAway", detail })
}

/** Everything up to the end of the stream; undefined when that is too much. */
const readAll = Effect.fnUntraced(function* (recv: RecvStream): Effect.fn.Return<Uint8Array | undefined, StreamError> {
  const chunks: Array<Uint8Array> = []
  let size = 0
  for (let chunk = yield* recv.read(); chunk !== undefined; chunk = yield* recv.read()) {
    size += chunk.length
    if (size > MAX_ADMISSION_PAYLOAD_SIZE) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
})

/** A JSON object from a peer. @since 0.1.0 */
export interface JsonObject {
  readonly [key: string]: unknown
}

/** @since 0.1.0 */
export const isJsonObject = (json: unknown): json is JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json)

/** The object a message holds; undefined when it holds anything else. @since 0.1.0 */
export const parse = (bytes: Uint8Array): JsonObject | undefined => {
  try {
    const json = Json.parse(bytes)
    return isJsonObject(json) ? json : undefined
  } catch {
    return undefined
  }
}

/** @since 0.1.0 */
export const encode = (json: JsonObject): Uint8Array => new TextEncoder().encode(JSON.stringify(json))

/** 64 lower-case hex digits, or empty for anything else. @since 0.1.0 */
export const hexId = (value: unknown): string =>
  typeof value === "string" && /^[0-9a-f]{64}$/.test(value) ? value : ""

/** What either side of a handshake is asked with. @since 0.1.0 */
export interface AdmissionRequest {
  /** The JSON text of the credential; empty for none. */
  readonly credential: string
  /** What proves the instance a credential is tied to; empty for none. */
  readonly iidToken: string
}

/** @since 0.1.0 */
export const encodeRequest = (request: AdmissionRequest): Uint8Array =>
  encode({ credential_json: request.credential, iid_token: request.iidToken })

/** Reads a request; undefined when it is not JSON or has no credential text. @since 0.1.0 */
export const decodeRequest = (bytes: Uint8Array): AdmissionRequest | undefined => {
  const { credential_json: credential, iid_token: iidToken } = parse(bytes) ?? {}
  return typeof credential === "string"
    ? { credential, iidToken: typeof iidToken === "string" ? iidToken : "" }
    : undefined
}
