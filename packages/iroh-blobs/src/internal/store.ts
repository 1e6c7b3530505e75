import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Bitfield from "../Bitfield.ts"
import { BlobNotFound, BlobStoreError, InvalidRange } from "../BlobError.ts"
import type { BlobHash, HashAndFormat } from "../BlobHash.ts"
import type { BlobReader, BlobStatus, BlobStore, BlobStoreOptions, StoredBlob } from "../BlobStore.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import { Missing } from "./blobFiles.ts"
import { createBlob } from "./blobWriter.ts"
import { attempt, attemptSync, type Entries, type Entry } from "./entries.ts"
import { collectGarbage, type Roots } from "./garbage.ts"
import { receiveBlob } from "./partialBlob.ts"
import { makeTags } from "./tags.ts"
import { markDamaged, VerifiedReader, verify } from "./verifying.ts"

const PAGE = 1000
const PIECE = 262_144
/** Nobody gains anything by collecting more often, and a mistaken zero would take the thread. */
const LEAST_INTERVAL = Duration.millis(10)

const statusOf = (bitfield: Bitfield.Bitfield): BlobStatus => {
  if (Bitfield.isComplete(bitfield)) return { _tag: "Complete", size: bitfield.size }
  if (Bitfield.equal(bitfield, Bitfield.empty)) return { _tag: "NotFound" }
  return { _tag: "Partial", size: bitfield.size, sizeVerified: bitfield.verified }
}

/** Why bytes of a blob cannot be read, if they cannot. */
const unreadable = ({ bitfield }: Entry, start: number, end: number): BlobStoreError | undefined => {
  const fail = (cause: Error) => new BlobStoreError({ operation: "read a blob", cause })
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    return fail(new InvalidRange({ start, end }))
  }
  const lacking = ChunkRanges.difference(ChunkRanges.fromBytes(start, end), bitfield.ranges)
  return end > bitfield.size || lacking.length > 0
    ? fail(new Missing(`not all bytes from ${start} to ${end} are there`))
    : undefined
}

const readerOf = (entries: Entries, entry: Entry): BlobReader => ({
  hash: entry.hash,
  bitfield: () => entry.bitfield,
  read: (part, offset, length) =>
    Effect.suspend(() => {
      if (part === "outboard") return attempt("read a blob", () => entries.stored(entry, part, offset, length))
      return (
        unreadable(entry, offset, offset + length) ?? new VerifiedReader(entries, entry, offset, offset + length).rest
      )
    }),
  stream: (offset, end) =>
    Stream.unwrap(
      Effect.suspend(() => {
        const error = unreadable(entry, offset, end)
        if (error !== undefined) return error
        const reader = new VerifiedReader(entries, entry, offset, end)
        const pieces = Stream.paginate(undefined, () =>
          Effect.map(
            reader.next(PIECE),
            (bytes) =>
              [bytes === undefined ? [] : [bytes], Option.as(Option.fromUndefinedOr(bytes), undefined)] as const
          )
        )
        return Effect.succeed(pieces)
      })
    )
})

/** Puts a store together. The metadata is closed with the scope. */
export const makeStore = Effect.fnUntraced(function* (
  entries: Entries,
  options: BlobStoreOptions
): Effect.fn.Return<BlobStore["Service"], never, Scope.Scope> {
  const { metadata } = entries
  yield* Effect.addFinalizer(() =>
    attemptSync("close the store", () => metadata.close()).pipe(Effect.ignore({ log: true }))
  )
  const clock = yield* Clock.Clock
  const protections = new Set<HashAndFormat>()
  const listeners = new Set<(root: HashAndFormat) => void>()
  const onRoot = (root: HashAndFormat) => {
    for (const listener of listeners) listener(root)
  }
  const { set, ...tags } = makeTags(metadata, () => new Date(clock.currentTimeMillisUnsafe()), onRoot)
  const roots: Roots = {
    protections: () => [...protections],
    onNew: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
  const collecting = collectGarbage(entries, roots)
  if (options.gcInterval !== undefined) {
    yield* Effect.sleep(Duration.max(Duration.fromInputUnsafe(options.gcInterval), LEAST_INTERVAL)).pipe(
      Effect.andThen(collecting),
      Effect.catchCause((cause) => Effect.logWarning("collecting garbage failed; it is tried again", cause)),
      Effect.forever,
      Effect.forkScoped
    )
  }

  const bitfield = (hash: BlobHash) => attemptSync("look up a blob", () => entries.bitfield(hash))
  return {
    bitfield,
    status: (hash) => Effect.map(bitfield(hash), statusOf),
    list: Stream.paginate("", (after) =>
      attemptSync("list blobs", () => {
        const page = metadata.hashes(after, PAGE)
        const last = page.length < PAGE ? undefined : page[page.length - 1]
        const infos = page.map((hash) => ({ hash, status: statusOf(entries.bitfield(hash)) }))
        return [infos, Option.fromUndefinedOr(last)] as const
      })
    ),
    open: (hash) =>
      Effect.flatMap(entries.hold(hash), (entry) =>
        entry.bitfield.ranges.length === 0
          ? new BlobNotFound({ hash })
          : Effect.succeed<StoredBlob>({
              ...readerOf(entries, entry),
              stored: (part, offset, length, room) =>
                attempt("read a blob", () => entries.stored(entry, part, offset, length, room)),
              markDamaged: (ranges) => markDamaged(entries, entry, ranges)
            })
      ),
    create: createBlob(entries, tags),
    receive: (hash) =>
      Effect.map(receiveBlob(entries, hash), ({ append, entry }) => ({ ...readerOf(entries, entry), append })),
    observe: (hash) => Stream.unwrap(Effect.map(entries.watch(hash), (changes) => Stream.fromQueue(changes))),
    protect: ({ format, hash }) =>
      Effect.gen(function* () {
        yield* entries.hold(hash)
        const root = { hash, format }
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            onRoot(root)
            protections.add(root)
          }),
          () => Effect.sync(() => protections.delete(root))
        )
      }),
    verify: (hash) => Effect.scoped(Effect.flatMap(entries.hold(hash), (entry) => verify(entries, entry))),
    tags: { ...tags, set },
    collectGarbage: Effect.map(collecting, ({ kept, removed }) => ({ removed: removed.length, kept })),
    remove: (hashes) => Effect.map(collectGarbage(entries, roots, new Set(hashes)), ({ removed }) => removed)
  }
})
