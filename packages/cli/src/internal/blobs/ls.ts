import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { BlobStore, Tag } from "@aster-effect/iroh-blobs/BlobStore"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { byteText } from "../byteText.ts"
import { printable } from "../printable.ts"
import { filesText, printJson } from "./output.ts"
import { blobsOffline, childrenOf, contentOf, openStore } from "./store.ts"

/** What is in the store under one hash. */
interface Listed extends BlobHash.HashAndFormat {
  /** In bytes; of a collection, of all its files. */
  readonly size: number
  readonly state: "complete" | "partial"
  /** Of a collection. */
  readonly files?: number | undefined
  readonly tags: ReadonlyArray<string>
}

const listedText = ({ files, format, hash, size, state, tags }: Listed): string =>
  [
    BlobHash.format({ format, hash }).padEnd(65),
    byteText(size).padStart(10),
    (files !== undefined ? filesText(files) : format === "raw" ? "blob" : "list").padEnd(9),
    state.padEnd(8),
    tags.join(", ")
  ]
    .join("  ")
    .trimEnd()

/** A tagged hash sequence with what is below it; `children` are not listed by themselves. */
const listSeq = Effect.fnUntraced(function* (
  store: BlobStore["Service"],
  blobs: Blobs["Service"],
  content: BlobHash.HashAndFormat,
  tags: ReadonlyArray<string>
) {
  const children = yield* Effect.orElseSucceed(childrenOf(blobs, content.hash), () => undefined)
  const statuses = yield* Effect.forEach(children ?? [], (hash) => store.status(hash))
  const complete = children !== undefined && statuses.every(({ _tag }) => _tag === "Complete")
  const entries = complete ? yield* Effect.option(blobs.collection(content.hash)) : undefined
  const sizes = statuses.map((status) => (status._tag === "NotFound" ? 0 : status.size))
  // The first child of a collection holds the names.
  const counted = entries?._tag === "Some" ? sizes.slice(1) : sizes
  const listed: Listed = {
    ...content,
    size: counted.reduce((sum, size) => sum + size, 0),
    state: complete ? "complete" : "partial",
    files: entries?._tag === "Some" ? entries.value.length : undefined,
    tags
  }
  return { listed, children: children ?? [] }
})

/** Lists what is tagged, and whatever else is there and belongs to none of it. */
const listStore = Effect.fnUntraced(function* (store: BlobStore["Service"], blobs: Blobs["Service"]) {
  const roots = new Map<string, { readonly content: BlobHash.HashAndFormat; readonly tags: Array<string> }>()
  yield* Stream.runForEach(store.tags.list(), ({ format, hash, name }: Tag) =>
    Effect.sync(() => {
      const key = BlobHash.format({ format, hash })
      const root = roots.get(key) ?? { content: { hash, format }, tags: [] }
      root.tags.push(name)
      roots.set(key, root)
    })
  )
  const list: Array<Listed> = []
  const seen = new Set<BlobHash.BlobHash>()
  const listRaw = (hash: BlobHash.BlobHash, tags: ReadonlyArray<string>) =>
    Effect.map(store.status(hash), (status) => {
      seen.add(hash)
      const size = status._tag === "NotFound" ? 0 : status.size
      list.push({ hash, format: "raw", size, state: status._tag === "Complete" ? "complete" : "partial", tags })
    })
  for (const { content, tags } of roots.values()) {
    if (content.format === "raw") yield* listRaw(content.hash, tags)
    else {
      const { children, listed } = yield* listSeq(store, blobs, content, tags)
      list.push(listed)
      for (const hash of [content.hash, ...children]) seen.add(hash)
    }
  }
  for (const { hash } of yield* Stream.runCollect(store.list)) if (!seen.has(hash)) yield* listRaw(hash, [])
  return list
})

/** What to list, and where. */
export interface Ls {
  readonly hash: string | undefined
  readonly store: string | undefined
  readonly json: boolean
}

/** Lists the store, or the files of a collection. */
export const ls = Effect.fnUntraced(function* (options: Ls) {
  const store = yield* openStore(options.store, "read")
  const blobs = yield* blobsOffline(store)
  if (options.hash === undefined) {
    const list = yield* listStore(store, blobs)
    if (options.json) return yield* printJson(list)
    return yield* Effect.forEach(list, (listed) => Console.log(printable(listedText(listed))), { discard: true })
  }
  const { hash } = yield* contentOf(store, options.hash)
  const entries = yield* Effect.forEach(yield* blobs.collection(hash), ({ hash, name }) =>
    Effect.map(store.bitfield(hash), ({ size }) => ({ name, hash, size }))
  )
  if (options.json) return yield* printJson(entries)
  yield* Effect.forEach(
    entries,
    ({ hash, name, size }) => Console.log(printable(`${hash}  ${byteText(size).padStart(10)}  ${name}`)),
    { discard: true }
  )
}, Effect.scoped)
