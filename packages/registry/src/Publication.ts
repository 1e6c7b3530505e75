/**
 * What a producer writes into its registry document about the contracts it serves (contract identity, publication).
 *
 * @since 0.1.0
 */
import * as Manifest from "@aster-effect/core/contract/Manifest"
import { ManifestError } from "@aster-effect/core/contract/ManifestError"
import type * as Service from "@aster-effect/core/service/Service"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { BlobHash } from "@aster-effect/iroh-blobs/BlobHash"
import type { BlobNotFound, BlobStoreError, MalformedBlob } from "@aster-effect/iroh-blobs/BlobError"
import type { AuthorId } from "@aster-effect/iroh-docs/AuthorId"
import type { Document, ReadError, WriteError } from "@aster-effect/iroh-docs/Document"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ArtifactRef from "./ArtifactRef.ts"
import * as RegistryKey from "./RegistryKey.ts"

/** Why a contract was not published. @since 0.1.0 */
export type PublicationError = BlobStoreError | BlobNotFound | MalformedBlob | ReadError | WriteError

/** Where and as whom to publish. @since 0.1.0 */
export interface Place {
  readonly document: Document
  readonly blobs: Blobs["Service"]
  readonly author: AuthorId
}

/** A contract that was published. @since 0.1.0 */
export interface Published {
  /** Whether anything had to be written. */
  readonly changed: boolean
  readonly collection: BlobHash
  /** The blobs that the collection lists. */
  readonly parts: ReadonlyArray<BlobHash>
}

/**
 * Publishes the contract of a service: its parts as a collection of blobs, and three entries that say where they are, what
 * the service offers, and which contract the version has. What stands there already is left as it is.
 *
 * With `before`, what was published earlier is only kept up: what is there and good is left, also when another producer of
 * the service has written it since, or two of them would write without end.
 *
 * @since 0.1.0
 */
export const publish = Effect.fn("Publication.publish")(function* (
  { author, blobs, document }: Place,
  { contract, description, name, version }: Service.Any,
  before?: Published
): Effect.fn.Return<Published, PublicationError> {
  const { contractId } = contract
  const manifest = Manifest.encode(Manifest.fromDescription(description, contract, { wireTypes: true }))
  const { collection, parts } =
    before !== undefined && (yield* areHere(blobs, before))
      ? before
      : yield* addCollection(blobs, `aster-contract/${contractId}/`, [
          { name: "contract.bin", bytes: contract.canonicalBytes },
          ...contract.types.map((type) => ({ name: `types/${type.hash}.bin`, bytes: type.canonical })),
          { name: "manifest.json", bytes: new TextEncoder().encode(manifest) }
        ])
  const ticket = yield* blobs.share({ hash: collection, format: "hashSeq" })
  const ref: ArtifactRef.ArtifactRef = {
    contractId,
    collectionHash: collection,
    ticket,
    publishedBy: author,
    publishedAtEpochMs: yield* Clock.currentTimeMillis,
    collectionFormat: "index"
  }
  let changed = false
  const set = Effect.fnUntraced(function* (
    key: string,
    value: string,
    isOurs: (text: string) => boolean,
    isGood: (text: string) => boolean
  ) {
    const found = yield* valueAt(document, key)
    if (found !== undefined) {
      if (isOurs(found.text)) return
      if (before !== undefined && found.author !== author && isGood(found.text)) return
    }
    changed = true
    yield* document.set(key, value, { author })
  })
  const refers = (text: string, isSame: (known: ArtifactRef.ArtifactRef) => boolean) => {
    const known = ArtifactRef.decode(text)
    return known !== undefined && known.contractId === contractId && isSame(known)
  }
  yield* set(
    RegistryKey.contract(contractId),
    ArtifactRef.encode(ref),
    (text) => refers(text, (known) => known.collectionHash === collection && known.ticket === ticket),
    (text) => refers(text, () => true)
  )
  yield* set(
    RegistryKey.manifest(contractId),
    manifest,
    (text) => text === manifest,
    (text) => manifestId(text) === contractId
  )
  yield* set(
    RegistryKey.version(name, version),
    contractId,
    (text) => text === contractId,
    (text) => /^[0-9a-f]{64}$/.test(text)
  )
  return { changed, collection, parts }
})

const manifestId = (text: string): string | undefined => {
  try {
    return Manifest.parse(text).contractId
  } catch (error) {
    if (error instanceof ManifestError || error instanceof SyntaxError) return undefined
    throw error
  }
}

const areHere = Effect.fnUntraced(function* (blobs: Blobs["Service"], { collection, parts }: Published) {
  for (const hash of [collection, ...parts]) if (!(yield* blobs.has(hash))) return false
  return true
})

/** Adds a collection under the name that release 0.1.2 gives it. Tags hold the parts until the collection does. */
const addCollection = Effect.fnUntraced(function* (
  blobs: Blobs["Service"],
  prefix: string,
  parts: ReadonlyArray<{ readonly name: string; readonly bytes: Uint8Array }>
) {
  const entries = yield* Effect.forEach(parts, ({ bytes, name }) =>
    Effect.map(blobs.addBytes(bytes, { tag: `${prefix}${name}` }), ({ hash }) => ({ name, hash }))
  )
  const { hash } = yield* blobs.addCollection(entries, { tag: `${prefix}collection` })
  yield* blobs.tags.set(`aster-collection/${hash.slice(0, 16)}`, { hash, format: "hashSeq" })
  yield* blobs.tags.removeAll({ prefix })
  return { collection: hash, parts: entries.map((entry) => entry.hash) }
})

/** What is read of a value, in bytes: more than that is none of ours. */
const MAX_VALUE_BYTES = 16 * 1024 * 1024

const valueAt = Effect.fnUntraced(function* (document: Document, key: string) {
  const entry = Option.getOrUndefined(yield* document.latest(key))
  if (entry === undefined || entry.size > MAX_VALUE_BYTES) return undefined
  return yield* document.read(entry).pipe(
    Effect.map((bytes) => ({ author: entry.author, text: new TextDecoder().decode(bytes) })),
    Effect.catchTag("ContentMissing", () => Effect.succeed(undefined))
  )
})
