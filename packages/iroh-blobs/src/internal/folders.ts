import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BlobFileError, BlobStoreError, MalformedBlob } from "../BlobError.ts"
import type { BlobHash } from "../BlobHash.ts"
import type { AddedFolder, AddOptions, ProgressOptions } from "../Blobs.ts"
import type { BlobStore } from "../BlobStore.ts"
import * as Collection from "../Collection.ts"
import { addCollection, readCollection } from "./collections.ts"
import * as files from "./files.ts"
import { parsed } from "./parsed.ts"
import { openRange, type ReadError } from "./reading.ts"

type Store = BlobStore["Service"]

/** Writes a blob to a file. */
export const exportBlob = Effect.fnUntraced(function* (
  store: Store,
  hash: BlobHash,
  path: string,
  options?: ProgressOptions
): Effect.fn.Return<void, BlobFileError | ReadError, Scope.Scope> {
  const { blob, stop } = yield* openRange(store, hash)
  yield* files.writeFile(path, stop, (at, length) => blob.read("data", at, length), options?.onProgress)
}, Effect.scoped)

/** Adds a file that is kept for as long as the given scope, with its name. */
const addFile = Effect.fnUntraced(function* (
  store: Store,
  { name, path }: files.Folder["files"][number],
  scope: Scope.Scope,
  onBytes: (bytes: number) => Effect.Effect<void>
): Effect.fn.Return<Collection.CollectionEntry, BlobFileError | BlobStoreError, Scope.Scope> {
  const writer = yield* store.create
  yield* Stream.runForEach(files.readFile(path, undefined), (bytes) =>
    Effect.andThen(writer.write(bytes), onBytes(bytes.length))
  )
  const { hash } = yield* writer.finish()
  yield* store.protect({ hash, format: "raw" }).pipe(Scope.provide(scope))
  return { name, hash }
}, Effect.scoped)

/** Adds the files of a folder as a collection. */
export const addFolder = Effect.fnUntraced(function* (
  store: Store,
  path: string,
  options?: Pick<AddOptions, "tag"> & ProgressOptions
): Effect.fn.Return<AddedFolder, BlobFileError | BlobStoreError | MalformedBlob, Scope.Scope> {
  const scope = yield* Effect.scope
  const folder = yield* files.readFolder(path)
  yield* parsed(() => folder.files.forEach(({ name }) => Collection.safePath(name)))
  const total = yield* files.sizeOf(folder.files.map((file) => file.path))
  let done = 0
  const onBytes = (bytes: number) => {
    done += bytes
    return options?.onProgress?.({ done, total }) ?? Effect.void
  }
  // Several at a time share the waits for the disk.
  const entries = yield* Effect.forEach(folder.files, (file) => addFile(store, file, scope, onBytes), {
    concurrency: 4
  })
  const added = yield* addCollection(store, entries, options)
  return { ...added, entries, bytes: done, skipped: folder.others }
}, Effect.scoped)

/** Writes a collection's blobs into a folder. */
export const exportCollection = Effect.fnUntraced(function* (
  store: Store,
  hash: BlobHash,
  directory: string,
  { onProgress }: ProgressOptions = {}
): Effect.fn.Return<void, BlobFileError | ReadError | MalformedBlob> {
  const entries = yield* readCollection(store, hash)
  const paths = yield* parsed(() => entries.map(({ name }) => files.join(directory, Collection.safePath(name))))
  const bitfields = yield* Effect.forEach(entries, ({ hash }) => store.bitfield(hash))
  const total = bitfields.reduce((sum, { size }) => sum + size, 0)
  let before = 0
  for (const [i, { hash }] of entries.entries()) {
    yield* exportBlob(store, hash, paths[i]!, {
      onProgress: ({ done }) => onProgress?.({ done: before + done, total }) ?? Effect.void
    })
    before += bitfields[i]!.size
  }
})
