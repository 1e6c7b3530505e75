/**
 * A blob that lists other blobs. iroh-blobs wire, HashSeq.
 *
 * @since 0.1.0
 */
import { HASH_SIZE } from "./proto/Blake3.ts"
import * as BlobHash from "./BlobHash.ts"
import { Malformed } from "@aster-effect/iroh/Malformed"

/** Hashes of 32 bytes one after the other. */
export class HashSeq {
  /** The blob's content. */
  readonly bytes: Uint8Array

  /** Throws {@link Malformed} when `bytes` are not whole hashes. */
  constructor(bytes: Uint8Array) {
    if (bytes.length % HASH_SIZE !== 0) {
      throw new Malformed(`a hash sequence is a multiple of 32 bytes long, not ${bytes.length} bytes`)
    }
    this.bytes = bytes
  }

  /** The sequence of the given hashes. */
  static of(hashes: Iterable<BlobHash.BlobHash>): HashSeq {
    const list = [...hashes]
    const bytes = new Uint8Array(list.length * HASH_SIZE)
    list.forEach((hash, i) => bytes.set(BlobHash.toBytes(hash), i * HASH_SIZE))
    return new HashSeq(bytes)
  }

  /** Number of hashes. */
  get length(): number {
    return this.bytes.length / HASH_SIZE
  }

  /** The hash at `index`, from 0 to `length - 1`. */
  at(index: number): BlobHash.BlobHash {
    return BlobHash.fromBytes(this.bytes.subarray(index * HASH_SIZE, (index + 1) * HASH_SIZE))
  }

  *[Symbol.iterator](): Generator<BlobHash.BlobHash> {
    for (let i = 0; i < this.length; i++) yield this.at(i)
  }
}
