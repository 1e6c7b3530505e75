import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type BlobStoreError, MalformedBlob } from "../BlobError.ts"
import type { BlobHash } from "../BlobHash.ts"
import type { AddOptions } from "../Blobs.ts"
import type { AddedBlob, BlobStore } from "../BlobStore.ts"
import * as Collection from "../Collection.ts"
import { readHashSeq } from "./hashSeqBlob.ts"
import { parsed } from "./parsed.ts"
import { type ReadError, readRange } from "./reading.ts"
import { finishOptions } from "./tagging.ts"

type Store = BlobStore["Service"]

/** Names are read into memory. */
const MAX_NAMES_SIZE = 64 * 1_048_576

/** The entries of a collection that is here. */
export const readCollection = Effect.fnUntraced(function* (
  store: Store,
  hash: BlobHash
): Effect.fn.Return<ReadonlyArray<Collection.CollectionEntry>, ReadError | MalformedBlob> {
  const root = yield* readHashSeq(store, hash)
  if (root.length === 0) return yield* new MalformedBlob({ problem: `blob ${hash} is empty, not a collection` })
  const { size } = yield* store.bitfield(root.at(0))
  if (size > MAX_NAMES_SIZE) return yield* new MalformedBlob({ problem: `the collection's names take ${size} bytes` })
  const names = yield* readRange(store, root.at(0))
  return yield* parsed(() => Collection.entries(root, Collection.decodeNames(names, root.length - 1)))
})

/** Names blobs together. */
export const addCollection = Effect.fnUntraced(function* (
  store: Store,
  entries: Iterable<Collection.CollectionEntry>,
  options?: Pick<AddOptions, "tag">
): Effect.fn.Return<AddedBlob, BlobStoreError | MalformedBlob, Scope.Scope> {
  const list = [...entries]
  const encoded = yield* parsed(() => Collection.encodeNames(list.map(({ name }) => name)))
  const names = yield* store.create
  yield* names.write(encoded)
  // Held by this scope until the root, which keeps it, is tagged.
  const { hash } = yield* names.finish()
  const root = yield* store.create
  yield* root.write(
    Collection.root(
      hash,
      list.map((entry) => entry.hash)
    ).bytes
  )
  return yield* root.finish({ ...finishOptions(options), format: "hashSeq" })
}, Effect.scoped)
