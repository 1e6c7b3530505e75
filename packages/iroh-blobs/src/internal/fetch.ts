import type { BiStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection } from "@aster-effect/iroh/Connection"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Bitfield from "../Bitfield.ts"
import type { BlobDamaged, BlobNotFound, BlobStoreError, MalformedBlob } from "../BlobError.ts"
import type { BlobHash, HashAndFormat } from "../BlobHash.ts"
import type { BlobStore } from "../BlobStore.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import * as ChunkRangesSeq from "../ChunkRangesSeq.ts"
import * as Request from "../Request.ts"
import { TransferError, type TransferFailure } from "../TransferError.ts"
import { Aside } from "./aside.ts"
import { ByteReader, readDelimited } from "./byteReader.ts"
import { readHashSeq } from "./hashSeqBlob.ts"
import { connectionFailure, failureOf, receiveResponse, type ReceiveOptions } from "./receive.ts"

type Store = BlobStore["Service"]

/** Boundaries and blobs of one request; its encoding stays well below what peers read. */
const MAX_BOUNDARIES = 20_000
const MAX_CHILDREN = 1000

/** Of a blob larger than this the size is proven at once: nobody can be served parts of one whose size is only claimed. */
const PROVE_ABOVE = 16 * 1_048_576

/**
 * Opens a stream, sends a request about `hash` and lets `read` take the answer. A stream that is not read to its end
 * is stopped, so that the peer does not go on.
 */
export const exchange = <A, E>(
  connection: Connection,
  hash: BlobHash,
  request: Request.Request,
  { heard, stallTimeout }: Pick<ReceiveOptions, "stallTimeout" | "heard">,
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
  return Effect.flatMap(open, (stream) => Effect.andThen(ask(stream), read(new ByteReader(stream.recv, heard)))).pipe(
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
  store: Store,
  connection: Connection,
  { format, hash }: HashAndFormat,
  wanted: ChunkRanges.ChunkRanges,
  options: ReceiveOptions
): Effect.fn.Return<void, TransferError | BlobNotFound | BlobDamaged | BlobStoreError | MalformedBlob> {
  const request = (batch: ReadonlyArray<Wanted>): Request.Request => ({
    _tag: "Get",
    hash,
    ranges: ChunkRangesSeq.fromEntries(batch)
  })
  // The second look finds what a size that was only claimed hid.
  for (let look = 0; ; look++) {
    const ranges = missing(yield* store.bitfield(hash), wanted)
    if (ranges.length === 0) break
    if (look === 2) return yield* notFound(connection, hash)
    yield* fetchProving(store, connection, hash, wanted, ranges, options).pipe(
      Effect.catchIf(isNotFound, () => fetchAvailable(store, connection, hash, wanted, options))
    )
  }
  if (format === "raw") return
  const children = [...(yield* readHashSeq(store, hash))]
  yield* Effect.forEach(children, options.verify, { discard: true })
  yield* fetchEach(store, connection, request, missingOf(store, children, 1), options)
})

/** Fetches what is missing of several blobs. Fails when the peer does not give all of it; what it gave is kept. */
export const fetchMany = (
  store: Store,
  connection: Connection,
  hashes: ReadonlyArray<BlobHash>,
  options: ReceiveOptions
): Effect.Effect<void, TransferError | BlobStoreError> => {
  const request = (batch: ReadonlyArray<Wanted>): Request.Request => ({
    _tag: "GetMany",
    hashes: batch.map(({ hash }) => hash),
    ranges: ChunkRangesSeq.fromList(batch.map(({ ranges }) => ranges))
  })
  return fetchEach(store, connection, request, missingOf(store, hashes, 0), options)
}

const notFound = (connection: Connection, hash: BlobHash) =>
  new TransferError({ peer: connection.remoteId, hash, reason: { _tag: "NotFound" } })

const isNotFound = (error: TransferError | BlobStoreError): error is TransferError =>
  error._tag === "TransferError" && error.reason._tag === "NotFound"

/** Another blob of the peer's may do. */
const isNotTaken = (error: TransferError | BlobStoreError): error is TransferError =>
  error._tag === "TransferError" && (error.reason._tag === "NotFound" || error.reason._tag === "TooLarge")

