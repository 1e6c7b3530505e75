/** Checks a tree from the root down. iroh-blobs wire, receive-side verification. */
import { all, type ChunkRanges } from "../ChunkRanges.ts"
import type { BaoNode } from "./BaoTree.ts"
import { CHUNK_SIZE, equal, HASH_SIZE, parentCv, subtreeCv } from "./Blake3.ts"

/** Data or tree nodes that do not belong to the blob they were given for. */
export class BaoMismatch extends Error {
  override readonly name = "BaoMismatch"
  /** Which kind of node failed. */
  readonly node: "Leaf" | "Parent" | "Size"
  /** First byte that the node covers. */
  readonly offset: number
  /** The chunks that the node covers. */
  readonly chunks: ChunkRanges

  constructor(node: "Leaf" | "Parent" | "Size", offset: number, message: string, chunks: ChunkRanges = all) {
    super(message)
    this.node = node
    this.offset = offset
    this.chunks = chunks
  }
}

/** The chaining values that nodes still to come must have. Nodes are to be given in traversal order. */
export class BaoVerifier {
  readonly #expected: Array<Uint8Array>

  /** `root`: the blob's hash, 32 bytes. */
  constructor(root: Uint8Array) {
    this.#expected = [root]
  }

  /** Throws {@link BaoMismatch} unless `content` is the node's: its bytes, or its pair. */
  check(node: BaoNode, content: Uint8Array): void {
    const isLeaf = node._tag === "Leaf"
    const cv = isLeaf ? subtreeCv(content, node.start, node.isRoot) : parentCv(content, node.isRoot)
    const expected = this.#expected.pop()
    if (expected === undefined || !equal(cv, expected)) {
      const offset = node.start * CHUNK_SIZE
      throw new BaoMismatch(
        node._tag,
        offset,
        `${isLeaf ? "data" : "tree node"} at byte ${offset} does not match the hash`,
        [node.start, node.end]
      )
    }
    if (isLeaf) return
    if (node.right) this.#expected.push(new Uint8Array(content.subarray(HASH_SIZE)))
    if (node.left) this.#expected.push(new Uint8Array(content.subarray(0, HASH_SIZE)))
  }
}
