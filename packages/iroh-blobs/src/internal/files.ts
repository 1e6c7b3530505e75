import { Effect, Option, type Scope, Stream } from "effect"
import { mkdir, open, rename, rm, type FileHandle } from "node:fs/promises"
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

/** Writes `size` bytes to a file beside the wanted one, and puts it in its place when it is whole and on the disk. */
export const writeFile = Effect.fnUntraced(function* <E>(
  file: string,
  size: number,
  read: (at: number, length: number) => Effect.Effect<Uint8Array, E>,
  onProgress: OnProgress
): Effect.fn.Return<void, BlobFileError | E, Scope.Scope> {
  const partial = `${file}.partial`
  yield* attempt(file, "write", () => mkdir(path.dirname(file), { recursive: true }))
  yield* Effect.addFinalizer(() => Effect.ignore(attempt(file, "write", () => rm(partial, { force: true }))))
  const handle = yield* openFile(partial, "write", "w")
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
