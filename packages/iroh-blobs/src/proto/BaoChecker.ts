/** Reading of what is stored of a blob, against its hash. iroh-blobs wire, traversal. */
import { chunksOf } from "../Bitfield.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import type { BaoNeed } from "./BaoEncoder.ts"
import { leftOf } from "./BaoTree.ts"
import { CHUNK_SIZE, equal, GROUP_CHUNKS, GROUP_SIZE, HASH_SIZE, PAIR_SIZE, parentCv, subtreeCv } from "./Blake3.ts"

/** A subtree whose chaining value is known: chunks [start, end). */
interface Subtree {
  readonly start: number
  readonly end: number
  /** Index of its pair in the outboard. */
  readonly pair: number
  readonly expected: Uint8Array
}

/** A stretch of a blob that is what the hash says. */
export interface Verified {
  /** In bytes from the blob's start; a whole chunk group lies there, or the rest of the blob. */
  readonly offset: number
  readonly data: Uint8Array
}

/**
 * Goes through the stored chunk groups of the blob `root` that hold any of `ranges`. Hand {@link BaoChecker.supply} what
 * {@link BaoChecker.need} asks for until nothing is needed. What does not match the hash is passed over, and is in
 * {@link BaoChecker.damaged}: everything below a pair that does not match counts as damaged, since nothing can show that
 * it is not. Memory is bounded by the depth of the tree.
 */
export class BaoChecker {
  readonly #size: number
  readonly #chunks: number
  readonly #wanted: ChunkRanges.ChunkRanges
  readonly #pending: Array<Subtree>
  #current: Subtree | undefined
  #damaged: Array<number> = []

  /** What to read next, or undefined at the end. */
  need: BaoNeed | undefined

  /** `root`: the blob's hash, 32 bytes. `ranges`: what is there, of a blob of `size` bytes. */
  constructor(root: Uint8Array, size: number, ranges: ChunkRanges.ChunkRanges) {
    this.#size = size
    this.#chunks = chunksOf(size)
    const wanted = ChunkRanges.roundToGroups(ChunkRanges.select(ranges, this.#chunks))
    this.#wanted = ChunkRanges.select(wanted, this.#chunks)
    this.#pending = [{ start: 0, end: this.#chunks, pair: 0, expected: root }]
    this.#advance()
  }

  /** Chunks that did not match so far. */
  get damaged(): ChunkRanges.ChunkRanges {
    return this.#damaged
  }

  /** Checks what was needed; undefined for what cannot be read. Answers data that is as the hash says. */
  supply(stored: Uint8Array | undefined): Verified | undefined {
    const node = this.#current!
    const verified = stored === undefined ? undefined : this.#check(node, stored)
    if (verified === false || stored === undefined) this.#mark(node)
    this.#advance()
    return verified === false ? undefined : verified
  }

  #check(node: Subtree, stored: Uint8Array): Verified | undefined | false {
    const isRoot = node.end - node.start === this.#chunks
    if (node.end - node.start <= GROUP_CHUNKS) {
      if (!equal(subtreeCv(stored, node.start, isRoot), node.expected)) return false
      return { offset: node.start * CHUNK_SIZE, data: stored }
    }
    if (!equal(parentCv(stored, isRoot), node.expected)) return false
    const middle = node.start + leftOf(node.end - node.start)
    const right = node.pair + (middle - node.start) / GROUP_CHUNKS
    this.#pending.push({
      start: middle,
      end: node.end,
      pair: right,
      expected: new Uint8Array(stored.subarray(HASH_SIZE))
    })
    this.#pending.push({
      start: node.start,
      end: middle,
      pair: node.pair + 1,
      expected: new Uint8Array(stored.subarray(0, HASH_SIZE))
    })
    return undefined
  }

  /** Nodes come in ascending order, so damage only ever grows at its end. */
  #mark({ end, start }: Subtree): void {
    if (this.#damaged[this.#damaged.length - 1] === start) this.#damaged.pop()
    else this.#damaged.push(start)
    this.#damaged.push(end)
  }

  #advance(): void {
    this.need = undefined
    do this.#current = this.#pending.pop()
    while (this.#current !== undefined && !ChunkRanges.intersects(this.#wanted, this.#current.start, this.#current.end))
    if (this.#current === undefined) return
    const { end, pair, start } = this.#current
    if (end - start > GROUP_CHUNKS) {
      const whole = ChunkRanges.includes(this.#wanted, start, end)
      const pairs = whole ? Math.ceil((end - start) / GROUP_CHUNKS) - 1 : 1
      this.need = { from: "outboard", offset: pair * PAIR_SIZE, length: PAIR_SIZE, ahead: pairs * PAIR_SIZE }
      return
    }
    const offset = start * CHUNK_SIZE
    const length = Math.min(GROUP_SIZE, this.#size - offset)
    const run = Math.min(ChunkRanges.endOfRun(this.#wanted, start) * CHUNK_SIZE, this.#size)
    this.need = { from: "data", offset, length, ahead: run - offset }
  }
}
