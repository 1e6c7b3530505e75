/**
 * BLAKE3 (default hash mode) with its tree laid open: chaining values of subtrees and parents, as needed to verify a
 * blob piece by piece. BLAKE3 specification §2; Bao tree with chunk groups of 16.
 */
import * as Native from "@aster-effect/iroh/Blake3"
import { compress, initialWords } from "../internal/blake3Compress.ts"

/** Bytes of a chunk, the leaf of the BLAKE3 tree. */
export const CHUNK_SIZE = 1024

/** Chunks of a chunk group, the unit of stored hashes and of availability. */
export const GROUP_CHUNKS = 16

/** Bytes of a chunk group. */
export const GROUP_SIZE = CHUNK_SIZE * GROUP_CHUNKS

/** Bytes of a hash or chaining value. */
export const HASH_SIZE = 32

/** Bytes of a parent node: the chaining values of its left and right child. */
export const PAIR_SIZE = 2 * HASH_SIZE

/** From so many bytes on native code is worth the way there. */
const NATIVE_SIZE = 2 * CHUNK_SIZE

const CHUNK_START = 1
const CHUNK_END = 2
const PARENT = 4
const ROOT = 8

const BLOCK_SIZE = 64
const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

// Working memory: the code below never yields between writing and reading it.
const cvs = new Int32Array(GROUP_CHUNKS * 8)
const scratch = new Int32Array(GROUP_SIZE / 4)
const scratchBytes = new Uint8Array(scratch.buffer)
const scratchView = new DataView(scratch.buffer)

/** Message words of `bytes`: a view when the platform allows it, otherwise a copy in `scratch`. */
const words = (bytes: Uint8Array): Int32Array => {
  if (littleEndian && (bytes.byteOffset & 3) === 0 && (bytes.length & 63) === 0) {
    return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2)
  }
  scratchBytes.set(bytes)
  const padded = Math.ceil(bytes.length / BLOCK_SIZE) * BLOCK_SIZE
  scratchBytes.fill(0, bytes.length, padded)
  if (!littleEndian) for (let i = 0; i < padded >>> 2; i++) scratch[i] = scratchView.getInt32(4 * i, true)
  return scratch
}

const toBytes = (from: Int32Array): Uint8Array => {
  const out = new Uint8Array(HASH_SIZE)
  if (littleEndian) out.set(new Uint8Array(from.buffer, from.byteOffset, HASH_SIZE))
  else {
    const view = new DataView(out.buffer)
    for (let i = 0; i < 8; i++) view.setInt32(4 * i, from[i]!, true)
  }
  return out
}

/**
 * Chaining value of the subtree holding `data`, 0 to 16 384 bytes, whose first chunk has index `startChunk` in the
 * blob. `isRoot` is true only when the subtree is the whole blob; the result is then the blob's hash.
 */
export const subtreeCv = (data: Uint8Array, startChunk: number, isRoot: boolean): Uint8Array => {
  if (data.length >= NATIVE_SIZE) {
    const subtree = Native.native()
    if (subtree !== undefined) return subtree(data, startChunk, isRoot)
  }
  const message = words(data)
  const chunks = Math.max(1, Math.ceil(data.length / CHUNK_SIZE))
  for (let chunk = 0; chunk < chunks; chunk++) {
    const counter = startChunk + chunk
    const low = counter | 0
    const high = Math.floor(counter / 0x1_0000_0000) | 0
    const size = Math.min(CHUNK_SIZE, data.length - chunk * CHUNK_SIZE)
    const blocks = Math.max(1, Math.ceil(size / BLOCK_SIZE))
    const out = 8 * chunk
    // An empty blob still has one block of zeros, which an empty view does not hold.
    const from = size === 0 ? emptyBlock : message
    compress(
      initialWords,
      0,
      from,
      256 * chunk,
      low,
      high,
      Math.min(BLOCK_SIZE, size),
      flagsOf(0, blocks, chunks, isRoot),
      cvs,
      out
    )
    for (let block = 1; block < blocks; block++) {
      const length = Math.min(BLOCK_SIZE, size - block * BLOCK_SIZE)
      compress(
        cvs,
        out,
        from,
        256 * chunk + 16 * block,
        low,
        high,
        length,
        flagsOf(block, blocks, chunks, isRoot),
        cvs,
        out
      )
    }
  }
  // Merging neighbours level by level, an odd one out moving up, gives the left-balanced tree.
  for (let count = chunks; count > 1; count = (count + 1) >>> 1) {
    const flags = count === 2 && isRoot ? PARENT | ROOT : PARENT
    for (let pair = 0; pair < count >>> 1; pair++) {
      compress(initialWords, 0, cvs, 16 * pair, 0, 0, BLOCK_SIZE, flags, cvs, 8 * pair)
    }
    if (count & 1) cvs.copyWithin(4 * (count - 1), 8 * (count - 1), 8 * count)
  }
  return toBytes(cvs)
}

const emptyBlock = new Int32Array(16)

const flagsOf = (block: number, blocks: number, chunks: number, isRoot: boolean): number => {
  const last = block === blocks - 1
  return (block === 0 ? CHUNK_START : 0) | (last ? CHUNK_END : 0) | (last && isRoot && chunks === 1 ? ROOT : 0)
}

/** Chaining value of a parent whose children's chaining values are the 64 bytes of `pair`, left then right. */
export const parentCv = (pair: Uint8Array, isRoot: boolean): Uint8Array => {
  compress(initialWords, 0, words(pair), 0, 0, 0, BLOCK_SIZE, isRoot ? PARENT | ROOT : PARENT, cvs, 0)
  return toBytes(cvs)
}

/** Whether two hashes or chaining values are the same. */
export const equal = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
