import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type BlobDamaged, BlobNotFound, type BlobStoreError, InvalidRange, RangeNotFound } from "../BlobError.ts"
import type { BlobHash } from "../BlobHash.ts"
import type { ByteRange } from "../Blobs.ts"
import type { BlobReader, BlobStore } from "../BlobStore.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import { CHUNK_SIZE } from "../proto/Blake3.ts"

type Store = BlobStore["Service"]

/** Why bytes could not be read. */
export type ReadError = BlobNotFound | RangeNotFound | InvalidRange | BlobDamaged | BlobStoreError

interface Range {
  readonly start: number
  readonly end: number | undefined
}

/** A range that a blob can have; an infinite end is that of the blob. */
export const validRange = ({ end, start = 0 }: ByteRange): Effect.Effect<Range, InvalidRange> => {
  const stop = end === Infinity ? undefined : end
  const isPosition = (at: number) => Number.isSafeInteger(at) && at >= 0
  const isValid = isPosition(start) && (stop === undefined || (isPosition(stop) && stop >= start))
  return isValid ? Effect.succeed({ start, end: stop }) : Effect.fail(new InvalidRange({ start, end }))
}

/** A blob held open, and the bytes of it that were asked for: from `start` to `stop` (exclusive). */
export interface OpenRange {
  readonly blob: BlobReader
  readonly start: number
  readonly stop: number
}

/** Opens a range of a blob, all of which is there. */
export const openRange = Effect.fnUntraced(function* (
  store: Store,
  hash: BlobHash,
  range: ByteRange = {}
): Effect.fn.Return<OpenRange, ReadError, Scope.Scope> {
  const { end, start } = yield* validRange(range)
  const blob = yield* store.open(hash)
  const { ranges, size } = blob.bitfield()
  const stop = end ?? size
  if (stop > size || start > size) return yield* new RangeNotFound({ hash, offset: Math.min(start, size) })
  const lacking = ChunkRanges.difference(ChunkRanges.fromBytes(start, stop), ranges)
  if (lacking.length > 0) {
    if (start === 0 && end === undefined) return yield* new BlobNotFound({ hash })
    return yield* new RangeNotFound({ hash, offset: Math.max(start, lacking[0]! * CHUNK_SIZE) })
  }
  return { blob, start, stop }
})

/** All bytes of a range. */
export const readRange = Effect.fnUntraced(function* (
  store: Store,
  hash: BlobHash,
  range?: ByteRange
): Effect.fn.Return<Uint8Array, ReadError, Scope.Scope> {
  const { blob, start, stop } = yield* openRange(store, hash, range)
  return yield* blob.read("data", start, stop - start)
}, Effect.scoped)

/** A range in pieces. */
export const streamRange = (store: Store, hash: BlobHash, range?: ByteRange): Stream.Stream<Uint8Array, ReadError> =>
  Stream.unwrap(Effect.map(openRange(store, hash, range), ({ blob, start, stop }) => blob.stream(start, stop)))
