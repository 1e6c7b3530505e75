import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Bitfield from "../Bitfield.ts"
import { BlobStoreError } from "../BlobError.ts"
import * as BlobHash from "../BlobHash.ts"
import type { AddedBlob, BlobWriter, FinishOptions } from "../BlobStore.ts"
import { GROUP_SIZE } from "../proto/Blake3.ts"
import { OutboardBuilder } from "../proto/OutboardBuilder.ts"
import type { NewBlob } from "./blobFiles.ts"
import { attempt, type Entries } from "./entries.ts"
import type { TagWriter } from "./tags.ts"

/** Bytes collected before they go to the disk at once. */
const BATCH = 1_048_576

/** Begins a new blob. What is written is hashed and put aside, and moved to its place when its hash is known. */
export const createBlob = Effect.fnUntraced(function* (
  entries: Entries,
  tags: TagWriter
): Effect.fn.Return<BlobWriter, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const builder = new OutboardBuilder()
  let size = 0
  let batch: Array<Uint8Array> = []
  let batched = 0
  let aside: NewBlob | undefined
  let finished = false
  const open = (operation: string) =>
    Effect.suspend(() =>
      finished ? new BlobStoreError({ operation, cause: new Error("it has been finished already") }) : Effect.void
    )
  yield* Effect.addFinalizer(() => attempt("discard a blob", () => aside?.discard()).pipe(Effect.ignore({ log: true })))

  const flush = attempt("write a blob", async () => {
    aside ??= await entries.files.create()
    // Given up only once it is written: after a failure the next attempt repeats it.
    await aside.append(batch.length === 1 ? batch[0]! : Buffer.concat(batch))
    batch = []
    batched = 0
  }).pipe(Effect.uninterruptible)

  const write = Effect.fnUntraced(function* (bytes: Uint8Array): Effect.fn.Return<void, BlobStoreError> {
    yield* open("write a blob")
    for (let at = 0; at < bytes.length; at += BATCH) {
      const part = bytes.subarray(at, at + BATCH)
      builder.update(part)
      size += part.length
      batched += part.length
      // What waits is copied: the caller may fill the same memory again.
      batch.push(batched < BATCH ? new Uint8Array(part) : part)
      if (batched < BATCH) continue
      yield* flush
      // Hashing took a millisecond or two: let others have theirs.
      yield* Effect.yieldNow
    }
  })

  const store = Effect.fnUntraced(function* (options: FinishOptions): Effect.fn.Return<AddedBlob, BlobStoreError> {
    yield* open("store a blob")
    finished = true
    const { hash: bytes, outboard } = builder.finish()
    const hash = BlobHash.fromBytes(bytes)
    const entry = yield* entries.hold(hash).pipe(Scope.provide(scope))
    const data = size <= GROUP_SIZE ? new Uint8Array(Buffer.concat(batch)) : undefined
    const settle = Effect.gen(function* () {
      // Also when the blob is there: what lies there may be damaged, and this is not.
      if (data === undefined) {
        if (batched > 0) yield* flush
        yield* attempt("store a blob", async () => {
          if (!entries.metadata.has(hash)) await entries.unsettle(entry)
          await aside!.install(hash, outboard)
          // Files of a partial blob were open; readers go on with the new ones.
          await entries.closeFiles(entry)
        })
      }
      const { format = "raw", tag } = options
      // One commit for both: the tag is never there without the blob.
      const record = { bitfield: Bitfield.complete(size), data }
      yield* attempt("record a blob", () =>
        entries.record(entry, record, (changes) => {
          if (tag !== undefined) tags.write(changes, tag, { hash, format })
        })
      )
    }).pipe(
      // What was reported as a failure is not to take up the disk, nor to turn up one day.
      Effect.tapError(() =>
        Effect.ignore(
          attempt("discard a blob", () => entries.abandon(entry)),
          { log: true }
        )
      )
    )
    if (hash === BlobHash.emptyBlob) yield* tagEmpty(options)
    else yield* Semaphore.withPermit(entry.lock, settle)
    return { hash, size }
  }, Effect.uninterruptible)

  /** The empty blob is in every store, and never recorded. */
  const tagEmpty = ({ format = "raw", tag }: FinishOptions): Effect.Effect<void, BlobStoreError> =>
    tag === undefined
      ? Effect.void
      : Effect.asVoid(
          attempt("set a tag", () =>
            entries.metadata.commit((changes) => tags.write(changes, tag, { hash: BlobHash.emptyBlob, format }))
          )
        )

  return { write, finish: (options = {}) => store(options) }
})
