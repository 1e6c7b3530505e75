import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type BlobDamaged, BlobNotFound, type BlobStoreError, MalformedBlob } from "../BlobError.ts"
import type { BlobStore } from "../BlobStore.ts"
import { isComplete } from "../Bitfield.ts"
import { HASH_SIZE } from "../proto/Blake3.ts"
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
