/**
 * What can go wrong with blobs that are stored here.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { BlobHash } from "./BlobHash.ts"

/** What a cause says, whatever it is. */
const textOf = (cause: unknown): string => {
  if (typeof cause === "string") return cause
  return typeof cause === "object" && cause !== null && "message" in cause ? String(cause.message) : "unknown cause"
}

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

/** A range that no blob can have: positions in bytes are whole numbers from 0 to 2^53 - 1, the end not before the start. */
export class InvalidRange extends Data.TaggedError("InvalidRange")<{
  readonly start: number
  readonly end: number | undefined
}> {
  override get message(): string {
    return `Bytes ${this.start} to ${this.end ?? "the end"} are no range: give whole numbers from 0 on, the end not before the start`
  }
}

/**
 * What is stored does not match the hash any more: the disk, or somebody, changed it. What is damaged counts as missing
 * from then on, so that adding the blob again, or downloading it, repairs it.
 */
export class BlobDamaged extends Data.TaggedError("BlobDamaged")<{
  readonly hash: BlobHash
  /** The first byte that is not what it should be. */
  readonly offset: number
}> {
  override get message(): string {
    return `Blob ${this.hash} is damaged in this store from byte ${this.offset} on: add it again, or download it again`
  }
}

/** It is not known what a tag or somebody at work keeps, so nothing was removed. */
export class UnreadableRoot extends Data.TaggedError("UnreadableRoot")<{
  /** The hash sequence that cannot be read. */
  readonly hash: BlobHash
  /** The tag that keeps it, if one does. */
  readonly tag: string | undefined
  readonly cause: unknown
}> {
  override get message(): string {
    const detail = textOf(this.cause)
    const tag = this.tag === undefined ? "" : ` of tag ${JSON.stringify(this.tag)}`
    return (
      `No garbage was removed, because hash sequence ${this.hash}${tag} cannot be read, and it says what is to stay. ` +
      `${detail}. Then collect again, or remove the tag if what it keeps may go`
    )
  }
}

/**
 * The store could not do it: the disk or the database under it failed, or it is open for reading only. What was reported
 * as stored before is not affected.
 */
export class BlobStoreError extends Data.TaggedError("BlobStoreError")<{
  readonly operation: string
  readonly cause: unknown
}> {
  override get message(): string {
    const detail = textOf(this.cause)
    return `The blob store could not ${this.operation}: ${detail}`
  }
}

/** The directory cannot be used as a store. */
export class BlobStoreUnavailable extends Data.TaggedError("BlobStoreUnavailable")<{
  readonly path: string
  readonly cause: unknown
}> {
  override get message(): string {
    const detail = textOf(this.cause)
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
    const detail = textOf(this.cause)
    return `Cannot ${this.operation} ${this.path}: ${detail}`
  }
}
