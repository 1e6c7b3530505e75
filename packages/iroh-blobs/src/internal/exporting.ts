/** Files of the user that are written. Nothing that is there is replaced unless that is asked for. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import type { Stats } from "node:fs"
import { link, lstat, mkdir, mkdtemp, open, rename, rm, rmdir, writeFile as create } from "node:fs/promises"
import * as path from "node:path"
import { type BlobFileError, MalformedBlob } from "../BlobError.ts"
import type { ExportOptions } from "../Blobs.ts"
import * as Collection from "../Collection.ts"
import { isAbsent } from "./directoryFiles.ts"
import { attempt, type OnProgress, opened, PIECE } from "./files.ts"
import { parsed } from "./parsed.ts"
import { syncDirectory } from "./syncDirectory.ts"

/** Longest name that common file systems take, in bytes. */
const MAX_NAME = 255

const lookAt = async (file: string): Promise<Stats | undefined> => {
  try {
    return await lstat(file)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** Throws unless a file may be written there; answers the one to be replaced, if there is one. */
const checkTarget = async (file: string, overwrite: boolean): Promise<Stats | undefined> => {
  if (Buffer.byteLength(path.basename(file)) > MAX_NAME) {
    throw new Error(`its name has more than ${MAX_NAME} bytes: choose a shorter one`)
  }
  const found = await lookAt(file)
  if (found === undefined) return undefined
  if (found.isSymbolicLink()) throw new Error("it is a symbolic link: name the file that it leads to")
  if (found.isDirectory()) throw new Error("it is a folder: name a file")
  if (!found.isFile()) throw new Error("it is a device, a socket or a pipe: write to standard output instead")
  if (!overwrite) throw new Error("it exists already: choose another name, or say that it may be replaced (overwrite)")
  return found
}

/** Makes folders below `root`, which is there, and follows no links on the way. */
const makeFolders = async (root: string, parts: ReadonlyArray<string>): Promise<string> => {
  let folder = root
  for (const part of parts) {
    folder = path.join(folder, part)
    const found = await lookAt(folder)
    if (found === undefined) await mkdir(folder)
    else checkFolder(folder, found)
  }
  return folder
}

const checkFolder = (folder: string, found: Stats): void => {
  if (found.isSymbolicLink()) throw new Error(`${folder} is a symbolic link, and those are not followed here`)
  if (!found.isDirectory()) throw new Error(`${folder} is not a folder`)
}

/** Where a file goes: below the folder `root`, by the names of folders and of the file. */
export interface Target {
  readonly root: string
  readonly parts: readonly [...folders: ReadonlyArray<string>, file: string]
}

/** A file by its path: the folders on the way are the user's own. */
export const targetOf = (file: string): Target => ({ root: path.dirname(file), parts: [path.basename(file)] })

const pathOf = ({ parts, root }: Target): string => path.join(root, ...parts)

/** Fails unless a file may be written there. Nothing is made. */
export const check = (target: Target, { overwrite = false }: ExportOptions): Effect.Effect<void, BlobFileError> =>
  attempt(pathOf(target), "write", async () => {
    let folder = target.root
    for (const part of target.parts.slice(0, -1)) {
      folder = path.join(folder, part)
      const found = await lookAt(folder)
      if (found === undefined) return
      checkFolder(folder, found)
    }
    await checkTarget(pathOf(target), overwrite)
  })

/**
 * Writes `size` bytes to a file beside the wanted one, and puts it in its place when it is whole and on the disk. A file
 * that is replaced leaves its permissions.
 */
export const writeFile = Effect.fnUntraced(function* <E>(
  target: Target,
  size: number,
  bytes: Stream.Stream<Uint8Array, E>,
  onProgress: OnProgress,
  { overwrite = false }: ExportOptions
): Effect.fn.Return<void, BlobFileError | E, Scope.Scope> {
  const file = pathOf(target)
  const folder = yield* attempt(file, "write", async () => {
    await mkdir(target.root, { recursive: true })
    return makeFolders(target.root, target.parts.slice(0, -1))
  })
  const replaced = yield* attempt(file, "write", () => checkTarget(file, overwrite))
  // Of any length the wanted name leaves no room for more, so this one is of its own.
  const partial = path.join(folder, `.aster-${randomBytes(8).toString("hex")}.partial`)
  yield* Effect.addFinalizer(() => Effect.ignore(attempt(file, "write", () => rm(partial, { force: true }))))
  const handle = yield* opened(file, "write", () => open(partial, "wx"))
  if (replaced !== undefined) yield* attempt(file, "write", () => handle.chmod(replaced.mode & 0o7777))
  let done = 0
  let told = 0
  yield* Stream.runForEach(bytes, (part) =>
    Effect.suspend(() => {
      done += part.length
      const writing = attempt(file, "write", () => handle.writeFile(part))
      if (onProgress === undefined || (done - told < PIECE && done < size)) return writing
      told = done
      return Effect.andThen(writing, onProgress({ done, total: size }))
    })
  )
  yield* attempt(file, "write", async () => {
    await handle.sync()
    if ((await checkTarget(file, overwrite)) === undefined) await place(partial, file)
    else await rename(partial, file)
    await syncDirectory(folder)
  })
})

/** Gives a file its name, unless that has been taken. */
const place = async (partial: string, file: string): Promise<void> => {
  try {
    await link(partial, file)
  } catch (error) {
    if (codeOf(error) === "EEXIST" || codeOf(error) === "ENOSPC") throw error
    // Not every file system has hard links: there the name is taken first.
    await (await open(file, "wx")).close()
    await rename(partial, file)
  }
}

const codeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined

/** Names as they are to a file system that knows neither case nor normal forms. */
const folded = (name: string): string => name.normalize("NFC").toUpperCase().toLowerCase()

/**
 * Where the entries of a collection go. Fails, before anything is written, when one of them would leave the folder, cannot
 * be written, or would take another one's place, and when something is there that is not to be replaced.
 */
export const targetsOf = Effect.fnUntraced(function* (
  entries: ReadonlyArray<Collection.CollectionEntry>,
  root: string,
  options: ExportOptions
): Effect.fn.Return<ReadonlyArray<Target>, BlobFileError | MalformedBlob> {
  const targets = yield* parsed(() => entries.map(({ name }) => ({ root, parts: partsOf(name) })))
  const clash = firstClash(entries, (name) => name)
  if (clash !== undefined) return yield* new MalformedBlob({ problem: clash })
  const alike = firstClash(entries, folded)
  if (alike !== undefined && !(yield* attempt(root, "write", () => tellsApart(root)))) {
    return yield* new MalformedBlob({ problem: `${alike}, and ${root} does not tell such names apart` })
  }
  for (const target of targets) yield* check(target, options)
  return targets
})

const partsOf = (name: string): Target["parts"] => {
  const parts = Collection.safePath(name)
  return [...parts.slice(0, -1), parts[parts.length - 1]!]
}

/** Two entries of one name, or one whose name is a folder of another's; undefined when there are none. */
const firstClash = (
  entries: ReadonlyArray<Collection.CollectionEntry>,
  same: (name: string) => string
): string | undefined => {
  const files = new Map<string, string>()
  for (const { name } of entries) {
    const other = files.get(same(name))
    if (other !== undefined) return `entries ${JSON.stringify(other)} and ${JSON.stringify(name)} are one file`
    files.set(same(name), name)
  }
  for (const { name } of entries) {
    for (let at = name.indexOf("/"); at >= 0; at = name.indexOf("/", at + 1)) {
      const folder = files.get(same(name.slice(0, at)))
      if (folder !== undefined) return `entry ${JSON.stringify(folder)} is a folder of ${JSON.stringify(name)}`
    }
  }
  return undefined
}

/** Whether the file system of a folder tells names apart that differ in case or normal form only. */
const tellsApart = async (root: string): Promise<boolean> => {
  await mkdir(root, { recursive: true })
  const folder = await mkdtemp(path.join(root, ".aster-"))
  try {
    await create(path.join(folder, "\u00c9"), "")
    const others = ["\u00e9", "E\u0301"]
    for (const name of others) if ((await lookAt(path.join(folder, name))) !== undefined) return false
    return true
  } finally {
    await rm(path.join(folder, "\u00c9"), { force: true })
    await rmdir(folder)
  }
}
