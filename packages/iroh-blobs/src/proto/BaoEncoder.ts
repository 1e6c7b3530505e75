/** Verified writing of one blob's response. iroh-blobs wire, response encoding. */
import { leftOf, traverse, type BaoNode } from "./BaoTree.ts"
import { BaoVerifier } from "./BaoVerifier.ts"
import { chunksOf, type Bitfield } from "../Bitfield.ts"
import { CHUNK_SIZE, GROUP_CHUNKS, GROUP_SIZE, HASH_SIZE, PAIR_SIZE, parentCv, subtreeCv } from "./Blake3.ts"
import * as ChunkRanges from "../ChunkRanges.ts"

/** Stored bytes the encoder needs next: a part of the data or of the outboard, at `offset`. */
export interface BaoNeed {
  readonly from: "data" | "outboard"
  readonly offset: number
  readonly length: number
  /** At least `length`: so many bytes from `offset` on will be needed, and are there, so that they may be read at once. */
  readonly ahead: number
}

/**
 * Encodes the response to a request for `ranges` (not empty) of the blob `root`. Send {@link BaoEncoder.header}, then
 * hand {@link BaoEncoder.supply} what {@link BaoEncoder.need} asks for and send what it answers, until nothing is
 * needed. Everything is verified against the root on its way out, so a damaged store is found before it is believed.
 *
 * When the store does not hold all of the selection, the response stops before the first part that is missing, and
 * {@link BaoEncoder.gap} is true.
 */
export class BaoEncoder {
  readonly #size: number
  readonly #selection: ChunkRanges.ChunkRanges
  /** The part of the selection that is there. */
  readonly #sendable: ChunkRanges.ChunkRanges
  readonly #verifier: BaoVerifier
  readonly #nodes: Iterator<BaoNode, void>
  #node: BaoNode | undefined
  #group: GroupTree | undefined

  /** What to read next, or undefined at the end. */
  need: BaoNeed | undefined

  /** Whether the end was reached for lack of data. */
  gap = false

  constructor(root: Uint8Array, bitfield: Bitfield, ranges: ChunkRanges.ChunkRanges) {
    const chunks = chunksOf(bitfield.size)
    this.#size = bitfield.size
    this.#selection = ChunkRanges.select(ranges, chunks)
    const [first = 0] = this.#selection
    const last = this.#selection[this.#selection.length - 1] ?? 0
    // A store full of holes costs a small request no more than the holes in its way.
    this.#sendable = ChunkRanges.intersection(this.#selection, ChunkRanges.within(bitfield.ranges, first, last))
    this.#verifier = new BaoVerifier(root)
    this.#nodes = traverse(chunks, this.#selection)
    this.#advance()
  }

  /** The first 8 bytes: the size. */
  get header(): Uint8Array {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(this.#size), true)
    return bytes
  }

  /** Turns the bytes needed into the bytes to send. Throws `BaoMismatch` when the store is damaged. */
  supply(stored: Uint8Array): Uint8Array {
    const node = this.#node!
    const content = node._tag === "Parent" && node.pair === undefined ? this.#innerPair(node, stored) : stored
    this.#verifier.check(node, content)
    this.#advance()
    return content
  }

  /** A pair inside a group, of which only the data is stored. */
  #innerPair({ end, middle, start }: BaoNode & { readonly _tag: "Parent" }, group: Uint8Array): Uint8Array {
    const first = Math.floor(start / GROUP_CHUNKS) * GROUP_CHUNKS
    if (this.#group?.first !== first) this.#group = new GroupTree(group, first)
    const pair = new Uint8Array(PAIR_SIZE)
    pair.set(this.#group.cv(start, middle))
    pair.set(this.#group.cv(middle, end), HASH_SIZE)
    return pair
  }

  #advance(): void {
    this.#node = this.#nodes.next().value ?? undefined
    this.need = undefined
    if (this.#node === undefined) return
    // A pair is stored as soon as anything below it is, so its first wanted chunk decides.
    this.gap = !ChunkRanges.has(this.#sendable, ChunkRanges.firstFrom(this.#selection, this.#node.start))
    if (!this.gap) this.need = this.#needOf(this.#node)
  }

  #needOf(node: BaoNode): BaoNeed | undefined {
    if (node._tag === "Parent" && node.pair !== undefined) {
      // The pairs of a subtree lie together, its own first.
      const whole = ChunkRanges.includes(this.#sendable, node.start, node.end)
      const pairs = whole ? Math.ceil((node.end - node.start) / GROUP_CHUNKS) - 1 : 1
      return { from: "outboard", offset: node.pair * PAIR_SIZE, length: PAIR_SIZE, ahead: pairs * PAIR_SIZE }
    }
    if (this.#size === 0) return undefined
    // Pairs inside a group are not stored but recomputed from the group's data.
    const offset = node._tag === "Leaf" ? node.start * CHUNK_SIZE : groupStart(node.start)
    const end = Math.min(node._tag === "Leaf" ? node.end * CHUNK_SIZE : offset + GROUP_SIZE, this.#size)
    const run = Math.min(ChunkRanges.endOfRun(this.#sendable, node.start) * CHUNK_SIZE, this.#size)
    return { from: "data", offset, length: end - offset, ahead: Math.max(end, run) - offset }
  }
}

const groupStart = (chunk: number): number => Math.floor(chunk / GROUP_CHUNKS) * GROUP_SIZE

/** The chaining values in a group, each chunk hashed once however many pairs are made of it. */
class GroupTree {
  readonly first: number
  readonly #chunks: ReadonlyArray<Uint8Array>

  /** `first`: index of the group's first chunk. */
  constructor(group: Uint8Array, first: number) {
    this.first = first
    this.#chunks = Array.from({ length: Math.ceil(group.length / CHUNK_SIZE) }, (_, i) =>
      subtreeCv(group.subarray(i * CHUNK_SIZE, (i + 1) * CHUNK_SIZE), first + i, false)
    )
  }

  /** Of the subtree over chunks [start, end), which is not the whole blob. */
  cv(start: number, end: number): Uint8Array {
    if (end - start === 1) return this.#chunks[start - this.first]!
    const middle = start + leftOf(end - start)
    const pair = new Uint8Array(PAIR_SIZE)
    pair.set(this.cv(start, middle))
    pair.set(this.cv(middle, end), HASH_SIZE)
    return parentCv(pair, false)
  }
}
