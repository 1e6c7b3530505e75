/** Opening of a store in a directory, and what is done about one that is not as it was left. */
import * as FileAccess from "@aster-effect/iroh/FileAccess"
import * as Effect from "effect/Effect"
import { mkdir, readdir } from "node:fs/promises"
import { join } from "node:path"
import * as Bitfield from "../Bitfield.ts"
import { BlobStoreUnavailable } from "../BlobError.ts"
import * as BlobHash from "../BlobHash.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import { BaoChecker } from "../proto/BaoChecker.ts"
import { GROUP_SIZE } from "../proto/Blake3.ts"
import { openDatabase } from "./database.ts"
import { directoryFiles, type DirectoryFiles, isAbsent, isBereft } from "./directoryFiles.ts"
import { Entries, type Entry } from "./entries.ts"
import { Metadata } from "./metadata.ts"
import { CheckedReader, partsOf, rebuilt } from "./verifying.ts"

const DATABASE = "blobs.db"
/** What a store has in its folder. */
const OWN = [DATABASE, `${DATABASE}-wal`, `${DATABASE}-shm`, "data", "temp"]
const PAGE = 1000

/**
 * Opens a store. Files that no record explains are never removed: those that are what their names say are recorded again,
 * the others left alone, and what was found is logged.
 */
export const openDirectory = (root: string, readOnly: boolean): Effect.Effect<Entries, BlobStoreUnavailable> =>
  Effect.uninterruptibleMask((restore) => opening(root, readOnly, restore))

const opening = Effect.fnUntraced(function* (
  root: string,
  readOnly: boolean,
  restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
): Effect.fn.Return<Entries, BlobStoreUnavailable> {
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({
      try: run,
      catch: (cause) => {
        const paths = [root, ...OWN.map((name) => join(root, name))]
        return new BlobStoreUnavailable({
          path: root,
          cause: FileAccess.explained(cause, paths, readOnly ? "read" : "write")
        })
      }
    })
  const { entries, files, lost, strays } = yield* attempt(() => open(root, readOnly))
  const closing = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.onExit(effect, (exit) =>
      exit._tag === "Failure" ? Effect.sync(() => entries.metadata.close()) : Effect.void
    )
  if (lost.length > 0) {
    yield* Effect.logWarning(
      `Of ${lost.length} blobs of the store at ${root} the file is gone (${lost[0]}); they count as missing: put the ` +
        `files back, or add or download them again`
    )
  }
  // Reading all of a large store takes its time, and can be given up between blobs.
  const handling = readOnly ? report(root, strays) : recover(root, entries, files, strays, attempt)
  if (strays.length > 0) yield* closing(restore(handling))
  return entries
})

const open = async (root: string, readOnly: boolean) => {
  const metadata = new Metadata(openDatabase(await databasePath(root, readOnly), { readOnly }))
  try {
    const files = await directoryFiles(root, readOnly)
    if (!readOnly) await files.tidy((hash) => metadata.has(hash))
    const present = await files.present()
    const lost: Array<BlobHash.BlobHash> = []
    let after = ""
    for (let page = metadata.hashesInFiles(after, PAGE); page.length > 0; page = metadata.hashesInFiles(after, PAGE)) {
      for (const hash of page) if (!present.has(hash)) lost.push(hash)
      after = page[page.length - 1]!
    }
    const strays = [...present].filter((hash) => !metadata.has(hash))
    return { entries: new Entries(metadata, files, lost), files, lost, strays }
  } catch (error) {
    metadata.close()
    throw error
  }
}

/** The database of a store. A folder with other things in it and without one is not taken for a store. */
const databasePath = async (root: string, readOnly: boolean): Promise<string> => {
  if (!readOnly) await mkdir(root, { recursive: true, mode: 0o700 })
  const names = await readdir(root).catch((error: unknown) => {
    throw isAbsent(error) ? new Error("there is no such folder") : error
  })
  if (names.includes(DATABASE)) return join(root, DATABASE)
  const bereft = await isBereft(root, names)
  if (readOnly) {
    throw new Error(
      bereft
        ? "it holds blobs, but no blobs.db: restore that, or have the blobs verified and recorded anew (aster blobs verify)"
        : "it holds no blobs.db, and so is no blob store"
    )
  }
  if (names.length > 0 && !bereft) throw new Error(`it holds other things (${names[0]}): name an empty or a new folder`)
  return join(root, DATABASE)
}

const report = (root: string, strays: ReadonlyArray<BlobHash.BlobHash>) =>
  Effect.logWarning(
    `In ${join(root, "data")} there are files of blobs (${strays.length}) without a record in blobs.db, which may be new or an ` +
      `older copy; they are left alone. Restore blobs.db, or have them verified and recorded again (aster blobs verify)`
  )

const recover = Effect.fnUntraced(function* (
  root: string,
  entries: Entries,
  files: DirectoryFiles,
  strays: ReadonlyArray<BlobHash.BlobHash>,
  attempt: <A>(run: () => Promise<A>) => Effect.Effect<A, BlobStoreUnavailable>
) {
  let complete = 0
  let partial = 0
  for (const hash of strays) {
    const entry = entries.holdUnsafe(hash)
    const bitfield = yield* attempt(() => recoverBlob(entries, files, entry)).pipe(
      Effect.ensuring(entries.release(entry)),
      Effect.uninterruptible
    )
    if (bitfield === undefined) continue
    if (Bitfield.isComplete(bitfield)) complete++
    else partial++
  }
  const rest = strays.length - complete - partial
  yield* Effect.logWarning(
    `${strays.length} blobs in ${join(root, "data")} had no record in blobs.db, which is new or an older copy. ` +
      `${complete} were verified and recorded again under tags recovered/HASH` +
      (partial === 0 ? "" : `, ${partial} in part`) +
      (rest === 0 ? "" : `; ${rest} are not what their names say and are left alone`)
  )
})

/** Records a blob again, as far as it is what its name says; undefined when it is not at all. */
const recoverBlob = async (
  entries: Entries,
  files: DirectoryFiles,
  entry: Entry
): Promise<Bitfield.Bitfield | undefined> => {
  const { hash } = entry
  const size = (await files.sizeOf(hash)) ?? 0
  const read = partsOf(entries, entry)
  const outboard = size > 0 ? await rebuilt(BlobHash.toBytes(hash), size, read) : undefined
  let bitfield = Bitfield.complete(size)
  if (outboard === undefined) {
    const checker = new BaoChecker(BlobHash.toBytes(hash), size, ChunkRanges.all)
    const reader = new CheckedReader(checker, read)
    while ((await reader.next()) !== undefined);
    const chunks = Bitfield.chunksOf(size)
    const held = ChunkRanges.difference([0, chunks], checker.damaged)
    if (size === 0 || held.length === 0) return undefined
    bitfield = Bitfield.make(size, ChunkRanges.has(held, chunks - 1), held)
  } else if (outboard.length > 0) {
    // Not noted as files without a record, which they are: those are removed after a crash.
    const open = await files.open(hash, "write")
    try {
      await open.write("outboard", 0, [outboard])
      await open.sync()
    } finally {
      await open.close()
    }
  }
  const data = outboard !== undefined && size <= GROUP_SIZE ? await read("data", 0, size) : undefined
  await entries.record(entry, { bitfield, data }, (changes) =>
    changes.setTag({ name: `recovered/${hash}`, hash, format: "raw" })
  )
  return bitfield
}
