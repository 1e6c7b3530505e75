import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type BlobStoreError, BlobNotFound, RangeNotFound } from "../BlobError.ts"
import type { BlobHash } from "../BlobHash.ts"
import type { ByteRange } from "../Blobs.ts"
import type { BlobReader, BlobStore } from "../BlobStore.ts"
import * as ChunkRanges from "../ChunkRanges.ts"

type Store = BlobStore["Service"]
type ReadError = BlobNotFound | RangeNotFound | BlobStoreError

/** Bytes that are read at once. */
const READ_SIZE = 262_144

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
  { end, start = 0 }: ByteRange = {}
): Effect.fn.Return<OpenRange, ReadError, Scope.Scope> {
  const blob = yield* store.open(hash)
  const { ranges, size } = blob.bitfield()
  const stop = end ?? size
  const wanted = ChunkRanges.fromBytes(start, stop)
  const lacking = ChunkRanges.difference(wanted, ranges)
  if (start < 0 || stop > size) return yield* new RangeNotFound({ hash, offset: Math.max(0, Math.min(start, size)) })
  if (lacking.length > 0) {
    if (start === 0 && end === undefined) return yield* new BlobNotFound({ hash })
    return yield* new RangeNotFound({ hash, offset: Math.max(start, lacking[0]! * 1024) })
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
  return yield* blob.read("data", start, Math.max(0, stop - start))
}, Effect.scoped)

/** A range in pieces. */
export const streamRange = (store: Store, hash: BlobHash, range?: ByteRange): Stream.Stream<Uint8Array, ReadError> =>
  Stream.unwrap(
    Effect.map(openRange(store, hash, range), ({ blob, start, stop }) =>
      Stream.paginate(start, (at) => {
        const length = Math.min(READ_SIZE, stop - at)
        if (length <= 0) return Effect.succeed([[], Option.none()] as const)
        return Effect.map(
          blob.read("data", at, length),
          (bytes) => [[bytes], at + length < stop ? Option.some(at + length) : Option.none()] as const
        )
      })
    )
  )
