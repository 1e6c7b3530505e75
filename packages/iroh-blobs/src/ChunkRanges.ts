/**
 * Sets of chunks. iroh-blobs wire, chunk ranges and RangeSpec.
 *
 * @since 0.1.0
 */
import { CHUNK_SIZE, GROUP_CHUNKS } from "./proto/Blake3.ts"
import { Malformed } from "@aster-effect/iroh/Malformed"
import type { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"

/**
 * A set of chunk indices as strictly increasing boundaries: the first switches selection on, the second off, and so
 * on. An odd count leaves the selection open to infinity; no boundaries is the empty set.
 *
 * A boundary of {@link BEYOND} stands for every chunk index from 2^53 - 1 up: no blob reaches that far.
 */
export type ChunkRanges = ReadonlyArray<number>

/** The boundary past the end of every blob. */
export const BEYOND = Number.MAX_SAFE_INTEGER

/** No chunk. */
export const empty: ChunkRanges = []

/** Every chunk. */
export const all: ChunkRanges = [0]

/** The last chunk of a blob of any size: asking for it yields a proof of the size. */
export const last: ChunkRanges = [BEYOND]

/**
 * The chunks that hold the bytes from `start` (inclusive) to `end` (exclusive; open when absent or infinite). Throws
 * {@link Malformed} for what is no number.
 */
export const fromBytes = (start: number, end = Infinity): ChunkRanges => {
  if (Number.isNaN(start) || Number.isNaN(end)) throw new Malformed(`bytes ${start} to ${end} are no range`)
  const first = Math.floor(Math.max(0, start) / CHUNK_SIZE)
  if (end === Infinity) return [first]
  return end <= start ? empty : [first, Math.ceil(end / CHUNK_SIZE)]
}

/** Number of boundaries that are at most `chunk`; odd means that `chunk` is in the set. */
const boundariesUpTo = (ranges: ChunkRanges, chunk: number): number => {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle]! <= chunk) low = middle + 1
    else high = middle
  }
  return low
}

/** Whether `chunk` is in the set. */
export const has = (ranges: ChunkRanges, chunk: number): boolean => (boundariesUpTo(ranges, chunk) & 1) === 1

/** The end (exclusive) of the stretch of chunks in the set that `chunk`, itself in the set, belongs to. */
export const endOfRun = (ranges: ChunkRanges, chunk: number): number =>
  ranges[boundariesUpTo(ranges, chunk)] ?? Infinity

/** The first chunk in the set from `chunk` on; Infinity when there is none. */
export const firstFrom = (ranges: ChunkRanges, chunk: number): number => {
  const count = boundariesUpTo(ranges, chunk)
  return (count & 1) === 1 ? chunk : (ranges[count] ?? Infinity)
}

/** The part of the set in [start, end). Costs no more than the boundaries there. */
export const within = (ranges: ChunkRanges, start: number, end: number): ChunkRanges => {
  const first = boundariesUpTo(ranges, start)
  const last = boundariesUpTo(ranges, end - 1)
  const inside = ranges.slice(first, last)
  if ((first & 1) === 1) inside.unshift(start)
  if ((last & 1) === 1) inside.push(end)
  return inside
}

/** Whether the set and [start, end) have a chunk in common. */
export const intersects = (ranges: ChunkRanges, start: number, end: number): boolean => {
  const count = boundariesUpTo(ranges, start)
  return (count & 1) === 1 || (ranges[count] ?? Infinity) < end
}

/** Whether all chunks of [start, end) are in the set. */
export const includes = (ranges: ChunkRanges, start: number, end: number): boolean => {
  const count = boundariesUpTo(ranges, start)
  return (count & 1) === 1 && (ranges[count] ?? Infinity) >= end
}

const combine = (a: ChunkRanges, b: ChunkRanges, keep: (inA: boolean, inB: boolean) => boolean): ChunkRanges => {
  const out: Array<number> = []
  let i = 0
  let j = 0
  let on = false
  while (i < a.length || j < b.length) {
    const at = Math.min(a[i] ?? Infinity, b[j] ?? Infinity)
    if (a[i] === at) i++
    if (b[j] === at) j++
    const now = keep((i & 1) === 1, (j & 1) === 1)
    if (now !== on) out.push(at)
    on = now
  }
  return out
}

