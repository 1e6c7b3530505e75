/**
 * The providing side of the iroh-blobs protocol.
 *
 * @since 0.1.0
 */
import type { BiStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Router from "@aster-effect/iroh/Router"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { BlobStore } from "./BlobStore.ts"
import { ByteReader, readDelimited, type StreamEnded } from "./internal/byteReader.ts"
import { openHashSeq, readHashSeq } from "./internal/hashSeqBlob.ts"
import { receiveResponse, type ReceiveOptions } from "./internal/receive.ts"
import { respond, ResponseWriter } from "./internal/respond.ts"
import * as Bitfield from "./Bitfield.ts"
import * as ChunkRanges from "./ChunkRanges.ts"
import * as ChunkRangesSeq from "./ChunkRangesSeq.ts"
import { Malformed } from "@aster-effect/iroh/Malformed"
import * as Request from "./Request.ts"

/** The ALPN of the protocol. */
export const ALPN = "/iroh-bytes/4"

/** What is done with a request: `forbidden` and `rateLimited` are told to the peer. */
export type Verdict = "allowed" | "forbidden" | "rateLimited"

/** How a request ended: `missing` is something that is not in the store, `malformed` no request at all. */
export interface ServedRequest {
  readonly peer: EndpointId
  readonly request: Request.Request | undefined
  readonly outcome: "completed" | "missing" | "refused" | "malformed" | "aborted"
  /** Bytes of the response. */
  readonly sent: number
}

const requests = (outcome: ServedRequest["outcome"]) =>
  Metric.counter("iroh_blobs_requests_total", {
    description: "Requests for blobs, by outcome",
    attributes: { outcome },
    incremental: true
  })

const requestsBy = {
  completed: requests("completed"),
  missing: requests("missing"),
  refused: requests("refused"),
  malformed: requests("malformed"),
  aborted: requests("aborted")
} as const

/** Bytes of blobs, and of the proofs beside them, that were sent to peers. */
export const sentBytes = Metric.counter("iroh_blobs_sent_bytes_total", {
  description: "Bytes of blobs and their proofs that were sent to peers",
  incremental: true
})

/** Settings of the providing side. */
export interface BlobsProtocolOptions {
  /** Asked about Get, GetMany and Observe. Default: all are allowed. */
  readonly authorize?: ((peer: EndpointId, request: Request.Request) => Effect.Effect<Verdict>) | undefined
  /** Asked about Push, by which a peer writes into the store. Default: all are forbidden. */
  readonly authorizePush?: ((peer: EndpointId, request: Request.PushRequest) => Effect.Effect<Verdict>) | undefined
  /**
   * Called when all that a peer pushed is stored, and before the peer hears of it. What was pushed has no tag and is
   * protected until this ends: set one to keep it. After a failure the peer hears that nothing was stored.
   */
  readonly onPushed?:
    | ((peer: EndpointId, request: Request.PushRequest) => Effect.Effect<void, { readonly message: string }>)
    | undefined
  /** Told about every request when it is over. */
  readonly onServed?: ((served: ServedRequest) => Effect.Effect<void>) | undefined
  /** Requests of one connection that are read and answered at a time; further ones wait. Default: 16. */
  readonly maxRequests?: number | undefined
  /** How long a request may take to arrive, and pushed data may stand still. Default: 30 seconds. */
  readonly readTimeout?: Duration.Input | undefined
  /** How long a peer may take to make room for 256 KiB of an answer before it is given up. Default: 60 seconds. */
  readonly writeTimeout?: Duration.Input | undefined
}

/** The blobs of the store as a protocol of a router. */
export const protocol = (options: BlobsProtocolOptions = {}): Router.Protocol<BlobStore> => ({
  alpn: ALPN,
  handler: Router.bidirectional(handler(options))
})

/**
 * Serves the blobs of the store to one connection. How many streams a peer may have
 * open, and so how many blobs it may observe, is for the transport to limit.
 */
export const handler = (options: BlobsProtocolOptions = {}): Router.Handler<BlobStore> => {
  const { maxRequests = 16 } = options
  if (!Number.isSafeInteger(maxRequests) || maxRequests < 1) {
    throw new RangeError(`maxRequests is ${maxRequests}: give a whole number from 1 on`)
  }
  return (connection, draining) =>
    Effect.gen(function* () {
      const store = yield* BlobStore
      const streams = yield* FiberSet.make<void>()
      const session = {
        store,
        options,
        draining,
        peer: connection.remoteId,
        slots: Semaphore.makeUnsafe(maxRequests)
      }
      const accepting = connection.acceptBi.pipe(
        Effect.flatMap((stream) => FiberSet.run(streams, serveStream(session, stream))),
        Effect.forever,
        Effect.catchTag("ConnectionLost", () => Effect.void)
      )
      yield* Effect.raceFirst(accepting, draining)
      // Without a connection there is nothing to wait for: what still runs is interrupted with this scope.
      yield* Effect.raceFirst(FiberSet.awaitEmpty(streams), connection.closed)
    }).pipe(Effect.scoped)
}

/** What the streams of a connection share. */
interface Session {
  readonly store: BlobStore["Service"]
  readonly options: BlobsProtocolOptions
  readonly draining: Effect.Effect<void>
  readonly peer: EndpointId
  readonly slots: Semaphore.Semaphore
}

/** A request read from a stream, or why there is none. */
type Opening =
  | { readonly _tag: "Request"; readonly request: Request.Request; readonly reader: ByteReader }
  | { readonly _tag: "Malformed" }

const MALFORMED: Opening = { _tag: "Malformed" }

/** Reads the request: all of the stream, or for Push the header, which announces its length. */
const readRequest = Effect.fnUntraced(function* (
  reader: ByteReader
): Effect.fn.Return<Opening, StreamError | StreamEnded> {
  const type = (yield* reader.take(1))[0]!
  const body =
    type === Request.RequestType.Push
      ? yield* readDelimited(reader, Request.MAX_REQUEST_SIZE)
      : yield* reader.rest(Request.MAX_REQUEST_SIZE)
  if (body === undefined) return MALFORMED
  try {
    return { _tag: "Request", request: Request.decode(type, body), reader }
  } catch (error) {
    if (error instanceof Malformed) return MALFORMED
    throw error
  }
})

type Outcome = ServedRequest["outcome"]

const serveStream = (session: Session, stream: BiStream): Effect.Effect<void> => {
  const { draining, options, peer, slots, store } = session
  const { recv, send } = stream
  const writer = new ResponseWriter(send, options.writeTimeout ?? "60 seconds")
  const readTimeout = options.readTimeout ?? "30 seconds"
  let request: Request.Request | undefined

  const refuse = Effect.fnUntraced(function* (code: number, outcome: Outcome) {
    yield* recv.stop(code)
    yield* send.reset(code)
    return outcome
  })

  /** Everything but observing, which takes its time and next to no memory. */
  const serve = Effect.gen(function* () {
    const opening = yield* readRequest(new ByteReader(recv)).pipe(
      Effect.catchTag("StreamEnded", () => Effect.succeed(MALFORMED)),
      Effect.timeoutOrElse({ duration: readTimeout, orElse: () => Effect.succeed(MALFORMED) })
    )
    if (opening._tag === "Malformed") {
      // The peer sees an empty answer, as from every other provider.
      yield* recv.stop(Request.ErrorCode.Dropped)
      yield* send.finish
      return "malformed"
    }
    request = opening.request
    const verdict = yield* authorize(session, request)
    if (verdict === "forbidden") return yield* refuse(Request.ErrorCode.Permission, "refused")
    if (verdict === "rateLimited") return yield* refuse(Request.ErrorCode.RateLimited, "refused")
    if (request._tag === "Observe") return request
    if (request._tag === "Push") {
      yield* store.protect({ hash: request.hash, format: "hashSeq" })
      const receiving = { peer, stallTimeout: readTimeout, verify: store.verify, onData: () => Effect.void }
      if (!(yield* takePush(store, request, opening.reader, receiving))) {
        return yield* refuse(Request.ErrorCode.Internal, "aborted")
      }
      const kept = yield* Effect.result(options.onPushed?.(peer, request) ?? Effect.void)
      if (kept._tag === "Failure") {
        yield* Effect.logWarning("What was pushed could not be kept", kept.failure)
        return yield* refuse(Request.ErrorCode.Internal, "aborted")
      }
      // The protocol has no acknowledgement; ending our side only now is one for those who wait for it.
      yield* send.finish
      return "completed"
    }
    const complete = yield* answer(store, request, writer)
    yield* writer.flush
    // A reset could overtake what was sent, and the peer would have to fetch it again.
    if (complete || writer.total > 0) yield* send.finish
    else yield* send.reset(Request.ErrorCode.Internal)
    return complete ? "completed" : "missing"
  })

  return Semaphore.withPermit(slots, serve).pipe(
    Effect.flatMap((served) =>
      typeof served === "string"
        ? Effect.succeed(served)
        : Effect.raceFirst(observe(store, served, writer), draining).pipe(
            Effect.andThen(send.finish),
            Effect.as<Outcome>("completed")
          )
    ),
    Effect.catchTag("StreamError", () => refuse(Request.ErrorCode.Internal, "aborted")),
    Effect.catchCause((cause) =>
      Effect.andThen(Effect.logError("Serving blobs failed", cause), refuse(Request.ErrorCode.Internal, "aborted"))
    ),
    Effect.tap((outcome) =>
      Effect.andThen(Metric.update(requestsBy[outcome], 1), Metric.update(sentBytes, writer.total))
    ),
    Effect.flatMap((outcome) => options.onServed?.({ peer, request, outcome, sent: writer.total }) ?? Effect.void),
    Effect.catchCause((cause) => Effect.logError("Hearing of a served request failed", cause)),
    Effect.scoped
  )
}

const authorize = ({ options, peer }: Session, request: Request.Request): Effect.Effect<Verdict> =>
  request._tag === "Push"
    ? (options.authorizePush?.(peer, request) ?? Effect.succeed("forbidden"))
    : (options.authorize?.(peer, request) ?? Effect.succeed("allowed"))

/** Sends what is asked for; false when something of it is missing. */
const answer = Effect.fnUntraced(function* (
  store: BlobStore["Service"],
  request: Request.GetRequest | Request.GetManyRequest,
  writer: ResponseWriter
): Effect.fn.Return<boolean, StreamError, Scope.Scope> {
  switch (request._tag) {
    case "GetMany":
      for (const { index, ranges } of ChunkRangesSeq.selected(request.ranges, 0, request.hashes.length)) {
        if (!(yield* respond(store, writer, request.hashes[index]!, ranges))) return false
      }
      return true
    case "Get": {
      const root = ChunkRangesSeq.at(request.ranges, 0)
      if (root.length > 0 && !(yield* respond(store, writer, request.hash, root))) return false
      if (!ChunkRangesSeq.reaches(request.ranges, 1)) return true
      const children = yield* Effect.option(openHashSeq(store, request.hash))
      if (children._tag === "None") return false
      const { at, length } = children.value
      for (const { index, ranges } of ChunkRangesSeq.selected(request.ranges, 1, length + 1)) {
        const child = yield* Effect.option(at(index - 1))
        if (child._tag === "None" || !(yield* respond(store, writer, child.value, ranges))) return false
      }
      return true
    }
  }
})

/** Sends the state and then its changes until the peer has had enough. */
const observe = (store: BlobStore["Service"], { hash }: Request.ObserveRequest, writer: ResponseWriter) => {
  let previous: Bitfield.Bitfield | undefined
  return store.observe(hash).pipe(
    Stream.runForEach((bitfield) => {
      const change = ChunkRanges.symmetricDifference(previous?.ranges ?? ChunkRanges.empty, bitfield.ranges)
      const news = previous === undefined || change.length > 0
      previous = bitfield
      if (!news) return Effect.void
      return Effect.andThen(writer.write(Bitfield.encodeItem(bitfield.size, change)), writer.flush)
    })
  )
}

/** Stores what is pushed; false when it is not what it was said to be. */
const takePush = Effect.fnUntraced(
  function* (store: BlobStore["Service"], request: Request.PushRequest, reader: ByteReader, options: ReceiveOptions) {
    const root = ChunkRangesSeq.at(request.ranges, 0)
    if (root.length > 0 && !(yield* receiveResponse(store, reader, request.hash, root, options))) return false
    if (!ChunkRangesSeq.reaches(request.ranges, 1)) return true
    const children = yield* readHashSeq(store, request.hash)
    for (const { index, ranges } of ChunkRangesSeq.selected(request.ranges, 1, children.length + 1)) {
      if (!(yield* receiveResponse(store, reader, children.at(index - 1), ranges, options))) return false
    }
    return true
  },
  Effect.catch((error) => Effect.as(Effect.logDebug("A push was not stored", error), false))
)
