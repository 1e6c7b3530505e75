/** The order in which a blob's tree travels. iroh-blobs wire, traversal. */
import { GROUP_CHUNKS, GROUP_SIZE, PAIR_SIZE } from "./Blake3.ts"
import * as ChunkRanges from "../ChunkRanges.ts"

/** Largest blob in bytes: sizes are safe integers. */
export const MAX_BLOB_SIZE = Number.MAX_SAFE_INTEGER

/** A subtree over the chunks [start, end). A leaf travels as its bytes, a parent as the pair of its children's values. */
export type BaoNode =
  | { readonly _tag: "Leaf"; readonly start: number; readonly end: number; readonly isRoot: boolean }
  | {
      readonly _tag: "Parent"
      readonly start: number
      /** First chunk of the right child. */
      readonly middle: number
      readonly end: number
      readonly isRoot: boolean
      /** Whether the left and right child have selected chunks, and so follow. */
      readonly left: boolean
      readonly right: boolean
      /** Index of the pair in the outboard, or undefined inside a chunk group, where pairs are not stored. */
      readonly pair: number | undefined
    }

/** Number of groups of a blob of `size` bytes. */
export const groupsOf = (size: number): number => Math.max(1, Math.ceil(size / GROUP_SIZE))

/** Bytes of the outboard of a blob of `size` bytes: the pairs of all parents above the groups, in pre-order. */
export const outboardSize = (size: number): number => (groupsOf(size) - 1) * PAIR_SIZE

/** Leaves in the left child of a subtree of `count` > 1 leaves: the largest power of two below `count`. */
export const leftOf = (count: number): number => {
  let left = 1
  while (left * 2 < count) left *= 2
  return left
}

/**
 * The nodes that a response holds for `selection` in a blob of `chunks` chunks, in the order in which they travel:
 * pre-order, left before right. `selection` must be bounded by `chunks` (see `ChunkRanges.select`). Memory is bounded by
 * the depth of the tree.
 */
export function* traverse(chunks: number, selection: ChunkRanges.ChunkRanges): Generator<BaoNode, void> {
  if (!ChunkRanges.intersects(selection, 0, chunks)) return
  const pending = [{ start: 0, end: chunks, pair: 0 }]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const { end, pair, start } = node
    const isRoot = start === 0 && end === chunks
    const count = end - start
    if (count === 1 || (count <= GROUP_CHUNKS && ChunkRanges.includes(selection, start, end))) {
      yield { _tag: "Leaf", start, end, isRoot }
      continue
    }
    const middle = start + leftOf(count)
    const left = ChunkRanges.intersects(selection, start, middle)
    const right = ChunkRanges.intersects(selection, middle, end)
    const stored = count > GROUP_CHUNKS
    yield { _tag: "Parent", start, middle, end, isRoot, left, right, pair: stored ? pair : undefined }
    if (right) pending.push({ start: middle, end, pair: pair + (middle - start) / GROUP_CHUNKS })
    if (left) pending.push({ start, end: middle, pair: pair + 1 })
  }
}
