/**
 * Where the parts of a published contract are (contract identity, publication).
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export interface ArtifactRef {
  /** 64 hex digits. */
  readonly contractId: string
  /** The collection of contract, types and manifest; of the format `raw` the contract alone. 64 hex digits. */
  readonly collectionHash: string
  /** A blob ticket for the collection. Readers of release 0.1.2 ask the producer they know instead. */
  readonly ticket: string | undefined
  /** The author that has published it. */
  readonly publishedBy: string
  /** Milliseconds since the Unix epoch. */
  readonly publishedAtEpochMs: number
  readonly collectionFormat: "index" | "raw"
}

/** The JSON form. Readers of release 0.1.2 refuse other keys. @since 0.1.0 */
export const encode = (ref: ArtifactRef): string =>
  JSON.stringify({
    contract_id: ref.contractId,
    collection_hash: ref.collectionHash,
    provider_endpoint_id: null,
    relay_url: null,
    ticket: ref.ticket ?? null,
    published_by: ref.publishedBy,
    published_at_epoch_ms: ref.publishedAtEpochMs,
    collection_format: ref.collectionFormat
  })

const HEX = /^[0-9a-f]{64}$/

/** Reads the JSON form; undefined when it is none. A missing format means `raw`. @since 0.1.0 */
export const decode = (text: string): ArtifactRef | undefined => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof json !== "object" || json === null) return undefined
  const { collection_format, collection_hash, contract_id, published_at_epoch_ms, published_by, ticket } =
    json as Record<string, unknown>
  if (typeof contract_id !== "string" || !HEX.test(contract_id)) return undefined
  if (typeof collection_hash !== "string" || !HEX.test(collection_hash)) return undefined
  return {
    contractId: contract_id,
    collectionHash: collection_hash,
    ticket: typeof ticket === "string" ? ticket : undefined,
    publishedBy: typeof published_by === "string" ? published_by : "",
    publishedAtEpochMs: typeof published_at_epoch_ms === "number" ? published_at_epoch_ms : 0,
    collectionFormat: collection_format === "index" ? "index" : "raw"
  }
}
