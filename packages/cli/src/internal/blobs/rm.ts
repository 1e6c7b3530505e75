import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { BlobStore, Tag } from "@aster-effect/iroh-blobs/BlobStore"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { refused } from "../../CliFailure.ts"
import { byteText } from "../byteText.ts"
import { printJson, printTable } from "./output.ts"
import { blobsOffline, childrenOf, openStore, parse, tagsOf } from "./store.ts"

/** What to remove, and from where. */
export interface Rm {
  /** Hashes and tags. */
  readonly names: ReadonlyArray<string>
  readonly store: string | undefined
  readonly json: boolean
}

/** The tags that go, and the blobs that they named. */
interface Meant {
  readonly tags: ReadonlyArray<Tag>
  readonly contents: ReadonlyArray<BlobHash.HashAndFormat>
}

const meantBy = Effect.fnUntraced(function* (store: BlobStore["Service"], name: string) {
  const tag = yield* store.tags.get(name)
  if (Option.isSome(tag)) return { tags: [tag.value], contents: [tag.value] } satisfies Meant
  const content = yield* Effect.mapError(
    parse(() => BlobHash.parseWithFormat(name.trim())),
    () => refused(`there is no tag ${JSON.stringify(name)}, and it is no hash either: see aster blobs ls`)
  )
  const tags = yield* tagsOf(store, content.hash)
  const known = (yield* store.status(content.hash))._tag !== "NotFound" || tags.length > 0
  if (!known) return yield* refused(`blob ${content.hash} is not in the store: see aster blobs ls`)
  return { tags, contents: [content, ...tags] } satisfies Meant
})

/** Removes tags, and the blobs that nothing keeps any more. */
export const rm = Effect.fnUntraced(function* ({ json, names, store: given }: Rm) {
  const store = yield* openStore(given, "write")
  const blobs = yield* blobsOffline(store)
  const meant = yield* Effect.forEach(names, (name) => meantBy(store, name.trim()))
  const hashes = new Set<BlobHash.BlobHash>()
  for (const { format, hash } of meant.flatMap(({ contents }) => contents)) {
    hashes.add(hash)
    if (format === "raw") continue
    // Of a collection that cannot be read the files are not known; they go with the next collection of garbage.
    const children = yield* Effect.orElseSucceed(childrenOf(blobs, hash), () => [])
    for (const child of children) hashes.add(child)
  }
  let size = 0
  const sizes = new Map<BlobHash.BlobHash, number>()
  for (const hash of hashes) sizes.set(hash, (yield* store.bitfield(hash)).size)
  const tags = [...new Set(meant.flatMap(({ tags }) => tags.map(({ name }) => name)))]
  for (const tag of tags) yield* store.tags.remove(tag)
  const removed = yield* store.remove(hashes)
  for (const hash of removed) size += sizes.get(hash) ?? 0
  const kept: Array<BlobHash.BlobHash> = []
  for (const hash of hashes) {
    if (!removed.includes(hash) && Bitfield.isComplete(yield* store.bitfield(hash))) kept.push(hash)
  }
  const others = kept.filter((hash) => hash !== BlobHash.emptyBlob)
  if (json) return yield* printJson({ tags, removed, kept: others, size })
  if (others.length > 0) yield* Effect.logWarning(`${others.length} of them are kept by other tags: see aster blobs ls`)
  yield* printTable([
    ["Removed", `${removed.length === 1 ? "1 blob" : `${removed.length} blobs`}, ${byteText(size)}`],
    ...(tags.length === 0 ? [] : [["Tags", tags.join(", ")] as const])
  ])
}, Effect.scoped)
