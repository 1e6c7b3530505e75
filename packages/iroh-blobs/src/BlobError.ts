/**
 * What can go wrong with blobs that are stored here.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { BlobHash } from "./BlobHash.ts"

/** The store has nothing, or not all, of a blob that was asked for as a whole. */
export class BlobNotFound extends Data.TaggedError("BlobNotFound")<{ readonly hash: BlobHash }> {
  override get message(): string {
    return `Blob ${this.hash} is not complete in this store: add or download it first`
  }
}

/** Bytes were asked for that the store does not have. */
export class RangeNotFound extends Data.TaggedError("RangeNotFound")<{
  readonly hash: BlobHash
  /** The first byte that is missing. */
  readonly offset: number
}> {
  override get message(): string {
    return `Blob ${this.hash} is not stored from byte ${this.offset} on, or ends before it: download that range first`
  }
}

/** The disk or the database under the store failed. What was reported as stored before is not affected. */
export class BlobStoreError extends Data.TaggedError("BlobStoreError")<{
  readonly operation: string
  readonly cause: unknown
}> {
  override get message(): string {
    const detail = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `The blob store could not ${this.operation}: ${detail}`
  }
}

/** The directory cannot be used as a store. */
export class BlobStoreUnavailable extends Data.TaggedError("BlobStoreUnavailable")<{
  readonly path: string
  readonly cause: unknown
}> {
  override get message(): string {
    const detail = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return detail.includes("locked")
      ? `The blob store at ${this.path} is open already, in another process or in this one: stop that one, share its store, or choose another directory`
      : `Cannot use ${this.path} as a blob store: ${detail}`
  }
}

/** What was read as a hash, a ticket, a hash sequence or a collection is none. */
export class MalformedBlob extends Data.TaggedError("MalformedBlob")<{ readonly problem: string }> {
  override get message(): string {
    return `Malformed: ${this.problem}`
  }
}

/** There is no tag of this name. */
export class TagNotFound extends Data.TaggedError("TagNotFound")<{ readonly name: string }> {
  override get message(): string {
    return `There is no tag ${JSON.stringify(this.name)}`
  }
}

/** A file outside the store could not be read or written. */
export class BlobFileError extends Data.TaggedError("BlobFileError")<{
  readonly path: string
  readonly operation: "read" | "write"
  readonly cause: unknown
}> {
  override get message(): string {
    const detail = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `Cannot ${this.operation} ${this.path}: ${detail}`
  }
}