/** Chunks in `a` or `b`. */
export const union = (a: ChunkRanges, b: ChunkRanges): ChunkRanges => combine(a, b, (x, y) => x || y)

/** Chunks in `a` and `b`. */
export const intersection = (a: ChunkRanges, b: ChunkRanges): ChunkRanges => combine(a, b, (x, y) => x && y)

/** Chunks in `a` but not in `b`. */
export const difference = (a: ChunkRanges, b: ChunkRanges): ChunkRanges => combine(a, b, (x, y) => x && !y)

/** Chunks in exactly one of `a` and `b`. */
export const symmetricDifference = (a: ChunkRanges, b: ChunkRanges): ChunkRanges => combine(a, b, (x, y) => x !== y)

/** Whether two sets are the same. */
export const equal = (a: ChunkRanges, b: ChunkRanges): boolean => a.length === b.length && a.every((x, i) => x === b[i])

/**
 * What a request for `ranges` selects in a blob of `chunks` chunks: the requested chunks below `chunks`, and the last
 * chunk if the request reaches it or goes past it. The result is bounded. Costs no more than the boundaries below
 * `chunks`. (iroh-blobs wire, normalizing the selection.)
 */
export const select = (ranges: ChunkRanges, chunks: number): ChunkRanges => {
  const below = boundariesUpTo(ranges, chunks - 1)
  const out = ranges.slice(0, below)
  if ((below & 1) === 1) out.push(chunks)
  else if (below < ranges.length) {
    if (out[below - 1] === chunks - 1) out.pop()
    else out.push(chunks - 1)
    out.push(chunks)
  }
  return out
}

/** The smallest set of whole chunk groups that covers `ranges`. */
export const roundToGroups = (ranges: ChunkRanges): ChunkRanges => {
  const out: Array<number> = []
  for (let i = 0; i < ranges.length; i += 2) {
    const start = Math.floor(ranges[i]! / GROUP_CHUNKS) * GROUP_CHUNKS
    const end = ranges[i + 1]
    if (out.length > 0 && start <= out[out.length - 1]!) out.pop()
    else out.push(start)
    if (end !== undefined) out.push(Math.ceil(end / GROUP_CHUNKS) * GROUP_CHUNKS)
  }
  return out
}

/** Appends the RangeSpec form: a sequence of widths, alternately deselected and selected. */
export const write = (to: PostcardWriter, ranges: ChunkRanges): void => {
  to.varint(ranges.length)
  let previous = 0n
  for (const boundary of ranges) {
    const value = boundary === BEYOND ? 2n ** 64n - 1n : BigInt(boundary)
    to.varint(value - previous)
    previous = value
  }
}

/** Reads a RangeSpec. Throws {@link Malformed} also when the widths add up to more than 2^64 - 1. */
export const read = (from: PostcardReader): ChunkRanges => {
  const widths = from.length(1)
  const out: Array<number> = []
  let at = 0n
  for (let i = 0; i < widths; i++) {
    at += from.bigVarint()
    if (at >= 2n ** 64n) throw new Malformed("chunk range ends past 2^64 - 1")
    push(out, at, (i & 1) === 0)
  }
  return out
}

/**
 * Reads a sequence of absolute boundaries, the form used by observe items. Throws {@link Malformed} when they do not
 * strictly increase.
 */
export const readAbsolute = (from: PostcardReader): ChunkRanges => {
  const boundaries = from.length(1)
  const out: Array<number> = []
  let previous = -1n
  for (let i = 0; i < boundaries; i++) {
    const at = from.bigVarint()
    if (at <= previous) throw new Malformed("chunk boundaries do not increase")
    previous = at
    push(out, at, (i & 1) === 0)
  }
  return out
}

/** Appends a boundary; ends beyond every blob leave the range open, empty gaps and ranges disappear. */
const push = (out: Array<number>, at: bigint, opens: boolean): void => {
  const boundary = at >= BigInt(BEYOND) ? BEYOND : Number(at)
  // Open already (an end beyond every blob was left out): a later start changes nothing.
  if (opens !== ((out.length & 1) === 0)) return
  if (!opens && boundary === BEYOND) return
  if (out[out.length - 1] === boundary) out.pop()
  else out.push(boundary)
}
