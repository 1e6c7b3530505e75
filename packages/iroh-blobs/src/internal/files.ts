import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from "node:fs/promises"
import * as path from "node:path"
import { BlobFileError } from "../BlobError.ts"

const PIECE = 1_048_576

type OnProgress = ((progress: { readonly done: number; readonly total: number }) => Effect.Effect<void>) | undefined

const attempt = <A>(
  file: string,
  operation: "read" | "write",
  run: () => Promise<A>
): Effect.Effect<A, BlobFileError> =>
  Effect.tryPromise({ try: run, catch: (cause) => new BlobFileError({ path: file, operation, cause }) })

const openFile = (
  file: string,
  operation: "read" | "write",
  flags: string
): Effect.Effect<FileHandle, BlobFileError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(file, operation, () => open(file, flags)),
    (handle) => Effect.ignore(attempt(file, operation, () => handle.close()))
  )

/** The path of parts below a directory. */
export const join = (directory: string, parts: ReadonlyArray<string>): string => path.join(directory, ...parts)

/** A file's content in pieces of 1 MiB. */
export const readFile = (file: string, onProgress: OnProgress): Stream.Stream<Uint8Array, BlobFileError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const handle = yield* openFile(file, "read", "r")
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

/** What is below a folder: its files with their names, which are paths with `/` between the parts, in order. */
export interface Folder {
  readonly files: ReadonlyArray<{ readonly name: string; readonly path: string }>
  /** Names of what is neither file nor folder, such as symbolic links. */
  readonly others: ReadonlyArray<string>
}

/** Looks through a folder. Nothing that links lead to is looked at, so nothing outside is found. */
export const readFolder = (folder: string): Effect.Effect<Folder, BlobFileError> =>
  attempt(folder, "read", async () => {
    const files: Array<Folder["files"][number]> = []
    const others: Array<string> = []
    const visit = async (directory: string, prefix: string): Promise<void> => {
      const entries = await readdir(directory, { withFileTypes: true })
      entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
      for (const entry of entries) {
        const [at, name] = [path.join(directory, entry.name), prefix + entry.name]
        if (entry.isDirectory()) await visit(at, `${name}/`)
        else if (entry.isFile()) files.push({ name, path: at })
        else others.push(name)
      }
    }
    await visit(folder, "")
    return { files, others }
  })

/** Bytes of files together. */
export const sizeOf = (paths: ReadonlyArray<string>): Effect.Effect<number, BlobFileError> =>
  Effect.map(
    Effect.forEach(paths, (file) => attempt(file, "read", () => stat(file))),
    (stats) => stats.reduce((sum, { size }) => sum + size, 0)
  )

/** Writes `size` bytes to a file beside the wanted one, and puts it in its place when it is whole and on the disk. */
export const writeFile = Effect.fnUntraced(function* <E>(
  file: string,
  size: number,
  read: (at: number, length: number) => Effect.Effect<Uint8Array, E>,
  onProgress: OnProgress
): Effect.fn.Return<void, BlobFileError | E, Scope.Scope> {
  // No name that is there already, or belongs to another export.
  const partial = `${file}.${randomUUID()}.partial`
  yield* attempt(file, "write", () => mkdir(path.dirname(file), { recursive: true }))
  yield* Effect.addFinalizer(() => Effect.ignore(attempt(file, "write", () => rm(partial, { force: true }))))
  const handle = yield* openFile(partial, "write", "wx")
  for (let at = 0; at < size; at += PIECE) {
    const bytes = yield* read(at, Math.min(PIECE, size - at))
    yield* attempt(file, "write", () => handle.writeFile(bytes))
    if (onProgress !== undefined) yield* onProgress({ done: at + bytes.length, total: size })
  }
  yield* attempt(file, "write", async () => {
    await handle.sync()
    await rename(partial, file)
  })
})
