import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { BlobStoreError } from "../BlobError.ts"
import type { AddedBlob, BlobWriter, FinishOptions } from "../BlobStore.ts"
import * as Bitfield from "../Bitfield.ts"
import { GROUP_SIZE } from "../proto/Blake3.ts"
import * as BlobHash from "../BlobHash.ts"
import { OutboardBuilder } from "../proto/OutboardBuilder.ts"
import type { NewBlob } from "./blobFiles.ts"
import { attempt, attemptSync, type Entries } from "./entries.ts"
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
  yield* Effect.addFinalizer(() => attempt("discard a blob", () => aside?.discard()).pipe(Effect.ignore({ log: true })))

  const flush = attempt("write a blob", async () => {
    aside ??= await entries.files.create()
    // Given up only once it is written: after a failure the next attempt repeats it.
    await aside.append(batch.length === 1 ? batch[0]! : Buffer.concat(batch))
    batch = []
    batched = 0
  }).pipe(Effect.uninterruptible)

  const write = Effect.fnUntraced(function* (bytes: Uint8Array): Effect.fn.Return<void, BlobStoreError> {
    for (let at = 0; at < bytes.length; at += BATCH) {
      const part = bytes.subarray(at, at + BATCH)
      builder.update(part)
      size += part.length
      batch.push(part)
      batched += part.length
      if (batched < BATCH) continue
      yield* flush
      // Hashing took a millisecond or two: let others have theirs.
      yield* Effect.yieldNow
    }
  })

  const store = Effect.fnUntraced(function* (options: FinishOptions): Effect.fn.Return<AddedBlob, BlobStoreError> {
    const { hash: bytes, outboard } = builder.finish()
    const hash = BlobHash.fromBytes(bytes)
    const entry = yield* entries.hold(hash).pipe(Scope.provide(scope))
    const settle = Effect.gen(function* () {
      if (!Bitfield.isComplete(entry.bitfield)) {
        const data = size <= GROUP_SIZE ? Uint8Array.from(Buffer.concat(batch)) : undefined
        if (data === undefined) {
          if (batched > 0) yield* flush
          yield* attempt("store a blob", async () => {
            await aside!.install(hash, outboard)
            // Files of a partial blob were open; readers go on with the new ones.
            await entries.closeFiles(entry)
          })
        }
        const bitfield = Bitfield.complete(size)
        yield* attemptSync("record a blob", () => entries.metadata.putBlob(hash, { bitfield, data }))
        entry.data = data
        entry.unsynced = 0
        entries.publish(entry, bitfield)
      }
      const tag = options.tag
      if (tag !== undefined)
        yield* attemptSync("set a tag", () => tags.write(tag, { hash, format: options.format ?? "raw" }))
      // One commit for both: the tag is never there without the blob.
      yield* attempt("record a blob", () => entries.metadata.durable())
    })
    yield* Semaphore.withPermit(entry.lock, settle)
    return { hash, size }
  }, Effect.uninterruptible)

  return { write, finish: (options = {}) => store(options) }
})
