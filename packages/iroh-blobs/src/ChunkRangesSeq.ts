/**
 * Chunk ranges for a sequence of blobs. iroh-blobs wire, ChunkRangesSeq.
 *
 * @since 0.1.0
 */
import * as ChunkRanges from "./ChunkRanges.ts"
import type { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"

/**
 * Which chunks of which blobs: logically an infinite list of sets, of which only the changes are kept. `ranges` holds
 * from `index` on, until the next entry. Indices strictly increase; nothing is selected before the first entry.
 */
export type ChunkRangesSeq = ReadonlyArray<{ readonly index: number; readonly ranges: ChunkRanges.ChunkRanges }>

/** The given chunks of the blob itself, nothing of its children. */
export const single = (ranges: ChunkRanges.ChunkRanges): ChunkRangesSeq => fromList([ranges])

/** Every chunk of the root and of all its children. */
export const everything: ChunkRangesSeq = [{ index: 0, ranges: ChunkRanges.all }]

/** The given sets for index 0, 1, ..., and `rest` (nothing by default) for every later index. */
export const fromList = (
  sets: ReadonlyArray<ChunkRanges.ChunkRanges>,
  rest: ChunkRanges.ChunkRanges = ChunkRanges.empty
): ChunkRangesSeq => canonical([...sets, rest].map((ranges, index) => ({ index, ranges })))

/** The given sets at the given indices, which ascend, and nothing at any other index. */
export const fromEntries = (entries: ChunkRangesSeq): ChunkRangesSeq =>
  canonical(
    entries.flatMap((entry, i) =>
      entries[i + 1]?.index === entry.index + 1
        ? [entry]
        : [entry, { index: entry.index + 1, ranges: ChunkRanges.empty }]
    )
  )

/** Drops entries that change nothing. */
const canonical = (entries: ChunkRangesSeq): ChunkRangesSeq => {
  let previous = ChunkRanges.empty
  return entries.filter(({ ranges }) => {
    const changes = !ChunkRanges.equal(ranges, previous)
    previous = ranges
    return changes
  })
}

/** Whether the sequence is about one blob alone: exactly a set at index 0 and nothing from index 1. */
export const isSingle = (seq: ChunkRangesSeq): boolean =>
  seq.length === 2 && seq[0]!.index === 0 && seq[1]!.index === 1 && seq[1]!.ranges.length === 0

/** Whether anything is selected at `index` or after it. */
export const reaches = (seq: ChunkRangesSeq, index: number): boolean => {
  const next = seq.findIndex((entry) => entry.index > index)
  const from = next < 0 ? seq.length : next
  return seq.slice(Math.max(0, from - 1)).some(({ ranges }) => ranges.length > 0)
}

/** The set at one index. */
export const at = (seq: ChunkRangesSeq, index: number): ChunkRanges.ChunkRanges => {
  let found = ChunkRanges.empty
  for (const entry of seq) {
    if (entry.index > index) break
    found = entry.ranges
  }
  return found
}

/**
 * The indices from `from` to `end` (exclusive) whose set is not empty, ascending. Stretches of empty sets are jumped
 * over, so their length costs nothing.
 */
export function* selected(
  seq: ChunkRangesSeq,
  from: number,
  end: number
): Generator<{ readonly index: number; readonly ranges: ChunkRanges.ChunkRanges }> {
  for (let i = 0; i < seq.length; i++) {
    const { index, ranges } = seq[i]!
    if (index >= end) return
    if (ranges.length === 0) continue
    const next = Math.min(end, seq[i + 1]?.index ?? Infinity)
    for (let at = Math.max(from, index); at < next; at++) yield { index: at, ranges }
  }
}

/** Appends the wire form. */
export const write = (to: PostcardWriter, seq: ChunkRangesSeq): void => {
  to.varint(seq.length)
  let previous = 0
  for (const { index, ranges } of seq) {
    to.varint(index - previous)
    ChunkRanges.write(to, ranges)
    previous = index
  }
}

/** Reads the wire form. Of several entries for one index the last counts. Throws `Malformed`. */
export const read = (from: PostcardReader): ChunkRangesSeq => {
  const pairs = from.length(2)
  const entries: Array<{ index: number; ranges: ChunkRanges.ChunkRanges }> = []
  let index = 0
  for (let i = 0; i < pairs; i++) {
    // Beyond any list of hashes; keeping it finite keeps later sums exact.
    index = Math.min(index + from.varint(), Number.MAX_SAFE_INTEGER)
    const ranges = ChunkRanges.read(from)
    if (entries[entries.length - 1]?.index === index) entries.pop()
    entries.push({ index, ranges })
  }
  return canonical(entries)
}
