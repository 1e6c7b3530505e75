import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Bitfield from "../Bitfield.ts"
import { BlobStoreError } from "../BlobError.ts"
import type { BlobHash } from "../BlobHash.ts"
import type { PartialBlob } from "../BlobStore.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import type { BaoItem } from "../proto/BaoDecoder.ts"
import { CHUNK_SIZE, GROUP_CHUNKS, GROUP_SIZE, PAIR_SIZE } from "../proto/Blake3.ts"
import { attempt, type Entries, type Entry } from "./entries.ts"

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

/** A blob that is being received. */
export interface Receiving {
  readonly entry: Entry
  readonly append: PartialBlob["append"]
}

/** Opens a blob to add verified pieces to it. */
export const receiveBlob = Effect.fnUntraced(function* (
  entries: Entries,
  hash: BlobHash
): Effect.fn.Return<Receiving, BlobStoreError, Scope.Scope> {
  const entry = yield* entries.hold(hash)
  yield* Effect.addFinalizer(() =>
    sync(entries, entry).pipe(
      Effect.ensuring(
        Effect.ignore(
          attempt("discard a blob", () => entries.abandon(entry)),
          { log: true }
        )
      ),
      (effect) => Semaphore.withPermit(entry.lock, effect),
      Effect.ignore({ log: true })
    )
  )
  const { losses } = entry
  // Pairs wait for data below them: only that shows that the tree has the shape the claimed size gives it.
  let pairs: Array<Run> = []
  // What could not be written would be missing under what comes later.
  let broken: BlobStoreError | undefined

  const append = Effect.fnUntraced(function* (
    claimed: number,
    items: ReadonlyArray<BaoItem>
  ): Effect.fn.Return<void, BlobStoreError> {
    if (broken !== undefined) return yield* broken
    if (entry.losses !== losses) {
      return yield* new BlobStoreError({ operation: "write a blob", cause: new Error("earlier parts were lost") })
    }
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
    // Their memory is the caller's again.
    for (const run of pairs) run.parts.splice(0, Infinity, ...run.parts.map((pair) => new Uint8Array(pair)))
    const bitfield = Bitfield.extend(entry.bitfield, claimed, proven, groups)
    if (Bitfield.isComplete(bitfield) && bitfield.size <= GROUP_SIZE) {
      const content = new Uint8Array(data[0]!.parts[0]!)
      yield* attempt("record a blob", () => entries.record(entry, { bitfield, data: content }))
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
    // Nobody is told that the blob is complete before it is so durably.
    if (Bitfield.isComplete(bitfield)) return yield* sync(entries, entry, bitfield)
    entries.publish(entry, bitfield)
    if (entry.unsynced >= SYNC_EVERY) yield* sync(entries, entry)
  })

  return {
    entry,
    append: (size, items) =>
      Semaphore.withPermit(entry.lock, append(size, items)).pipe(
        Effect.tapError((error) => Effect.sync(() => (broken = error))),
        Effect.uninterruptible
      )
  }
})

/** Makes what was written durable, and then the record that says so; or else goes back to what is durable. */
const sync = (entries: Entries, entry: Entry, complete?: Bitfield.Bitfield): Effect.Effect<void, BlobStoreError> =>
  Effect.suspend(() => {
    if (entry.unsynced === 0) return Effect.void
    return attempt("record a blob", async () => {
      await (await entry.files?.open)?.sync()
      await entries.record(entry, { bitfield: complete ?? entry.bitfield, data: undefined })
    })
  }).pipe(Effect.tapError(() => Effect.ignore(attempt("look up a blob", () => entries.revert(entry)))))

/** Chunk ranges that are there of a blob, as bytes: [start, end) in a list. */
export const presentBytes = ({ ranges, size }: Bitfield.Bitfield): ReadonlyArray<readonly [number, number]> => {
  const selected = ChunkRanges.select(ranges, Bitfield.chunksOf(size))
  return Array.from({ length: selected.length / 2 }, (_, i) => [
    selected[2 * i]! * CHUNK_SIZE,
    Math.min(selected[2 * i + 1]! * CHUNK_SIZE, size)
  ])
}
