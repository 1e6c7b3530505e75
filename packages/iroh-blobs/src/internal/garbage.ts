import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Bitfield from "../Bitfield.ts"
import { BlobNotFound, type BlobStoreError, UnreadableRoot } from "../BlobError.ts"
import * as BlobHash from "../BlobHash.ts"
import { HASH_SIZE } from "../proto/Blake3.ts"
import { attempt, attemptSync, type Entries, type Entry } from "./entries.ts"
import { tagNamed } from "./metadata.ts"
import { presentBytes } from "./partialBlob.ts"
import { VerifiedReader } from "./verifying.ts"

/** What is to be kept, besides what tags keep. */
export interface Roots {
  readonly protections: () => ReadonlyArray<BlobHash.HashAndFormat>
  /** Has the function called, within the same turn, for every root that is new. Answers how to stop that. */
  readonly onNew: (listener: (root: BlobHash.HashAndFormat) => void) => () => void
}

/** What a collection did. */
export interface Collected {
  readonly removed: ReadonlyArray<BlobHash.BlobHash>
  readonly kept: number
}

const TAGS = 1000
const PAGE = 100
const READ_SIZE = 65_536

/**
 * Removes what no root keeps and nobody uses, of all blobs or of those that are `candidates`. Nothing is removed before
 * every root has been read. Roots that appear meanwhile are honoured: between the last look at them and the decision
 * about a page of blobs nothing else can run.
 */
export const collectGarbage = Effect.fnUntraced(function* (
  entries: Entries,
  roots: Roots,
  candidates?: ReadonlySet<BlobHash.BlobHash>
): Effect.fn.Return<Collected, BlobStoreError | UnreadableRoot> {
  const fresh: Array<BlobHash.HashAndFormat> = []
  const stop = roots.onNew((root) => fresh.push(root))
  return yield* Effect.ensuring(collect(entries, roots, fresh, candidates), Effect.sync(stop))
})

const collect = Effect.fnUntraced(function* (
  entries: Entries,
  roots: Roots,
  fresh: Array<BlobHash.HashAndFormat>,
  candidates: ReadonlySet<BlobHash.BlobHash> | undefined
): Effect.fn.Return<Collected, BlobStoreError | UnreadableRoot> {
  const marks = new Marks(entries)
  yield* marks.tags
  for (const root of roots.protections()) yield* marks.keep(root, undefined)

  const removed: Array<BlobHash.BlobHash> = []
  let seen = 0
  const pages = candidates === undefined ? pagesOf(entries) : pagesOfSet(entries, candidates)
  for (let page = yield* pages(); page.length > 0; page = yield* pages()) {
    seen += page.length
    let doomed: ReadonlyArray<Entry> | undefined
    while (doomed === undefined) {
      for (let root = fresh.pop(); root !== undefined; root = fresh.pop()) yield* marks.keep(root, undefined)
      doomed = yield* forget(entries, page, marks.kept, () => fresh.length > 0)
    }
    for (const { hash } of doomed) removed.push(hash)
    yield* Effect.forEach(doomed, (entry) => remove(entries, entry), { concurrency: "unbounded", discard: true })
    yield* Effect.yieldNow
  }
  return { removed, kept: seen - removed.length }
})

/** All blobs, a page at a time; an empty page is the end. */
const pagesOf = (entries: Entries) => {
  let after: string | undefined = ""
  return () =>
    attemptSync("list blobs", () => {
      const page = after === undefined ? [] : entries.metadata.hashes(after, PAGE)
      after = page[page.length - 1]
      return page
    })
}

const pagesOfSet = (entries: Entries, candidates: ReadonlySet<BlobHash.BlobHash>) => {
  const left = [...candidates]
  return () =>
    attemptSync("look up blobs", () => {
      let page: ReadonlyArray<BlobHash.BlobHash> = []
      while (page.length === 0 && left.length > 0) {
        page = left.splice(0, PAGE).filter((hash) => entries.metadata.has(hash))
      }
      return page
    })
}

/** The blobs that roots keep. */
class Marks {
  readonly #entries: Entries
  readonly #expanded = new Set<BlobHash.BlobHash>()
  readonly kept = new Set<BlobHash.BlobHash>()

  constructor(entries: Entries) {
    this.#entries = entries
  }

