import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as Effect from "effect/Effect"
import { refused } from "../../CliFailure.ts"
import { Locations, resolve } from "../../Locations.ts"
import * as Progress from "../../Progress.ts"
import { byteText } from "../byteText.ts"
import { filesText, printJson, printTable } from "./output.ts"
import { blobsOffline, keep, openStore, statOf } from "./store.ts"

/** What to add, and where. */
export interface Add {
  readonly path: string
  readonly store: string | undefined
  readonly tag: string | undefined
  readonly json: boolean
}

/** Copies a file or a folder into the store. */
export const add = Effect.fnUntraced(function* (options: Add) {
  const path = resolve(yield* Locations, options.path)
  const stat = yield* statOf(path)
  if (stat === undefined) return yield* refused(`cannot add ${path}: there is no such file or folder`)
  const store = yield* openStore(options.store, "write")
  const blobs = yield* blobsOffline(store)
  const added = yield* Progress.measured(
    "Adding",
    Effect.fnUntraced(function* (onProgress) {
      if (!stat.isDirectory()) {
        const { hash, size } = yield* blobs.addPath(path, { tag: false, onProgress })
        return { hash, format: "raw", size, files: undefined } as const
      }
      const { bytes, entries, hash, skipped } = yield* blobs.addFolder(path, { tag: false, onProgress })
      if (skipped.length > 0) {
        const names = skipped.slice(0, 3).join(", ") + (skipped.length > 3 ? ", ..." : "")
        yield* Effect.logWarning(`left out ${skipped.length} that are neither file nor folder: ${names}`)
      }
      return { hash, format: "hashSeq", size: bytes, files: entries.length } as const
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
