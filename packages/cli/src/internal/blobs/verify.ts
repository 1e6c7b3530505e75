import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import type { BlobHash } from "@aster-effect/iroh-blobs/BlobHash"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as ChunkRanges from "@aster-effect/iroh-blobs/ChunkRanges"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { refused } from "../../CliFailure.ts"
import * as Progress from "../../Progress.ts"
import { byteText } from "../byteText.ts"
import { printable } from "../printable.ts"
import { printJson } from "./output.ts"
import { blobsOffline, childrenOf, contentOf, openStore } from "./store.ts"

/** What to verify, and where. */
export interface Verify {
  readonly hash: string | undefined
  readonly store: string | undefined
  readonly json: boolean
}

/** A blob as it was found: whole, not wholly there, or less than the store believed. */
interface Found {
  readonly hash: BlobHash
  /** In bytes. */
  readonly size: number
  readonly state: "complete" | "partial" | "damaged"
}

/** What tags keep: tags are set when all of it is there, so what is not whole now has been. */
const keptBy = Effect.fnUntraced(function* (store: BlobStore["Service"], blobs: Blobs["Service"]) {
  const kept = new Set<BlobHash>()
  for (const { format, hash } of yield* Stream.runCollect(store.tags.list())) {
    kept.add(hash)
    if (format === "raw") continue
    const children = yield* Effect.orElseSucceed(childrenOf(blobs, hash), () => [])
    for (const child of children) kept.add(child)
  }
  return kept
})

/** Reads blobs against their hashes; what is damaged counts as missing from then on. */
export const verify = Effect.fnUntraced(function* (options: Verify) {
  const store = yield* openStore(options.store, "write")
  const blobs = yield* blobsOffline(store)
  let hashes: ReadonlyArray<BlobHash>
  if (options.hash === undefined) hashes = (yield* Stream.runCollect(store.list)).map(({ hash }) => hash)
  else {
    const content = yield* contentOf(store, options.hash)
    const children =
      content.format === "raw" ? [] : yield* Effect.orElseSucceed(childrenOf(blobs, content.hash), () => [])
    hashes = [content.hash, ...children]
  }
  const kept = yield* keptBy(store, blobs)
  const found = yield* Progress.measured("Verifying", (report) => {
    let done = 0
    return Effect.forEach(hashes, (hash, i) =>
      Effect.gen(function* () {
        const before = yield* store.bitfield(hash)
        const after = yield* store.verify(hash)
        done += after.size
        yield* report({ done, part: { number: i + 1, of: hashes.length } })
        const lost = ChunkRanges.difference(before.ranges, after.ranges)
        const isDamaged = lost.length > 0 || kept.has(hash)
        const state = Bitfield.isComplete(after) ? "complete" : isDamaged ? "damaged" : "partial"
        return { hash, size: Math.max(before.size, after.size), state } satisfies Found
      })
    )
  })
  const damaged = found.filter(({ state }) => state === "damaged")
  if (options.json) yield* printJson(found)
  else {
    for (const { hash } of damaged) yield* Console.log(printable(`${hash}  damaged`))
    const size = found.reduce((sum, blob) => sum + blob.size, 0)
    const partial = found.filter(({ state }) => state === "partial").length
    yield* Console.log(
      `${found.length === 1 ? "1 blob" : `${found.length} blobs`}, ${byteText(size)}: ${damaged.length} damaged, ${partial} partial`
    )
  }
  if (damaged.length > 0) {
    return yield* refused(
      `${damaged.length} damaged: add the files again, or fetch the blobs again with aster blobs get`
    )
  }
}, Effect.scoped)
