/**
 * What a producer writes into its registry document about the contracts it serves (contract identity, publication).
 *
 * @since 0.1.0
 */
import * as Manifest from "@aster-effect/core/contract/Manifest"
import type * as Service from "@aster-effect/core/service/Service"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { BlobNotFound, BlobStoreError, MalformedBlob } from "@aster-effect/iroh-blobs/BlobError"
import type { Document, ReadError, WriteError } from "@aster-effect/iroh-docs/Document"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ArtifactRef from "./ArtifactRef.ts"
import * as RegistryKey from "./RegistryKey.ts"

/** Why a contract was not published. @since 0.1.0 */
export type PublicationError = BlobStoreError | BlobNotFound | MalformedBlob | ReadError | WriteError

/**
 * Publishes the contract of a service: its parts as a collection of blobs, and three entries that say where they are, what
 * the service offers, and which contract the version has. What stands there already is left as it is. Answers whether
 * anything had to be written.
 *
 * @since 0.1.0
 */
export const publish = Effect.fn("Publication.publish")(function* (
  {
    blobs,
    document,
    author
  }: { readonly blobs: Blobs["Service"]; readonly document: Document; readonly author: string },
  { contract, description, name, version }: Service.Any
): Effect.fn.Return<boolean, PublicationError> {
  const { contractId } = contract
  const manifest = Manifest.encode(Manifest.fromDescription(description, contract, { wireTypes: true }))
  const parts = [
    { name: "contract.bin", bytes: contract.canonicalBytes },
    ...contract.types.map((type) => ({ name: `types/${type.hash}.bin`, bytes: type.canonical })),
    { name: "manifest.json", bytes: new TextEncoder().encode(manifest) }
  ]
  const collection = yield* addCollection(blobs, `aster-contract/${contractId}/`, parts)
  const ticket = yield* blobs.share({ hash: collection, format: "hashSeq" })
  const known = ArtifactRef.decode((yield* textAt(document, RegistryKey.contract(contractId))) ?? "")
  const upToDate = known?.collectionHash === collection && known.ticket === ticket
  const ref: ArtifactRef.ArtifactRef = {
    contractId,
    collectionHash: collection,
    ticket,
    publishedBy: author,
    publishedAtEpochMs: yield* Clock.currentTimeMillis,
    collectionFormat: "index"
  }
  if (!upToDate) yield* document.set(RegistryKey.contract(contractId), ArtifactRef.encode(ref))
  const manifestSet = yield* setIfOther(document, RegistryKey.manifest(contractId), manifest)
  const versionSet = yield* setIfOther(document, RegistryKey.version(name, version), contractId)
  return !upToDate || manifestSet || versionSet
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
  return hash
})

const textAt = (document: Document, key: string): Effect.Effect<string | undefined, ReadError> =>
  Effect.map(
    Effect.catchTag(document.getText(key), "ContentMissing", () => Effect.succeed(Option.none<string>())),
    Option.getOrUndefined
  )

const setIfOther = Effect.fnUntraced(function* (document: Document, key: string, value: string) {
  if ((yield* textAt(document, key)) === value) return false
  yield* document.set(key, value)
  return true
})
