/** Where the bytes of blobs are kept. Knows neither hashes' meaning nor what is complete: that is in the metadata. */
import type { BlobHash } from "../BlobHash.ts"

/** A blob's content, or its outboard. */
export type BlobPart = "data" | "outboard"

/** Bytes are not where the metadata says they are: a file is gone, or ends too early. */
export class Missing extends Error {
  override readonly name = "Missing"
}

/** The two parts of one blob, open for reading, and if asked for writing, at any offset. */
export interface OpenBlob {
  /** Exactly `length` bytes, in the room given if there is any; rejects with {@link Missing} where they are not there. */
  readonly read: (part: BlobPart, offset: number, length: number, room?: Uint8Array) => Promise<Uint8Array>
  /** Writes pieces that follow one another. */
  readonly write: (part: BlobPart, offset: number, pieces: ReadonlyArray<Uint8Array>) => Promise<void>
  /** Resolves once everything written would survive a loss of power. */
  readonly sync: () => Promise<void>
  readonly close: () => Promise<void>
}

/** A new blob whose hash is not known yet. */
export interface NewBlob {
  readonly append: (bytes: Uint8Array) => Promise<void>
  /** Makes it the content of `hash`, durably, replacing what is there; call {@link BlobFiles.unsettled} before. */
  readonly install: (hash: BlobHash, outboard: Uint8Array) => Promise<void>
  /** Forgets it; does nothing after `install`. */
  readonly discard: () => Promise<void>
}

/** A place for blobs. */
export interface BlobFiles {
  readonly create: () => Promise<NewBlob>
  /** Opens what is there of a blob, nothing being fine too. */
  readonly open: (hash: BlobHash, use: "read" | "write") => Promise<OpenBlob>
  readonly remove: (hash: BlobHash) => Promise<void>
  /** Length of the data that lies there; undefined when there is no file. */
  readonly sizeOf: (hash: BlobHash) => Promise<number | undefined>
  /**
   * Notes that files of the blob are about to be there without a record, because one is still to be made or was just
   * removed. Whoever opens the store next and finds that note, files and no record knows that nobody misses them.
   */
  readonly unsettled: (hash: BlobHash) => Promise<void>
  /** Takes the note back: files and record agree. */
  readonly settled: (hash: BlobHash) => Promise<void>
}
