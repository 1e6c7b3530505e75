/**
 * The providing side of the iroh-blobs protocol.
 *
 * @since 0.1.0
 */
import type { BiStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { Handler } from "@aster-effect/iroh/Router"
import { type Duration, Effect, FiberSet, Semaphore, Stream } from "effect"
import type { BlobStoreError } from "./BlobError.ts"
import { BlobStore } from "./BlobStore.ts"
import { ByteReader, readDelimited, type StreamEnded } from "./internal/byteReader.ts"
import { readHashSeq } from "./internal/hashSeqBlob.ts"
import { receiveResponse, type ReceiveOptions } from "./internal/receive.ts"
import { respond, ResponseWriter } from "./internal/respond.ts"
import * as Bitfield from "./proto/Bitfield.ts"
import * as ChunkRanges from "./proto/ChunkRanges.ts"
import * as ChunkRangesSeq from "./proto/ChunkRangesSeq.ts"
import { Malformed } from "./proto/Malformed.ts"
import * as Request from "./proto/Request.ts"

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

/** Settings of the providing side. */
export interface BlobsProtocolOptions {
  /** Asked about Get, GetMany and Observe. Default: all are allowed. */
  readonly authorize?: ((peer: EndpointId, request: Request.Request) => Effect.Effect<Verdict>) | undefined
  /** Asked about Push, by which a peer writes into the store. Default: all are forbidden. */
  readonly authorizePush?: ((peer: EndpointId, request: Request.PushRequest) => Effect.Effect<Verdict>) | undefined
  /** Told about every request when it is over. */
  readonly onServed?: ((served: ServedRequest) => Effect.Effect<void>) | undefined
  /** Requests of one connection that are served at a time; further ones wait. Default: 100. */
  readonly maxRequests?: number | undefined
  /** How long a request may take to arrive, and pushed data may stand still. Default: 30 seconds. */
  readonly readTimeout?: Duration.Input | undefined
  /** How long a peer may take to make room for 128 KiB of an answer before it is given up. Default: 60 seconds. */
  readonly writeTimeout?: Duration.Input | undefined
}

/** Serves the blobs of the store to one connection; give it to a router for {@link ALPN}. */
export const handler =
  (options: BlobsProtocolOptions = {}): Handler<BlobStore> =>
  (connection, draining) =>
    Effect.gen(function* () {
      const store = yield* BlobStore
      const requests = yield* FiberSet.make<void>()
      const slots = Semaphore.makeUnsafe(options.maxRequests ?? 100)
      const acceptOne = Effect.gen(function* () {
        yield* Semaphore.take(slots, 1)
        const stream = yield* connection.acceptBi
        const served = serveStream(store, connection.remoteId, stream, draining, options)
        yield* FiberSet.run(requests, Effect.ensuring(served, Semaphore.release(slots, 1)))
      })
      yield* Effect.forever(acceptOne).pipe(
        Effect.catchTag("ConnectionLost", () => Effect.void),
        Effect.raceFirst(draining)
      )
      yield* FiberSet.awaitEmpty(requests)
    }).pipe(Effect.scoped)

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

const serveStream = (
  store: BlobStore["Service"],
  peer: EndpointId,
  stream: BiStream,
  draining: Effect.Effect<void>,
  options: BlobsProtocolOptions
): Effect.Effect<void> => {
  const { recv, send } = stream
  const writer = new ResponseWriter(send, options.writeTimeout ?? "60 seconds")
  const readTimeout = options.readTimeout ?? "30 seconds"
  let request: Request.Request | undefined

  const serve = Effect.gen(function* (): Effect.fn.Return<ServedRequest["outcome"], StreamError | BlobStoreError> {
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
    const verdict = yield* request._tag === "Push"
      ? (options.authorizePush?.(peer, request) ?? Effect.succeed("forbidden" as const))
      : (options.authorize?.(peer, request) ?? Effect.succeed("allowed" as const))
    if (verdict !== "allowed") {
      const code = verdict === "forbidden" ? Request.ErrorCode.Permission : Request.ErrorCode.RateLimited
      yield* recv.stop(code)
      yield* send.reset(code)
      return "refused"
    }
    if (request._tag === "Push") {
      // The protocol has no acknowledgement; ending our side only now is one for those who wait for it.
      if (
        yield* takePush(store, request, opening.reader, { peer, stallTimeout: readTimeout, onData: () => Effect.void })
      ) {
        yield* send.finish
        return "completed"
      }
      yield* recv.stop(Request.ErrorCode.Internal)
      yield* send.reset(Request.ErrorCode.Internal)
      return "aborted"
    }
    const complete =
      request._tag === "Observe"
        ? yield* Effect.raceFirst(observe(store, request, writer), Effect.as(draining, true))
        : yield* answer(store, request, writer)
    yield* writer.flush
    // A reset could overtake what was sent, and the peer would have to fetch it again.
    if (complete || writer.total > 0) yield* send.finish
    else yield* send.reset(Request.ErrorCode.Internal)
    return complete ? "completed" : "missing"
  })

  const told = (outcome: ServedRequest["outcome"]) =>
    options.onServed?.({ peer, request, outcome, sent: writer.total }) ?? Effect.void
  return serve.pipe(
    Effect.catchTag("StreamError", () => Effect.succeed("aborted" as const)),
    Effect.catchCause((cause) =>
      Effect.logError("Serving blobs failed", cause).pipe(
        Effect.andThen(send.reset(Request.ErrorCode.Internal)),
        Effect.andThen(recv.stop(Request.ErrorCode.Internal)),
        Effect.as("aborted" as const)
      )
    ),
    Effect.flatMap(told),
    Effect.catchCause((cause) => Effect.logError("Serving blobs failed", cause))
  )
}

/** Sends what is asked for; false when something of it is missing. */
const answer = Effect.fnUntraced(function* (
  store: BlobStore["Service"],
  request: Request.GetRequest | Request.GetManyRequest,
  writer: ResponseWriter
): Effect.fn.Return<boolean, StreamError> {
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
      const children = yield* Effect.option(readHashSeq(store, request.hash))
      if (children._tag === "None") return false
      for (const { index, ranges } of ChunkRangesSeq.selected(request.ranges, 1, children.value.length + 1)) {
        if (!(yield* respond(store, writer, children.value.at(index - 1), ranges))) return false
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
    }),
    Effect.as(true),
    Effect.catchTag("BlobStoreError", (error) => Effect.as(Effect.logError("A blob cannot be observed", error), false))
  )
}

/** Stores what is pushed; false when it is not what it was said to be. */
const takePush = Effect.fnUntraced(
  function* (store: BlobStore["Service"], request: Request.PushRequest, reader: ByteReader, options: ReceiveOptions) {
    yield* store.protect({ hash: request.hash, format: "hashSeq" })
    const root = ChunkRangesSeq.at(request.ranges, 0)
    if (root.length > 0) yield* receiveResponse(store, reader, request.hash, root, options)
    if (!ChunkRangesSeq.reaches(request.ranges, 1)) return true
    const children = yield* readHashSeq(store, request.hash)
    for (const { index, ranges } of ChunkRangesSeq.selected(request.ranges, 1, children.length + 1)) {
      yield* receiveResponse(store, reader, children.at(index - 1), ranges, options)
    }
    return true
  },
  Effect.scoped,
  Effect.catch((error) => Effect.as(Effect.logDebug("A push was not stored", error), false))
)