  /** Keeps what tags name. */
  readonly tags = Effect.gen({ self: this }, function* () {
    let from: Uint8Array | undefined
    while (true) {
      const page = yield* attemptSync("list tags", () => this.#entries.metadata.tags({ from }, TAGS))
      for (const { format, hash, name } of page) yield* this.keep({ format, hash }, name)
      const last = page[page.length - 1]
      if (last === undefined) return
      from = tagNamed(last.name).to
      yield* Effect.yieldNow
    }
  })

  /** Keeps a root, and what it lists. What a tag keeps has to be known in full. */
  readonly keep = Effect.fnUntraced(
    function* (
      this: Marks,
      { format, hash }: BlobHash.HashAndFormat,
      tag: string | undefined
    ): Effect.fn.Return<void, UnreadableRoot> {
      this.kept.add(hash)
      // The same hash may also be tagged raw, which says nothing about its children.
      if (format === "raw" || this.#expanded.has(hash)) return
      yield* this.#keepChildren(hash, tag).pipe(
        Effect.scoped,
        Effect.mapError((cause) => new UnreadableRoot({ hash, tag, cause }))
      )
      // Somebody may be fetching the rest of a root that no tag keeps.
      if (tag !== undefined) this.#expanded.add(hash)
    }.bind(this)
  )

  /** Keeps the hashes in as much of a sequence as is there, all of them verified. */
  readonly #keepChildren = Effect.fnUntraced(
    function* (this: Marks, hash: BlobHash.BlobHash, tag: string | undefined) {
      const entry = yield* this.#entries.hold(hash)
      if (tag !== undefined && !Bitfield.isComplete(entry.bitfield)) return yield* new BlobNotFound({ hash })
      for (const [start, end] of presentBytes(entry.bitfield)) {
        const reader = new VerifiedReader(this.#entries, entry, start, end)
        for (let bytes = yield* reader.next(READ_SIZE); bytes !== undefined; bytes = yield* reader.next(READ_SIZE)) {
          // Groups, and so all that can be present, hold whole hashes; a rest at the end is none.
          for (let i = 0; i + HASH_SIZE <= bytes.length; i += HASH_SIZE) {
            this.kept.add(BlobHash.fromBytes(bytes.subarray(i, i + HASH_SIZE)))
          }
          yield* Effect.yieldNow
        }
      }
    }.bind(this)
  )
}

/**
 * Removes the records of blobs of the page that nothing keeps; undefined when there is a new root to be read first. From
 * then on nobody finds these blobs; the files are still there.
 */
const forget = (
  entries: Entries,
  page: ReadonlyArray<BlobHash.BlobHash>,
  kept: ReadonlySet<BlobHash.BlobHash>,
  isStale: () => boolean
): Effect.Effect<ReadonlyArray<Entry> | undefined, BlobStoreError> =>
  attempt("remove blobs", async () => {
    const isGarbage = (hash: BlobHash.BlobHash) => !kept.has(hash) && !entries.inUse(hash)
    const candidates = page.filter(isGarbage)
    if (candidates.length === 0) return []
    for (const hash of candidates) await entries.files.unsettled(hash)
    const doomed: Array<Entry> = []
    const decided = await entries.metadata.commit(
      (changes) => {
        if (isStale()) return undefined
        const hashes = candidates.filter(isGarbage)
        for (const hash of hashes) changes.deleteBlob(hash)
        return hashes
      },
      (hashes) => {
        for (const hash of hashes ?? []) {
          const entry = entries.holdUnsafe(hash)
          entry.data = undefined
          entries.publish(entry, Bitfield.empty)
          doomed.push(entry)
        }
      }
    )
    if (decided === undefined) return undefined
    for (const hash of candidates) if (!decided.includes(hash)) await entries.files.settled(hash)
    return doomed
  }).pipe(Effect.uninterruptible)

/** The record went before the files do, so that a crash in between leaves files without a record, never the reverse. */
const remove = (entries: Entries, entry: Entry): Effect.Effect<void, BlobStoreError> =>
  attempt("remove a blob", async () => {
    // Added again while we waited: the files are the new blob's.
    if (!Bitfield.equal(entry.bitfield, Bitfield.empty) || entries.metadata.has(entry.hash)) return
    await entries.closeFiles(entry)
    await entries.files.remove(entry.hash)
    await entries.files.settled(entry.hash)
  }).pipe(
    (effect) => Semaphore.withPermit(entry.lock, effect),
    Effect.uninterruptible,
    Effect.ensuring(entries.release(entry))
  )
