import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { BlobNotFound } from "../BlobError.ts"
import type { BlobStatus, BlobStore, BlobStoreOptions } from "../BlobStore.ts"
import * as Bitfield from "../Bitfield.ts"
import type { BlobHash, HashAndFormat } from "../BlobHash.ts"
import type { BlobFiles } from "./blobFiles.ts"
import { createBlob } from "./blobWriter.ts"
import { attemptSync, Entries } from "./entries.ts"
import { collectGarbage, type Roots } from "./garbage.ts"
import type { Metadata } from "./metadata.ts"
import { receiveBlob } from "./partialBlob.ts"
import { makeTags } from "./tags.ts"

const PAGE = 1000

const statusOf = (bitfield: Bitfield.Bitfield): BlobStatus => {
  if (Bitfield.isComplete(bitfield)) return { _tag: "Complete", size: bitfield.size }
  if (Bitfield.equal(bitfield, Bitfield.empty)) return { _tag: "NotFound" }
  return { _tag: "Partial", size: bitfield.size, sizeVerified: bitfield.verified }
}

/** Puts a store together. The metadata is closed with the scope. */
export const makeStore = Effect.fnUntraced(function* (
  metadata: Metadata,
  files: BlobFiles,
  options: BlobStoreOptions
): Effect.fn.Return<BlobStore["Service"], never, Scope.Scope> {
  yield* Effect.addFinalizer(() =>
    attemptSync("close the store", () => metadata.close()).pipe(Effect.ignore({ log: true }))
  )
  const clock = yield* Clock.Clock
  const entries = new Entries(metadata, files)
  let generation = 0
  const protections = new Set<HashAndFormat>()
  const tags = makeTags(
    metadata,
    () => new Date(clock.currentTimeMillisUnsafe()),
    () => generation++
  )
  const roots: Roots = {
    generation: () => generation,
    list: function* () {
      yield* protections
      yield* metadata.tags({}, -1)
    }
  }
  const collecting = collectGarbage(entries, roots)
  if (options.gcInterval !== undefined) {
    yield* Effect.sleep(options.gcInterval).pipe(
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
          : Effect.succeed({
              hash,
              bitfield: () => entry.bitfield,
              read: (part, offset, length) => entries.read(entry, part, offset, length)
            })
      ),
    create: createBlob(entries, tags),
    receive: (hash) => receiveBlob(entries, hash),
    observe: (hash) => Stream.unwrap(Effect.map(entries.watch(hash), (changes) => Stream.fromQueue(changes))),
    protect: ({ format, hash }) =>
      Effect.gen(function* () {
        yield* entries.hold(hash)
        const root = { hash, format }
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            generation++
            protections.add(root)
          }),
          () => Effect.sync(() => protections.delete(root))
        )
      }),
    tags,
    collectGarbage: collecting
  }
})
