import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Bitfield from "../Bitfield.ts"
import { type BlobFileError, BlobNotFound, type BlobStoreError, type MalformedBlob } from "../BlobError.ts"
import type { BlobHash } from "../BlobHash.ts"
import type { AddedFolder, AddFolderOptions, ExportOptions, FolderFile, LeftOut } from "../Blobs.ts"
import type { BlobStore } from "../BlobStore.ts"
import * as Collection from "../Collection.ts"
import { addCollection, readCollection } from "./collections.ts"
import { type Target, targetOf, targetsOf, writeFile } from "./exporting.ts"
import * as files from "./files.ts"
import { openRange, type ReadError } from "./reading.ts"

type Store = BlobStore["Service"]

/** Writes a blob to a file. */
export const exportBlob = (
  store: Store,
  hash: BlobHash,
  path: string,
  options: ExportOptions = {}
): Effect.Effect<void, BlobFileError | ReadError> => exportTo(store, hash, targetOf(path), options)

const exportTo = Effect.fnUntraced(function* (
  store: Store,
  hash: BlobHash,
  target: Target,
  options: ExportOptions
): Effect.fn.Return<void, BlobFileError | ReadError, Scope.Scope> {
  const { blob, stop } = yield* openRange(store, hash)
  yield* writeFile(target, stop, blob.stream(0, stop), options.onProgress, options)
}, Effect.scoped)

/** Adds a file that is kept for as long as the given scope, with its name. */
const addFile = Effect.fnUntraced(function* (
  store: Store,
  { name, path }: FolderFile,
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

/** Why something of a folder does not go along. */
const reasons = {
  others: "that are neither file nor folder",
  unreadable: "whose names are not UTF-8",
  unsafe: "whose names are no file names on every system (rename them)"
}

/** Adds the files of a folder as a collection. */
export const addFolder = Effect.fnUntraced(function* (
  store: Store,
  path: string,
  { leaveOut, onProgress, ...options }: AddFolderOptions = {}
): Effect.fn.Return<AddedFolder, BlobFileError | BlobStoreError | MalformedBlob, Scope.Scope> {
  const scope = yield* Effect.scope
  const folder = yield* files.readFolder(path)
  const leftOut: Array<LeftOut> = []
  const leave = (names: ReadonlyArray<string>, reason: string) =>
    leftOut.push(...names.map((name) => ({ name, reason })))
  leave(folder.others, reasons.others)
  leave(folder.unreadable, reasons.unreadable)
  const taken: Array<FolderFile> = []
  for (const file of folder.files) {
    const reason = isSafe(file.name) ? yield* leaveOut?.(file) ?? Effect.succeed(undefined) : reasons.unsafe
    if (reason === undefined) taken.push(file)
    else leave([file.name], reason)
  }
  const { executables, size: total } = yield* files.inspect(taken)
  let done = 0
  const onBytes = (bytes: number) => {
    done += bytes
    return onProgress?.({ done, total }) ?? Effect.void
  }
  // Several at a time share the waits for the disk.
  const entries = yield* Effect.forEach(taken, (file) => addFile(store, file, scope, onBytes), { concurrency: 4 })
  const added = yield* addCollection(store, entries, options)
  const skipped = leftOut.map(({ name }) => name)
  return { ...added, entries, bytes: done, skipped, leftOut, emptyFolders: folder.emptyFolders, executables }
}, Effect.scoped)

const isSafe = (name: string): boolean => {
  try {
    return Collection.safePath(name).length > 0
  } catch {
    return false
  }
}

/** Writes a collection's blobs into a folder. */
export const exportCollection = Effect.fnUntraced(function* (
  store: Store,
  hash: BlobHash,
  directory: string,
  options: ExportOptions = {}
): Effect.fn.Return<void, BlobFileError | ReadError | MalformedBlob> {
  const entries = yield* readCollection(store, hash)
  const bitfields = yield* Effect.forEach(entries, ({ hash }) => store.bitfield(hash))
  const incomplete = bitfields.findIndex((bitfield) => !Bitfield.isComplete(bitfield))
  if (incomplete >= 0) return yield* new BlobNotFound({ hash: entries[incomplete]!.hash })
  const targets = yield* targetsOf(entries, directory, options)
  const total = bitfields.reduce((sum, { size }) => sum + size, 0)
  let before = 0
  for (const [i, { hash }] of entries.entries()) {
    yield* exportTo(store, hash, targets[i]!, {
      ...options,
      onProgress: ({ done }) => options.onProgress?.({ done: before + done, total }) ?? Effect.void
    })
    before += bitfields[i]!.size
  }
})
