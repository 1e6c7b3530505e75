/** Verified reading of one blob's response. iroh-blobs wire, receive-side verification. */
import { MAX_BLOB_SIZE, traverse, type BaoNode } from "./BaoTree.ts"
import { BaoMismatch, BaoVerifier } from "./BaoVerifier.ts"
import { chunksOf } from "../Bitfield.ts"
import { CHUNK_SIZE, equal, PAIR_SIZE } from "./Blake3.ts"
import * as BlobHash from "../BlobHash.ts"
import * as ChunkRanges from "../ChunkRanges.ts"

/** What a response holds. Pairs and data have been verified; the size is proven only by data of the last chunk. */
export type BaoItem =
  | { readonly _tag: "Size"; readonly size: number }
  | { readonly _tag: "Pair"; readonly index: number | undefined; readonly pair: Uint8Array }
  | { readonly _tag: "Data"; readonly offset: number; readonly data: Uint8Array }

const SIZE_LENGTH = 8
const emptyHash = BlobHash.toBytes(BlobHash.emptyBlob)

/**
 * Whether a response that begins with `header` says that there is nothing of the blob `root`: a size of 0, for a hash that
 * is not the empty blob's, is all that release 0.104 of iroh-blobs answers for blobs that it has only heard of.
 */
export const isAbsent = (root: Uint8Array, header: Uint8Array): boolean =>
  header.length === SIZE_LENGTH && header.every((byte) => byte === 0) && !equal(root, emptyHash)

/**
 * Decodes the response to a request for `ranges` (not empty) of the blob `root`, one item at a time: hand
 * {@link BaoDecoder.accept} exactly {@link BaoDecoder.wanted} bytes until none are wanted. Needs no more memory than
 * one item and the path to it, whatever size the peer claims.
 */
export class BaoDecoder {
  readonly #root: Uint8Array
  readonly #ranges: ChunkRanges.ChunkRanges
  readonly #verifier: BaoVerifier
  #nodes: Iterator<BaoNode, void> | undefined
  #node: BaoNode | undefined
  #size = 0

  /** Number of bytes of the next item; 0 when the response is complete. */
  wanted = SIZE_LENGTH

  constructor(root: Uint8Array, ranges: ChunkRanges.ChunkRanges) {
    this.#root = root
    this.#ranges = ranges
    this.#verifier = new BaoVerifier(root)
  }

  /** First byte that the next item is about. */
  get offset(): number {
    return this.#node === undefined ? 0 : this.#node.start * CHUNK_SIZE
  }

  /** Verifies the next item, whose `data` is a view into `bytes`. Throws {@link BaoMismatch}. */
  accept(bytes: Uint8Array): BaoItem {
    const node = this.#node
    if (node === undefined) {
      this.#start(bytes)
      return { _tag: "Size", size: this.#size }
    }
    this.#verifier.check(node, bytes)
    this.#advance()
    return node._tag === "Leaf"
      ? { _tag: "Data", offset: node.start * CHUNK_SIZE, data: bytes }
      : { _tag: "Pair", index: node.pair, pair: bytes }
  }

  #start(bytes: Uint8Array): void {
    const size = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true)
    if (size > BigInt(MAX_BLOB_SIZE))
      throw new BaoMismatch("Size", 0, `a size of ${size} bytes is larger than 2^53 - 1`)
    // No leaf follows that could disprove this claim before the caller acts on it.
    if ((size === 0n) !== equal(this.#root, emptyHash)) {
      throw new BaoMismatch("Size", 0, `a size of ${size} bytes does not go with the hash`)
    }
    this.#size = Number(size)
    const chunks = chunksOf(this.#size)
    this.#nodes = traverse(chunks, ChunkRanges.select(this.#ranges, chunks))
    this.#advance()
  }

  #advance(): void {
    const next = this.#nodes?.next()
    this.#node = next?.value ?? undefined
    if (this.#node === undefined) this.wanted = 0
    else if (this.#node._tag === "Parent") this.wanted = PAIR_SIZE
    else {
      this.wanted = Math.min(this.#node.end * CHUNK_SIZE, this.#size) - this.#node.start * CHUNK_SIZE
      // The empty blob's only leaf has no bytes, and its hash has been compared with the size.
      if (this.wanted === 0) this.#node = undefined
    }
  }
}
