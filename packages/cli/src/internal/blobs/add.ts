import { BlobFileError } from "@aster-effect/iroh-blobs/BlobError"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { AddedFolder, Blobs, FolderFile, ProgressOptions } from "@aster-effect/iroh-blobs/Blobs"
import type { Stats } from "node:fs"
import * as nodePath from "node:path"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { refused } from "../../CliFailure.ts"
import { Locations, resolve } from "../../Locations.ts"
import * as Progress from "../../Progress.ts"
import { byteText } from "../byteText.ts"
import { filesText, printJson, printTable } from "./output.ts"
import { holdsSecret } from "./secrets.ts"
import { blobsOffline, directoryOf, keep, openStore, realPath, statOf } from "./store.ts"

/** What to add, and where. */
export interface Add {
  /** A file, a folder, or "-" for standard input. */
  readonly path: string
  readonly store: string | undefined
  readonly tag: string | undefined
  readonly json: boolean
}

const SECRET = "that hold keys or credentials"
const STORE = "that are the store's own"
const LOCK = "that are lock files"

/** Up to three names. */
const some = (names: ReadonlyArray<string>): string => names.slice(0, 3).join(", ") + (names.length > 3 ? ", ..." : "")

/** Says what a collection does not carry. */
const warnOf = Effect.fnUntraced(function* ({ emptyFolders, executables, leftOut }: AddedFolder) {
  for (const reason of new Set(leftOut.map(({ reason }) => reason))) {
    const names = leftOut.filter((one) => one.reason === reason).map(({ name }) => name)
    yield* Effect.logWarning(`left out ${names.length} ${reason}: ${some(names)}`)
  }
  if (emptyFolders.length > 0) {
    yield* Effect.logWarning(`a collection has no empty folders, so these are not in it: ${some(emptyFolders)}`)
  }
  if (executables.length > 0) {
    yield* Effect.logWarning(
      `a collection does not say which files can be executed, as these can: ${some(executables)}`
    )
  }
})

/** Adds what standard input has, without a tag. */
export const addInput = (blobs: Blobs["Service"], { onProgress }: ProgressOptions) =>
  Effect.flatMap(Stdio.Stdio, ({ stdin }) => {
    let done = 0
    const bytes = stdin.pipe(
      Stream.mapError((cause) => new BlobFileError({ path: "standard input", operation: "read", cause })),
      Stream.tap((chunk) => {
        done += chunk.length
        return onProgress?.({ done }) ?? Effect.void
      })
    )
    return blobs.addStream(bytes, { tag: false })
  })

const addFolder = Effect.fnUntraced(function* (
  blobs: Blobs["Service"],
  path: string,
  storeDirectory: string,
  { onProgress }: ProgressOptions
) {
  const own = yield* realPath(storeDirectory)
  const root = yield* realPath(path)
  const leaveOut = ({ name, path }: FolderFile) => {
    const inStore = !nodePath.relative(own, nodePath.join(root, ...name.split("/"))).startsWith("..")
    if (inStore) return Effect.succeed(STORE)
    if (nodePath.basename(path) === ".aster.lock") return Effect.succeed(LOCK)
    return Effect.map(holdsSecret(path), (secret) => (secret ? SECRET : undefined))
  }
  const added = yield* blobs.addFolder(path, { tag: false, onProgress, leaveOut })
  yield* warnOf(added)
  return added
})

/** What a path leads to, if it can be added. */
const kindOf = (path: string, stat: Stats | undefined) => {
  if (stat === undefined) return refused(`cannot add ${path}: there is no such file or folder`)
  if (stat.isDirectory()) return Effect.succeed("folder" as const)
  if (stat.isFile()) return Effect.succeed("file" as const)
  return refused(
    `cannot add ${path}: it is no file or folder; to add what comes from it use aster blobs add - < ${path}`
  )
}

/** Copies a file, a folder or standard input into the store. */
export const add = Effect.fnUntraced(function* (options: Add) {
  const path = resolve(yield* Locations, options.path)
  const kind = options.path === "-" ? "input" : yield* kindOf(path, yield* statOf(path))
  const directory = yield* directoryOf(options.store)
  const store = yield* openStore(options.store, "write")
  const blobs = yield* blobsOffline(store)
  if (kind === "file" && (yield* holdsSecret(path))) {
    yield* Effect.logWarning(
      `${path} holds a key or a credential: whoever gets the blob has it (aster blobs rm removes it)`
    )
  }
  const added = yield* Progress.measured(
    "Adding",
    Effect.fnUntraced(function* (onProgress) {
      if (kind === "folder") {
        const { bytes, entries, hash } = yield* addFolder(blobs, path, directory, { onProgress })
        return { hash, format: "hashSeq", size: bytes, files: entries.length } as const
      }
      const adding = kind === "file" ? blobs.addPath(path, { tag: false, onProgress }) : addInput(blobs, { onProgress })
      const { hash, size } = yield* adding
      return { hash, format: "raw", size, files: undefined } as const
    })
  )
  yield* keep(store, added, options.tag)
  if (options.json) return yield* printJson(added)
  yield* printTable([
    ["Hash", BlobHash.format(added)],
    ["Size", byteText(added.size)],
    ...(added.files === undefined ? [] : [["Kind", `collection, ${filesText(added.files)}`] as const])
  ])
}, Effect.scoped)
