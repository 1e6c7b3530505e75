import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { BlobStoreError } from "../BlobError.ts"
import type { GarbageReport } from "../BlobStore.ts"
import * as Bitfield from "../Bitfield.ts"
import { HASH_SIZE } from "../proto/Blake3.ts"
import * as BlobHash from "../BlobHash.ts"
import { attempt, attemptSync, type Entries, type Entry } from "./entries.ts"
import { presentBytes } from "./partialBlob.ts"

/** What is to be kept: tags and protections. */
export interface Roots {
  /** Changes whenever there may be a root that was not there before. */
  readonly generation: () => number
  readonly list: () => Iterable<BlobHash.HashAndFormat>
}

const PAGE = 100
const READ_SIZE = 65_536

/**
 * Removes what no root keeps and nobody uses. Roots that appear meanwhile are honoured: between the last look at them
 * and the decision about a page of blobs nothing else can run.
 */
export const collectGarbage = Effect.fnUntraced(function* (
  entries: Entries,
  roots: Roots
): Effect.fn.Return<GarbageReport, BlobStoreError> {
  const kept = new Set<BlobHash.BlobHash>()
  const expanded = new Set<BlobHash.BlobHash>()
  let generation = -1
  let after = ""
  let removed = 0
  let seen = 0
  while (true) {
    while (generation !== roots.generation()) {
      generation = roots.generation()
      for (const { format, hash } of yield* attemptSync("list tags", () => [...roots.list()])) {
        kept.add(hash)
        // The same hash may also be tagged raw, which says nothing about its children.
        if (format === "raw" || expanded.has(hash)) continue
        expanded.add(hash)
        yield* addChildren(entries, hash, kept)
      }
    }
    const doomed = yield* attemptSync("remove blobs", () => {
      const page = entries.metadata.hashes(after, PAGE)
      after = page[page.length - 1] ?? ""
      seen += page.length
      return page.filter((hash) => !kept.has(hash) && !entries.inUse(hash)).map((hash) => forget(entries, hash))
    })
    removed += doomed.length
    yield* Effect.forEach(doomed, (entry) => remove(entries, entry), { concurrency: "unbounded", discard: true })
    if (after === "") return { removed, kept: seen - removed }
  }
})

/** From here on nobody finds the blob; the files are still there. */
const forget = (entries: Entries, hash: BlobHash.BlobHash): Entry => {
  const entry = entries.holdUnsafe(hash)
  entries.metadata.deleteBlob(hash)
  entry.data = undefined
  entries.publish(entry, Bitfield.empty)
  return entry
}

/** The record goes before the files do, so that a crash in between leaves files without a record, never the reverse. */
const remove = (entries: Entries, entry: Entry): Effect.Effect<void, BlobStoreError> =>
  attempt("remove a blob", async () => {
    await entries.metadata.durable()
    // Added again while we waited: the files are the new blob's.
    if (entry.bitfield !== Bitfield.empty) return
    await entries.closeFiles(entry)
    await entries.files.remove(entry.hash)
  }).pipe(
    (effect) => Semaphore.withPermit(entry.lock, effect),
    Effect.uninterruptible,
    Effect.ensuring(entries.release(entry))
  )

/** Adds the hashes in as much of a sequence as is there. */
const addChildren = (entries: Entries, hash: BlobHash.BlobHash, to: Set<BlobHash.BlobHash>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const entry = yield* entries.hold(hash)
    for (const [start, end] of presentBytes(entry.bitfield)) {
      for (let at = start; at < end; at += READ_SIZE) {
        const bytes = yield* entries.read(entry, "data", at, Math.min(READ_SIZE, end - at))
        // Groups, and so all that can be present, hold whole hashes; a rest at the end is none.
        for (let i = 0; i + HASH_SIZE <= bytes.length; i += HASH_SIZE)
          to.add(BlobHash.fromBytes(bytes.subarray(i, i + HASH_SIZE)))
      }
    }
  }).pipe(
    Effect.scoped,
    Effect.catchCause((cause) =>
      Effect.logWarning(`keeping only what can be read of hash sequence ${BlobHash.short(hash)}`, cause)
    )
  )
