import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type BlobDamaged, BlobNotFound, type BlobStoreError, MalformedBlob } from "../BlobError.ts"
import type { BlobStore } from "../BlobStore.ts"
import { isComplete } from "../Bitfield.ts"
import { GROUP_SIZE, HASH_SIZE } from "../proto/Blake3.ts"
import type { BlobHash } from "../BlobHash.ts"
import { HashSeq } from "../HashSeq.ts"

/** Largest hash sequence that is read into memory, in bytes: a million hashes. */
export const MAX_HASH_SEQ_SIZE = 1_048_576 * HASH_SIZE

/** Reads a stored hash sequence. */
export const readHashSeq = Effect.fnUntraced(function* (
  store: BlobStore["Service"],
  hash: BlobHash
): Effect.fn.Return<HashSeq, BlobNotFound | BlobDamaged | BlobStoreError | MalformedBlob, Scope.Scope> {
  const blob = yield* store.open(hash)
  const bitfield = blob.bitfield()
  if (!isComplete(bitfield)) return yield* new BlobNotFound({ hash })
  if (bitfield.size > MAX_HASH_SEQ_SIZE || bitfield.size % HASH_SIZE !== 0) {
    return yield* new MalformedBlob({ problem: `blob ${hash} of ${bitfield.size} bytes is not a hash sequence` })
  }
  return new HashSeq(yield* blob.read("data", 0, bitfield.size))
}, Effect.scoped)

/** Hashes that are read at once: those in a chunk group, which is verified as a whole. */
const WINDOW = GROUP_SIZE / HASH_SIZE

/** A stored hash sequence that is read where it is asked, so that one hash of a million costs no more than one of few. */
export interface OpenHashSeq {
  readonly length: number
  /** The hash at an index from 0 to `length - 1`. */
  readonly at: (index: number) => Effect.Effect<BlobHash, BlobDamaged | BlobStoreError>
}

/** Opens a stored hash sequence until the scope ends; of one that is not all there, only what is there can be read. */
export const openHashSeq = Effect.fnUntraced(function* (
  store: BlobStore["Service"],
  hash: BlobHash
): Effect.fn.Return<OpenHashSeq, BlobNotFound | BlobStoreError | MalformedBlob, Scope.Scope> {
  const blob = yield* store.open(hash)
  const { size, verified } = blob.bitfield()
  if (!verified) return yield* new BlobNotFound({ hash })
  if (size % HASH_SIZE !== 0) {
    return yield* new MalformedBlob({ problem: `blob ${hash} of ${size} bytes is not a hash sequence` })
  }
  const length = size / HASH_SIZE
  let window: HashSeq | undefined
  let first = 0
  const at = Effect.fnUntraced(function* (index: number) {
    if (window === undefined || index < first || index >= first + window.length) {
      first = Math.floor(index / WINDOW) * WINDOW
      window = new HashSeq(yield* blob.read("data", first * HASH_SIZE, Math.min(WINDOW, length - first) * HASH_SIZE))
    }
    return window.at(index - first)
  })
  return { length, at }
})
