/** Where the bytes of blobs are kept. Knows neither hashes' meaning nor what is complete: that is in the metadata. */
import type { BlobHash } from "../BlobHash.ts"

/** A blob's content, or its outboard. */
export type BlobPart = "data" | "outboard"

/** The two parts of one blob, open for reading and writing at any offset. */
export interface OpenBlob {
  /** Exactly `length` bytes; rejects where the part is shorter. */
  readonly read: (part: BlobPart, offset: number, length: number) => Promise<Uint8Array>
  /** Writes pieces that follow one another. */
  readonly write: (part: BlobPart, offset: number, pieces: ReadonlyArray<Uint8Array>) => Promise<void>
  /** Resolves once everything written would survive a loss of power. */
  readonly sync: () => Promise<void>
  readonly close: () => Promise<void>
}

/** A new blob whose hash is not known yet. */
export interface NewBlob {
  readonly append: (bytes: Uint8Array) => Promise<void>
  /** Makes it the content of `hash`, durably, replacing what is there. */
  readonly install: (hash: BlobHash, outboard: Uint8Array) => Promise<void>
  /** Forgets it; does nothing after `install`. */
  readonly discard: () => Promise<void>
}

/** A place for blobs. */
export interface BlobFiles {
  readonly create: () => Promise<NewBlob>
  /** Opens what is there of a blob, nothing being fine too. */
  readonly open: (hash: BlobHash) => Promise<OpenBlob>
  readonly remove: (hash: BlobHash) => Promise<void>
}
