/**
 * Contracts as their producers have published them.
 *
 * @since 0.1.0
 */
import * as ContractIdentity from "@aster-effect/core/contract/ContractIdentity"
import { ContractError } from "@aster-effect/core/contract/ContractError"
import * as Manifest from "@aster-effect/core/contract/Manifest"
import { ManifestError } from "@aster-effect/core/contract/ManifestError"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { Document, ReadError } from "@aster-effect/iroh-docs/Document"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ArtifactRef from "./ArtifactRef.ts"
import * as RegistryKey from "./RegistryKey.ts"

/** A contract is not published, or what is published is none. @since 0.1.0 */
export class ContractUnavailable extends Schema.TaggedError<ContractUnavailable>()("ContractUnavailable", {
  contractId: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `contract ${this.contractId}: ${this.detail}`
  }
}

/** @since 0.1.0 */
export interface PublishedContract {
  readonly manifest: Manifest.Manifest
  /** The types of its messages by hash; empty where the manifest is all that can be had. */
  readonly types: ReadonlyMap<string, ContractIdentity.TypeDefJson>
}

/** What of `Blobs` is needed. @since 0.1.0 */
export type CollectionReader = Pick<Blobs["Service"], "collection" | "download" | "read" | "status">

/** Most entries of a collection that are read, and most bytes of each. */
const MAX_ENTRIES = 10_000
const MAX_ENTRY_BYTES = 16_777_216
/** Of all that a collection lists together. */
const MAX_COLLECTION_BYTES = 16_777_216
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
const MAX_REF_BYTES = 16_384

/** Where a contract is read. @since 0.1.0 */
export interface ReadOptions {
  readonly document: Document
  readonly blobs: CollectionReader
  /** Whom to ask for blobs, besides the usual providers of `blobs`. Default: nobody. */
  readonly from?: ReadonlyArray<NodeAddr> | undefined
}

/**
 * Reads the contract of an id from a producer's registry document. Types count when they have the hash they are published
 * under. A manifest of more than 4 MiB is refused, and so is a collection of more than 16 MiB, before anything of what is too
 * large is taken; what was fetched has no tag.
 *
 * @since 0.1.0
 */
export const read = Effect.fn("PublishedContract.read")(function* (
  { blobs, document, from }: ReadOptions,
  contractId: string
): Effect.fn.Return<PublishedContract, ContractUnavailable | ReadError> {
  const unavailable = (detail: string) => new ContractUnavailable({ contractId, detail })
  const textAt = Effect.fnUntraced(function* (key: string, limit: number) {
    const entry = Option.getOrUndefined(yield* document.latest(key))
    if (entry === undefined) return undefined
    // Nothing is fetched of what would not be read.
    if (entry.size > limit) {
      return yield* unavailable(`what is published at ${key} has ${entry.size} bytes, and at most ${limit} are read`)
    }
    return yield* document.read(entry).pipe(
      Effect.map((bytes) => new TextDecoder().decode(bytes)),
      Effect.catchTag("ContentMissing", () => Effect.succeed(undefined))
    )
  })
  const text = yield* textAt(RegistryKey.manifest(contractId), MAX_MANIFEST_BYTES)
  if (text === undefined) return yield* unavailable("the producer has published no manifest of it")
  const manifest = yield* Effect.try({
    try: () => Manifest.parse(text),
    catch: (cause) =>
      unavailable(`its manifest is none: ${cause instanceof ManifestError ? cause.message : "not JSON"}`)
  })
  if (manifest.contractId !== contractId) return yield* unavailable("its manifest is that of another contract")
  const ref = ArtifactRef.decode((yield* textAt(RegistryKey.contract(contractId), MAX_REF_BYTES)) ?? "")
  if (ref?.collectionFormat !== "index") return { manifest, types: new Map() }
  const types = yield* Effect.mapError(readTypes(blobs, BlobHash.parse(ref.collectionHash), from), ({ message }) =>
    unavailable(`its types cannot be read: ${message}`)
  )
  return { manifest, types }
})

const readTypes = Effect.fnUntraced(function* (
  blobs: CollectionReader,
  hash: BlobHash.BlobHash,
  from: ReadOptions["from"]
) {
  yield* blobs.download({ hash, format: "hashSeq" }, { from, maxBytes: MAX_COLLECTION_BYTES, tag: false })
  const entries = (yield* blobs.collection(hash)).slice(0, MAX_ENTRIES)
  const types = new Map<string, ContractIdentity.TypeDefJson>()
  for (const { hash: entry, name } of entries) {
    const typeHash = /^types\/([0-9a-f]{64})\.bin$/.exec(name)?.[1]
    if (typeHash === undefined) continue
    const status = yield* blobs.status(entry)
    if (status._tag !== "Complete" || status.size > MAX_ENTRY_BYTES) continue
    const bytes = yield* blobs.read(entry)
    if (ContractIdentity.hash(bytes) !== typeHash) continue
    const type = decoded(bytes)
    if (type !== undefined) types.set(typeHash, type)
  }
  return types
})

const decoded = (bytes: Uint8Array): ContractIdentity.TypeDefJson | undefined => {
  try {
    return ContractIdentity.typeFromBytes(bytes)
  } catch (error) {
    if (error instanceof ContractError) return undefined
    throw error
  }
}
