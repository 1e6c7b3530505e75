import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type * as Scope from "effect/Scope"
import type { BlobStoreError } from "../BlobError.ts"
import type { PartialBlob } from "../BlobStore.ts"
import type { BaoItem } from "../proto/BaoDecoder.ts"
import * as Bitfield from "../Bitfield.ts"
import { CHUNK_SIZE, GROUP_CHUNKS, GROUP_SIZE, PAIR_SIZE } from "../proto/Blake3.ts"
import type { BlobHash } from "../BlobHash.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import { attempt, attemptSync, type Entries, type Entry } from "./entries.ts"

/** Bytes written before they are made durable. A crash loses no more than these. */
const SYNC_EVERY = 4 * 1_048_576

/** A stretch of bytes to be written. */
interface Run {
  readonly offset: number
  readonly parts: Array<Uint8Array>
  end: number
}

const extend = (runs: Array<Run>, offset: number, parts: ReadonlyArray<Uint8Array>): void => {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const last = runs[runs.length - 1]
  if (last?.end !== offset) runs.push({ offset, parts: [...parts], end: offset + length })
  else {
    last.parts.push(...parts)
    last.end += length
  }
}

/** Opens a blob to add verified pieces to it. */
export const receiveBlob = Effect.fnUntraced(function* (
  entries: Entries,
  hash: BlobHash
): Effect.fn.Return<PartialBlob, BlobStoreError, Scope.Scope> {
  const entry = yield* entries.hold(hash)
  yield* Effect.addFinalizer(() =>
    Semaphore.withPermit(
      entry.lock,
      Effect.suspend(() => sync(entries, entry))
    ).pipe(Effect.ignore({ log: true }))
  )
  // Pairs wait for data below them: only that shows that the tree has the shape the claimed size gives it.
  let pairs: Array<Run> = []
  // What could not be written would be missing under what comes later.
  let broken: BlobStoreError | undefined

  const append = Effect.fnUntraced(function* (
    claimed: number,
    items: ReadonlyArray<BaoItem>
  ): Effect.fn.Return<void, BlobStoreError> {
    if (broken !== undefined) return yield* broken
    if (Bitfield.isComplete(entry.bitfield)) return
    const chunks = Bitfield.chunksOf(claimed)
    const settledPairs: Array<Run> = []
    const data: Array<Run> = []
    const groups: Array<number> = []
    let proven = false
    for (const item of items) {
      if (item._tag === "Pair" && item.index !== undefined) extend(pairs, item.index * PAIR_SIZE, [item.pair])
      if (item._tag !== "Data") continue
      for (const { offset, parts } of pairs) extend(settledPairs, offset, parts)
      pairs = []
      const start = item.offset / CHUNK_SIZE
      const end = start + Bitfield.chunksOf(item.data.length)
      proven ||= end === chunks
      if (start % GROUP_CHUNKS !== 0 || (end % GROUP_CHUNKS !== 0 && end !== chunks)) continue
      extend(data, item.offset, [item.data])
      if (groups[groups.length - 1] === start) groups.pop()
      else groups.push(start)
      groups.push(end)
    }
    const bitfield = Bitfield.extend(entry.bitfield, claimed, proven, groups)
    if (Bitfield.isComplete(bitfield) && bitfield.size <= GROUP_SIZE) {
      const content = Uint8Array.from(data[0]!.parts[0]!)
      yield* attemptSync("record a blob", () => entries.metadata.putBlob(hash, { bitfield, data: content }))
      yield* attempt("record a blob", () => entries.metadata.durable())
      entry.data = content
      entry.unsynced = 0
      entries.publish(entry, bitfield)
      return
    }
    if (data.length > 0 || settledPairs.length > 0) {
      yield* attempt("write a blob", async () => {
        const files = await entries.openFiles(entry)
        for (const run of data) await files.write("data", run.offset, run.parts)
        for (const run of settledPairs) await files.write("outboard", run.offset, run.parts)
      })
    }
    if (Bitfield.equal(bitfield, entry.bitfield)) return
    entry.unsynced += 1 + data.reduce((sum, run) => sum + run.end - run.offset, 0)
    if (Bitfield.isComplete(bitfield)) {
      // Nobody is told that the blob is complete before it is so durably.
      yield* sync(entries, entry, bitfield)
      entries.publish(entry, bitfield)
    } else {
      entries.publish(entry, bitfield)
      if (entry.unsynced >= SYNC_EVERY) yield* sync(entries, entry)
    }
  })

  return {
    hash,
    bitfield: () => entry.bitfield,
    read: (part, offset, length) => entries.read(entry, part, offset, length),
    append: (size, items) =>
      Semaphore.withPermit(entry.lock, append(size, items)).pipe(
        Effect.tapError((error) => Effect.sync(() => (broken = error))),
        Effect.uninterruptible
      )
  }
})

/** Makes what was written durable, and then the record that says so. */
const sync = Effect.fnUntraced(function* (
  entries: Entries,
  entry: Entry,
  bitfield: Bitfield.Bitfield = entry.bitfield
): Effect.fn.Return<void, BlobStoreError> {
  if (entry.unsynced === 0) return
  const files = entry.files
  if (files !== undefined) yield* attempt("sync a blob", async () => (await files).sync())
  yield* attemptSync("record a blob", () => entries.metadata.putBlob(entry.hash, { bitfield, data: undefined }))
  yield* attempt("record a blob", () => entries.metadata.durable())
  entry.unsynced = 0
})

/** Chunk ranges that are there of a blob, as bytes: [start, end) in a list. */
export const presentBytes = ({ ranges, size }: Bitfield.Bitfield): ReadonlyArray<readonly [number, number]> => {
  const selected = ChunkRanges.select(ranges, Bitfield.chunksOf(size))
  return Array.from({ length: selected.length / 2 }, (_, i) => [
    selected[2 * i]! * CHUNK_SIZE,
    Math.min(selected[2 * i + 1]! * CHUNK_SIZE, size)
  ])
}
