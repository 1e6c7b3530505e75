/**
 * Requests of the iroh-blobs protocol. iroh-blobs wire, requests.
 *
 * @since 0.1.0
 */
import { HASH_SIZE } from "./proto/Blake3.ts"
import * as BlobHash from "./BlobHash.ts"
import * as ChunkRanges from "./ChunkRanges.ts"
import * as ChunkRangesSeq from "./ChunkRangesSeq.ts"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"

/** A blob (index 0) and, read as a hash sequence, its children (index i is the hash i - 1). */
export interface GetRequest {
  readonly _tag: "Get"
  readonly hash: BlobHash.BlobHash
  readonly ranges: ChunkRangesSeq.ChunkRangesSeq
}

/** The availability of one blob, now and as it changes. */
export interface ObserveRequest {
  readonly _tag: "Observe"
  readonly hash: BlobHash.BlobHash
  readonly ranges: ChunkRanges.ChunkRanges
}

/** Data offered in the form of the answer to the equal Get; follows the request on the same stream. */
export interface PushRequest {
  readonly _tag: "Push"
  readonly hash: BlobHash.BlobHash
  readonly ranges: ChunkRangesSeq.ChunkRangesSeq
}

/** Several blobs; index i of the ranges is for hash i. */
export interface GetManyRequest {
  readonly _tag: "GetMany"
  readonly hashes: ReadonlyArray<BlobHash.BlobHash>
  readonly ranges: ChunkRangesSeq.ChunkRangesSeq
}

/** What the first bytes of a stream ask for. */
export type Request = GetRequest | ObserveRequest | PushRequest | GetManyRequest

/** Largest request in bytes after the type byte, and largest push header. */
export const MAX_REQUEST_SIZE = 1_048_576

/** First byte of a request. */
export const RequestType = { Get: 0, Observe: 1, Push: 8, GetMany: 9 } as const

const writeHash = (to: PostcardWriter, hash: BlobHash.BlobHash) => to.raw(BlobHash.toBytes(hash))

/**
 * The bytes that open the stream: type byte and body, for Push with the body's length between them. Throws
 * {@link Malformed} for a request larger than {@link MAX_REQUEST_SIZE}, which no peer would read.
 */
export const encode = (request: Request): Uint8Array => {
  const body = new PostcardWriter()
  switch (request._tag) {
    case "Get":
    case "Push":
      ChunkRangesSeq.write(writeHash(body, request.hash), request.ranges)
      break
    case "Observe":
      ChunkRanges.write(writeHash(body, request.hash), request.ranges)
      break
    case "GetMany":
      body.varint(request.hashes.length)
      for (const hash of request.hashes) writeHash(body, hash)
      ChunkRangesSeq.write(body, request.ranges)
  }
  const bytes = body.finish()
  if (bytes.length >= MAX_REQUEST_SIZE) {
    throw new Malformed(`the request has ${bytes.length} bytes; split it: peers read at most ${MAX_REQUEST_SIZE}`)
  }
  const writer = new PostcardWriter().byte(RequestType[request._tag])
  if (request._tag === "Push") writer.varint(bytes.length)
  return writer.raw(bytes).finish()
}

/**
 * Reads a request from its type byte and its body (for Push without the length in front). Bytes after the body's end
 * are ignored, as every peer does. Throws {@link Malformed}.
 */
export const decode = (type: number, body: Uint8Array): Request => {
  const reader = new PostcardReader(body)
  const hash = () => BlobHash.fromBytes(reader.take(HASH_SIZE))
  switch (type) {
    case RequestType.Get:
      return { _tag: "Get", hash: hash(), ranges: ChunkRangesSeq.read(reader) }
    case RequestType.Observe:
      return { _tag: "Observe", hash: hash(), ranges: ChunkRanges.read(reader) }
    case RequestType.Push:
      return { _tag: "Push", hash: hash(), ranges: ChunkRangesSeq.read(reader) }
    case RequestType.GetMany: {
      const hashes = Array.from({ length: reader.length(HASH_SIZE) }, hash)
      return { _tag: "GetMany", hashes, ranges: ChunkRangesSeq.read(reader) }
    }
    default:
      throw new Malformed(`${type} is not a request type`)
  }
}

/** Codes with which streams are reset or stopped. iroh-blobs wire, codes. */
export const ErrorCode = { Dropped: 0, Permission: 1, RateLimited: 2, Internal: 3 } as const
