import type { BiStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection } from "@aster-effect/iroh/Connection"
import { Effect } from "effect"
import type { BlobNotFound, BlobStoreError, MalformedBlob } from "../BlobError.ts"
import type { BlobStore } from "../BlobStore.ts"
import { TransferError, type TransferFailure } from "../TransferError.ts"
import * as Bitfield from "../proto/Bitfield.ts"
import type { BlobHash, HashAndFormat } from "../proto/BlobHash.ts"
import * as ChunkRanges from "../proto/ChunkRanges.ts"
import * as ChunkRangesSeq from "../proto/ChunkRangesSeq.ts"
import * as Request from "../proto/Request.ts"
import { ByteReader } from "./byteReader.ts"
import { readHashSeq } from "./hashSeqBlob.ts"
import { connectionFailure, failureOf, receiveResponse, type ReceiveOptions } from "./receive.ts"

/** Boundaries and blobs of one request; its encoding stays well below what peers read. */
const MAX_BOUNDARIES = 20_000
const MAX_CHILDREN = 1000

/**
 * Opens a stream, sends a request about `hash` and lets `read` take the answer. A stream that is not read to its end
 * is stopped, so that the peer does not go on.
 */
export const exchange = <A, E>(
  connection: Connection,
  hash: BlobHash,
  request: Request.Request,
  stallTimeout: ReceiveOptions["stallTimeout"],
  read: (reader: ByteReader) => Effect.Effect<A, E>
): Effect.Effect<A, TransferError | E> => {
  const fail = (reason: TransferFailure) => new TransferError({ peer: connection.remoteId, hash, reason })
  const open = Effect.acquireRelease(
    connection.openBi,
    ({ recv, send }, exit) =>
      exit._tag === "Success"
        ? recv.discard
        : Effect.andThen(send.reset(Request.ErrorCode.Dropped), recv.stop(Request.ErrorCode.Dropped)),
    { interruptible: true }
  ).pipe(
    Effect.mapError((cause) => fail(connectionFailure(cause))),
    Effect.timeoutOrElse({ duration: stallTimeout, orElse: () => fail({ _tag: "Stalled" }) })
  )
  const ask = ({ send }: BiStream) =>
    Effect.andThen(send.write(Request.encode(request)), send.finish).pipe(
      // The answer says why the peer does not want the question.
      Effect.catchIf(isStopped, () => Effect.void),
      Effect.mapError((error) => fail(failureOf(error))),
      Effect.timeoutOrElse({ duration: stallTimeout, orElse: () => fail({ _tag: "Stalled" }) })
    )
  return Effect.flatMap(open, (stream) => Effect.andThen(ask(stream), read(new ByteReader(stream.recv)))).pipe(
    Effect.scoped
  )
}

const isStopped = ({ reason }: StreamError): boolean => reason._tag === "StreamStopped"

/** What of `wanted` is not there yet, as whole chunk groups. */
export const missing = (bitfield: Bitfield.Bitfield, wanted: ChunkRanges.ChunkRanges): ChunkRanges.ChunkRanges => {
  // Without a proven size the end is not known: what is open stays open, and so asks for the last chunk.
  const known = bitfield.verified ? ChunkRanges.select(wanted, Bitfield.chunksOf(bitfield.size)) : wanted
  const ranges = ChunkRanges.difference(ChunkRanges.roundToGroups(known), bitfield.ranges)
  // A blob full of holes is fetched in one piece rather than with a request that nobody reads.
  return ranges.length > MAX_BOUNDARIES ? [ranges[0]!] : ranges
}

/**
 * Fetches what is missing of a blob and, for a hash sequence, of its children. Fails when the peer does not give all of
 * it; what it gave is kept.
 */
export const fetchMissing = Effect.fnUntraced(function* (
  store: BlobStore["Service"],
  connection: Connection,
  { format, hash }: HashAndFormat,
  wanted: ChunkRanges.ChunkRanges,
  options: ReceiveOptions
): Effect.fn.Return<void, TransferError | BlobNotFound | BlobStoreError | MalformedBlob> {
  const notFound = new TransferError({ peer: connection.remoteId, hash, reason: { _tag: "NotFound" } })
  const fetch = Effect.fnUntraced(function* (entries: ReadonlyArray<Wanted>, of = 0) {
    const ranges = ChunkRangesSeq.fromEntries(entries)
    yield* exchange(connection, hash, { _tag: "Get", hash, ranges }, options.stallTimeout, (reader) =>
      Effect.forEach(
        entries,
        ({ hash, number, ranges }) => {
          if (number !== undefined) options.onBlob?.(number, of)
          return receiveResponse(store, reader, hash, ranges, options)
        },
        { discard: true }
      )
    )
  })

  // The second look finds what a size that was only claimed hid.
  for (let look = 0; ; look++) {
    const ranges = missing(yield* store.bitfield(hash), wanted)
    if (ranges.length === 0) break
    if (look === 2) return yield* notFound
    yield* fetch([{ index: 0, hash, ranges }])
  }
  if (format === "raw") return
  for (let look = 0; ; look++) {
    const children = yield* missingChildren(store, hash)
    if (children.length === 0) return
    if (look === 2) return yield* notFound
    for (const batch of batches(children)) yield* fetch(batch, children.length)
  }
})

/** A blob of which something is to be fetched, with its index in a request. */
interface Wanted {
  readonly index: number
  readonly hash: BlobHash
  readonly ranges: ChunkRanges.ChunkRanges
  /** Its place, from 1, among the children that are fetched. */
  readonly number?: number
}

/** The children of a hash sequence that are not complete, each once. */
const missingChildren = Effect.fnUntraced(function* (store: BlobStore["Service"], root: BlobHash) {
  const seen = new Set<BlobHash>()
  const wanted: Array<Wanted> = []
  let index = 0
  for (const hash of yield* readHashSeq(store, root)) {
    index++
    if (seen.has(hash)) continue
    seen.add(hash)
    const ranges = missing(yield* store.bitfield(hash), ChunkRanges.all)
    if (ranges.length > 0) wanted.push({ index, hash, ranges, number: wanted.length + 1 })
  }
  return wanted
})

/** Cuts a list into parts that fit into a request. */
function* batches(wanted: ReadonlyArray<Wanted>): Generator<ReadonlyArray<Wanted>> {
  let batch: Array<Wanted> = []
  let boundaries = 0
  for (const child of wanted) {
    if (batch.length === MAX_CHILDREN || (batch.length > 0 && boundaries + child.ranges.length > MAX_BOUNDARIES)) {
      yield batch
      batch = []
      boundaries = 0
    }
    batch.push(child)
    boundaries += child.ranges.length
  }
  if (batch.length > 0) yield batch
}