/** Fetches ranges of one blob; fails when the peer does not have it. */
const fetchOne = (
  store: Store,
  connection: Connection,
  hash: BlobHash,
  ranges: ChunkRanges.ChunkRanges,
  options: ReceiveOptions
): Effect.Effect<void, TransferError | BlobStoreError> => {
  const request = (): Request.Request => ({ _tag: "Get", hash, ranges: ChunkRangesSeq.single(ranges) })
  return Effect.flatMap(fetch(store, connection, request, [{ index: 0, hash, ranges }], options), (absent) =>
    absent.length === 0 ? Effect.void : notFound(connection, hash)
  )
}

/**
 * Fetches ranges of one blob. When it turns out to be large, or when only a part of it is wanted, its last chunk is
 * fetched beside, which proves the size.
 */
const fetchProving = Effect.fnUntraced(function* (
  store: Store,
  connection: Connection,
  hash: BlobHash,
  wanted: ChunkRanges.ChunkRanges,
  ranges: ChunkRanges.ChunkRanges,
  options: ReceiveOptions
) {
  if ((yield* store.bitfield(hash)).verified) return yield* fetchOne(store, connection, hash, ranges, options)
  const size = yield* Deferred.make<number>()
  const isPart = !ChunkRanges.equal(wanted, ChunkRanges.all)
  const prove = Effect.flatMap(Deferred.await(size), (claimed) =>
    claimed > PROVE_ABOVE || isPart
      ? Effect.ignore(
          fetchOne(store, connection, hash, ChunkRanges.last, { ...options, onData: () => Effect.void }),
          // Nothing depends on it.
          { log: "Debug" }
        )
      : Effect.void
  )
  yield* Effect.forkScoped(prove)
  yield* fetchOne(store, connection, hash, ranges, {
    ...options,
    onSize: (claimed) => Deferred.doneUnsafe(size, Effect.succeed(claimed))
  })
}, Effect.scoped)

/** How long a peer may take to say what it has. */
const OBSERVE_TIMEOUT = "10 seconds"

/** What a peer says to have of a blob, as whole chunk groups. */
const availability = Effect.fnUntraced(function* (
  connection: Connection,
  hash: BlobHash,
  options: ReceiveOptions
): Effect.fn.Return<ChunkRanges.ChunkRanges, TransferError> {
  const request = { _tag: "Observe", hash, ranges: ChunkRanges.all } as const
  const first = exchange(connection, hash, request, options, (reader) =>
    readDelimited(reader, Bitfield.MAX_ITEM_SIZE).pipe(
      Effect.flatMap((item) => Effect.try(() => Bitfield.decodeItem(item ?? new Uint8Array(0)).ranges)),
      // It has not said so much as that it has nothing.
      Effect.orElseSucceed(() => ChunkRanges.empty)
    )
  )
  const ranges = yield* Effect.timeoutOrElse(first, {
    duration: OBSERVE_TIMEOUT,
    orElse: () => Effect.succeed(ChunkRanges.empty)
  })
  const lacking = ChunkRanges.symmetricDifference(ChunkRanges.all, ranges)
  return ChunkRanges.symmetricDifference(ChunkRanges.all, ChunkRanges.roundToGroups(lacking))
})

/**
 * Fetches what a peer has of a blob that it does not have all of. Such a peer breaks off at its first gap, so it is asked
 * what it has. Fails with NotFound as long as something is missing.
 */
const fetchAvailable = Effect.fnUntraced(function* (
  store: Store,
  connection: Connection,
  hash: BlobHash,
  wanted: ChunkRanges.ChunkRanges,
  options: ReceiveOptions
): Effect.fn.Return<void, TransferError | BlobStoreError> {
  const available = yield* availability(connection, hash, options)
  const lacking = missing(yield* store.bitfield(hash), wanted)
  const ranges = ChunkRanges.intersection(lacking, available).slice(0, MAX_BOUNDARIES)
  if (ranges.length === 0) return yield* notFound(connection, hash)
  yield* fetchProving(store, connection, hash, ranges, ranges, options)
  if (missing(yield* store.bitfield(hash), wanted).length > 0) return yield* notFound(connection, hash)
})

/** Turns a batch of blobs into the request for them. */
type ToRequest = (batch: ReadonlyArray<Wanted>) => Request.Request

