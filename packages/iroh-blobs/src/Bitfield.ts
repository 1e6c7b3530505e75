/**
 * How much of a blob is there. iroh-blobs wire, observe items and bitfields.
 *
 * @since 0.1.0
 */
import { CHUNK_SIZE } from "./proto/Blake3.ts"
import * as ChunkRanges from "./ChunkRanges.ts"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"

/**
 * Availability of one blob. `ranges` are the chunks that are there, open-ended as soon as the last chunk is among them.
 * `size` is in bytes; it is proven when `verified`, and otherwise the best that a peer has claimed (0 when nobody has).
 */
export interface Bitfield {
  readonly size: number
  readonly verified: boolean
  readonly ranges: ChunkRanges.ChunkRanges
}

/** Largest observe item in bytes that is read. */
export const MAX_ITEM_SIZE = 1_048_576

/** Number of chunks of a blob of `size` bytes; the empty blob has one. */
export const chunksOf = (size: number): number => Math.max(1, Math.ceil(size / CHUNK_SIZE))

/** Nothing is there and nothing is known. */
export const empty: Bitfield = { size: 0, verified: false, ranges: ChunkRanges.empty }

/** All of a blob of `size` bytes. */
export const complete = (size: number): Bitfield => ({ size, verified: true, ranges: ChunkRanges.all })

/** The given chunks of a blob of `size` bytes. Only a proven size says which chunk is the last. */
export const make = (size: number, verified: boolean, ranges: ChunkRanges.ChunkRanges): Bitfield => {
  const last = chunksOf(size) - 1
  const reachesEnd = verified && ChunkRanges.has(ranges, last)
  return { size, verified, ranges: reachesEnd ? ChunkRanges.union(ranges, [last]) : ranges }
}

/**
 * `current` after more chunks were verified in a response that claimed `size`; `proven` says that its last chunk was
 * among them. A proven size stays, whatever is claimed later.
 */
export const extend = (current: Bitfield, size: number, proven: boolean, ranges: ChunkRanges.ChunkRanges): Bitfield =>
  make(current.verified ? current.size : size, current.verified || proven, ChunkRanges.union(current.ranges, ranges))

/** Whether the whole blob is there. */
export const isComplete = (bitfield: Bitfield): boolean => ChunkRanges.equal(bitfield.ranges, ChunkRanges.all)

/** Whether two observations are the same. */
export const equal = (a: Bitfield, b: Bitfield): boolean =>
  a.size === b.size && a.verified === b.verified && ChunkRanges.equal(a.ranges, b.ranges)

/** An observe item: its length, the size, absolute boundaries. */
export const encodeItem = (size: number, ranges: ChunkRanges.ChunkRanges): Uint8Array => {
  const body = new PostcardWriter().varint(size).varint(ranges.length)
  for (const boundary of ranges) body.varint(boundary === ChunkRanges.BEYOND ? 2n ** 64n - 1n : boundary)
  const bytes = body.finish()
  return new PostcardWriter().varint(bytes.length).raw(bytes).finish()
}

/** Reads the body of an observe item, without its length. Throws {@link Malformed}. */
export const decodeItem = (body: Uint8Array): { readonly size: number; readonly ranges: ChunkRanges.ChunkRanges } => {
  if (body.length > MAX_ITEM_SIZE) throw new Malformed(`observe item of ${body.length} bytes is too large`)
  const reader = new PostcardReader(body)
  return { size: reader.varint(), ranges: ChunkRanges.readAbsolute(reader) }
}
