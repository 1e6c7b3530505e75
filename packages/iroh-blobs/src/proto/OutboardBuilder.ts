/** Hashing of a whole blob, keeping its tree. iroh-blobs wire, outboard. */
import { groupsOf, leftOf, outboardSize } from "./BaoTree.ts"
import { GROUP_CHUNKS, GROUP_SIZE, HASH_SIZE, PAIR_SIZE, parentCv, subtreeCv } from "./Blake3.ts"

/** A blob's hash, its size in bytes, and its outboard: one pair per parent above the groups, in pre-order. */
export interface HashedBlob {
  readonly hash: Uint8Array
  readonly size: number
  readonly outboard: Uint8Array
}

/**
 * Hashes a blob given in pieces of any length. Holds 32 bytes per 16 KiB of blob, and three times as much while it
 * finishes: 6 MiB for 1 GiB.
 */
export class OutboardBuilder {
  readonly #group = new Uint8Array(GROUP_SIZE)
  #filled = 0
  #groups = 0
  #cvs = new Uint8Array(64 * HASH_SIZE)

  /** Adds the next bytes. */
  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      // A full group is hashed only once more follows: a blob's only group is its root.
      if (this.#filled === GROUP_SIZE) {
        this.#push(this.#group)
        this.#filled = 0
      }
      if (this.#filled === 0 && bytes.length - at > GROUP_SIZE) {
        this.#push(bytes.subarray(at, at + GROUP_SIZE))
        at += GROUP_SIZE
        continue
      }
      const part = bytes.subarray(at, at + GROUP_SIZE - this.#filled)
      this.#group.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
    }
  }

  /** Ends the blob. The builder is not to be used afterwards. */
  finish(): HashedBlob {
    const size = this.#groups * GROUP_SIZE + this.#filled
    const rest = this.#group.subarray(0, this.#filled)
    if (this.#groups === 0) return { hash: subtreeCv(rest, 0, true), size, outboard: new Uint8Array(0) }
    this.#push(rest)
    const outboard = new Uint8Array(outboardSize(size))
    return { hash: this.#build(outboard, 0, groupsOf(size), 0), size, outboard }
  }

  #push(group: Uint8Array): void {
    const at = this.#groups * HASH_SIZE
    if (at === this.#cvs.length) {
      const grown = new Uint8Array(2 * at)
      grown.set(this.#cvs)
      this.#cvs = grown
    }
    this.#cvs.set(subtreeCv(group, this.#groups * GROUP_CHUNKS, false), at)
    this.#groups++
  }

  /** Writes the pairs of the subtree over `groups` groups from `index` on; answers its chaining value. */
  #build(outboard: Uint8Array, start: number, groups: number, index: number): Uint8Array {
    if (groups === 1) return this.#cvs.subarray(start * HASH_SIZE, (start + 1) * HASH_SIZE)
    const left = leftOf(groups)
    const pair = outboard.subarray(index * PAIR_SIZE, (index + 1) * PAIR_SIZE)
    pair.set(this.#build(outboard, start, left, index + 1))
    pair.set(this.#build(outboard, start + left, groups - left, index + left), HASH_SIZE)
    return parentCv(pair, start === 0 && index === 0)
  }
}

/** Hashes a blob that is in memory. */
export const hashBlob = (bytes: Uint8Array): HashedBlob => {
  const builder = new OutboardBuilder()
  builder.update(bytes)
  return builder.finish()
}