/** Fetches blobs with one request; answers those that the peer says it does not have. */
const fetch = (
  store: Store,
  connection: Connection,
  request: ToRequest,
  batch: ReadonlyArray<Wanted>,
  options: ReceiveOptions
): Effect.Effect<ReadonlyArray<BlobHash>, TransferError | BlobStoreError> =>
  Effect.suspend(() => {
    const aside = new Aside()
    return exchange(
      connection,
      batch[0]!.hash,
      request(batch),
      options,
      Effect.fnUntraced(
        function* (reader) {
          const absent: Array<BlobHash> = []
          for (const { hash, place, ranges } of batch) {
            if (place !== undefined) options.onBlob?.(place.number, place.of)
            if (!(yield* receiveResponse(store, reader, hash, ranges, options, aside))) absent.push(hash)
          }
          yield* aside.settled
          const last = absent[absent.length - 1]
          if (last === undefined || (yield* hasEnded(reader, options))) return absent
          const reason = {
            _tag: "Corrupt",
            offset: 0,
            detail: "data of a blob that the peer says not to have"
          } as const
          return yield* new TransferError({ peer: connection.remoteId, hash: last, reason })
        },
        // What had come is told of also when no more comes.
        Effect.tapError(() => Effect.ignore(aside.settled)),
        Effect.ensuring(aside.quiet)
      )
    )
  })

/** Whether nothing more comes. */
const hasEnded = (reader: ByteReader, { stallTimeout }: ReceiveOptions): Effect.Effect<boolean> =>
  Effect.as(reader.take(1), false).pipe(
    Effect.orElseSucceed(() => true),
    Effect.timeoutOrElse({ duration: stallTimeout, orElse: () => Effect.succeed(true) })
  )

/** A peer that lacks more blobs than this is not asked for the rest. */
const MAX_LACKING = 100

/**
 * Fetches blobs, leaving out those that the peer lacks or that are too large, for which it fails in the end. An answer ends at the first of
 * them, and its end may take along what was on its way: so a blob counts as lacking only when asked for alone, and then
 * what the peer has of it is fetched.
 */
const fetchEach = Effect.fnUntraced(function* (
  store: Store,
  connection: Connection,
  request: ToRequest,
  list: Effect.Effect<ReadonlyArray<Wanted>, BlobStoreError>,
  options: ReceiveOptions
): Effect.fn.Return<void, TransferError | BlobStoreError> {
  const lacking = new Map<BlobHash, TransferError>()
  const suspects = new Set<BlobHash>()
  const looks = new Map<BlobHash, number>()
  const lack = (hash: BlobHash) => lacking.set(hash, notFound(connection, hash))
  while (lacking.size <= MAX_LACKING) {
    const wanted = (yield* list).filter(({ hash }) => !lacking.has(hash))
    if (wanted.length === 0) break
    const alone = wanted.filter(({ hash }) => suspects.has(hash)).map((blob) => [blob])
    for (const batch of [...alone, ...batches(wanted.filter(({ hash }) => !suspects.has(hash)))]) {
      const result = yield* fetch(store, connection, request, batch, options).pipe(
        Effect.catchIf(isNotTaken, Effect.succeed)
      )
      if (result instanceof TransferError) {
        if (result.reason._tag === "TooLarge") lacking.set(result.hash, result)
        else if (batch.length > 1) suspects.add(result.hash)
        else {
          yield* Effect.catchIf(
            fetchAvailable(store, connection, result.hash, ChunkRanges.all, options),
            isNotTaken,
            (error) => Effect.sync(() => lacking.set(error.hash, error))
          )
        }
        continue
      }
      for (const hash of result) lack(hash)
      // The second look finds what a size that was only claimed hid.
      for (const { hash } of batch) {
        const look = (looks.get(hash) ?? 0) + 1
        looks.set(hash, look)
        if (look === 2) lack(hash)
      }
    }
  }
  for (const { hash } of yield* list) return yield* lacking.get(hash) ?? notFound(connection, hash)
})

/** A blob of which something is to be fetched, with its index in a request. */
interface Wanted {
  readonly index: number
  readonly hash: BlobHash
  readonly ranges: ChunkRanges.ChunkRanges
  /** Which it is, from 1, of how many that are fetched. */
  readonly place?: { readonly number: number; readonly of: number } | undefined
}

/** The blobs that are not complete, each once; the first one has index `first`. */
const missingOf = Effect.fnUntraced(function* (
  store: Store,
  hashes: ReadonlyArray<BlobHash>,
  first: number
): Effect.fn.Return<ReadonlyArray<Wanted>, BlobStoreError> {
  const wanted = new Map<BlobHash, Wanted>()
  for (const [i, hash] of hashes.entries()) {
    if (wanted.has(hash)) continue
    const ranges = missing(yield* store.bitfield(hash), ChunkRanges.all)
    if (ranges.length > 0) wanted.set(hash, { index: first + i, hash, ranges })
  }
  const of = wanted.size
  return [...wanted.values()].map((blob, i) => ({ ...blob, place: { number: i + 1, of } }))
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
