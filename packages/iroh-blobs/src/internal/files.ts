/** Files of the user that are read. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { constants } from "node:fs"
import { type FileHandle, open, readdir, stat } from "node:fs/promises"
import * as path from "node:path"
import { BlobFileError } from "../BlobError.ts"
import type { FolderFile } from "../Blobs.ts"

/** Bytes that are read or written at once. */
export const PIECE = 1_048_576

export type OnProgress =
  | ((progress: { readonly done: number; readonly total: number }) => Effect.Effect<void>)
  | undefined

/** Runs what touches a file; what it throws becomes the typed error. */
export const attempt = <A>(
  file: string,
  operation: "read" | "write",
  run: () => Promise<A>
): Effect.Effect<A, BlobFileError> =>
  Effect.tryPromise({ try: run, catch: (cause) => new BlobFileError({ path: file, operation, cause }) })

/** Opens a file until the scope ends. */
export const opened = (
  file: string,
  operation: "read" | "write",
  run: () => Promise<FileHandle>
): Effect.Effect<FileHandle, BlobFileError, Scope.Scope> =>
  Effect.acquireRelease(attempt(file, operation, run), (handle) =>
    Effect.ignore(attempt(file, operation, () => handle.close()))
  )

/** What has no end or no beginning is no file: waiting for it could take for ever. */
const openRegular = async (file: string, follow: boolean): Promise<FileHandle> => {
  const noLink = follow ? 0 : (constants.O_NOFOLLOW ?? 0)
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | noLink)
  try {
    const found = await handle.stat()
    if (found.isDirectory()) throw new Error("it is a folder")
    if (!found.isFile()) throw new Error("it is a device, a socket or a pipe: read it as a stream")
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** A file's content in pieces of 1 MiB. Unless told to `follow`, a link that took the file's place is an error. */
export const readFile = (
  file: string,
  onProgress: OnProgress,
  { follow = false } = {}
): Stream.Stream<Uint8Array, BlobFileError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const handle = yield* opened(file, "read", () => openRegular(file, follow))
      const { size: total } = yield* attempt(file, "read", () => handle.stat())
      return Stream.paginate(0, (at) =>
        Effect.gen(function* () {
          const buffer = new Uint8Array(PIECE)
          const { bytesRead } = yield* attempt(file, "read", () => handle.read(buffer, 0, PIECE, at))
          if (bytesRead === 0) return [[], Option.none()] as const
          if (onProgress !== undefined) yield* onProgress({ done: at + bytesRead, total })
          return [[buffer.subarray(0, bytesRead)], Option.some(at + bytesRead)] as const
        })
      )
    })
  )

/** What is below a folder, in the order of names. */
export interface Folder {
  readonly files: ReadonlyArray<FolderFile>
  /** Names of what is neither file nor folder, such as symbolic links. */
  readonly others: ReadonlyArray<string>
  /** Names of files and folders that are not UTF-8, with a replacement for what is not. */
  readonly unreadable: ReadonlyArray<string>
  readonly emptyFolders: ReadonlyArray<string>
}

/** Looks through a folder. Nothing that links lead to is looked at, so nothing outside is found. */
export const readFolder = (folder: string): Effect.Effect<Folder, BlobFileError> =>
  attempt(folder, "read", async () => {
    const files: Array<FolderFile> = []
    const others: Array<string> = []
    const unreadable: Array<string> = []
    const emptyFolders: Array<string> = []
    const visit = async (directory: string, prefix: string): Promise<void> => {
      const entries = await readdir(directory, { withFileTypes: true, encoding: "buffer" })
      if (entries.length === 0 && prefix !== "") emptyFolders.push(prefix.slice(0, -1))
      entries.sort((a, b) => Buffer.compare(a.name, b.name))
      for (const entry of entries) {
        const text = entry.name.toString()
        const [at, name] = [path.join(directory, text), prefix + text]
        // Another file may have the name that these bytes are shown as.
        if (Buffer.compare(Buffer.from(text), entry.name) !== 0) unreadable.push(name)
        else if (entry.isDirectory()) await visit(at, `${name}/`)
        else if (entry.isFile()) files.push({ name, path: at })
        else others.push(name)
      }
    }
    await visit(folder, "")
    return { files, others, unreadable, emptyFolders }
  })

/** What is known of files before they are read. */
export interface Inspected {
  /** Bytes together. */
  readonly size: number
  /** Names of those that can be executed. */
  readonly executables: ReadonlyArray<string>
}

/** Looks at files. */
export const inspect = (files: ReadonlyArray<FolderFile>): Effect.Effect<Inspected, BlobFileError> =>
  Effect.gen(function* () {
    let size = 0
    const executables: Array<string> = []
    for (const file of files) {
      const found = yield* attempt(file.path, "read", () => stat(file.path))
      size += found.size
      if (process.platform !== "win32" && (found.mode & 0o111) !== 0) executables.push(file.name)
    }
    return { size, executables }
  })
