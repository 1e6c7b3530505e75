/**
 * What can go wrong with documents.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/** A text or byte array that cannot be the id of a document or an author. @since 0.1.0 */
export class DocsIdError extends Schema.TaggedError<DocsIdError>()("DocsIdError", {
  kind: Schema.Literals(["document", "author"]),
  problem: Schema.String
}) {
  override get message(): string {
    return `Not the id of a ${this.kind}: ${this.problem}. Pass 32 bytes or 64 hex digits.`
  }
}

/** There is no such document here. @since 0.1.0 */
export class DocumentNotFound extends Schema.TaggedError<DocumentNotFound>()("DocumentNotFound", {
  document: Schema.String
}) {
  override get message(): string {
    return `Document ${this.document} is not on this node: create it, or join it with a ticket`
  }
}

/** The document is here for reading only. @since 0.1.0 */
export class DocumentReadOnly extends Schema.TaggedError<DocumentReadOnly>()("DocumentReadOnly", {
  document: Schema.String
}) {
  override get message(): string {
    return `Document ${this.document} can only be read here: join it with a ticket for writing`
  }
}

/** The secret of this author is not on this node. @since 0.1.0 */
export class AuthorNotFound extends Schema.TaggedError<AuthorNotFound>()("AuthorNotFound", {
  author: Schema.String
}) {
  override get message(): string {
    return `Author ${this.author} is not on this node: import its secret, or write as another one`
  }
}

/** The default author cannot be deleted. @since 0.1.0 */
export class AuthorIsDefault extends Schema.TaggedError<AuthorIsDefault>()("AuthorIsDefault", {
  author: Schema.String
}) {
  override get message(): string {
    return `Author ${this.author} is this node's default: make another one the default first`
  }
}

/**
 * A key, a value or a record that a document does not take.
 *
 * | reason | meaning |
 * |---|---|
 * | `KeyTooLong` | the key has more than 2,048 bytes |
 * | `Empty` | a value without bytes, which would be a deletion |
 * | `Malformed` | bytes that are no entry, or a number that is none of bytes or microseconds |
 * | `OtherDocument` | the entry was signed for another document |
 * | `Inconsistent` | its size and its hash contradict each other |
 * | `InFuture` | its time is more than 10 minutes ahead of this node's clock |
 * | `BadSignature` | the signature of its author or of its document is wrong |
 *
 * @since 0.1.0
 */
export class InvalidEntry extends Schema.TaggedError<InvalidEntry>()("InvalidEntry", {
  reason: Schema.Literals([
    "KeyTooLong",
    "Empty",
    "Malformed",
    "OtherDocument",
    "Inconsistent",
    "InFuture",
    "BadSignature"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/**
 * What was to be written is older than what is there: an entry of this author whose key is the same or a prefix of it.
 * This node's clock is behind the one by which that was written.
 *
 * @since 0.1.0
 */
export class NewerEntryExists extends Schema.TaggedError<NewerEntryExists>()("NewerEntryExists", {
  /** The key of the newer entry, as text. */
  key: Schema.String,
  /** Microseconds by which it is ahead of this node's clock. */
  aheadMicros: Schema.Int
}) {
  override get message(): string {
    return (
      `the author's entry ${JSON.stringify(this.key)} is ${Math.ceil(this.aheadMicros / 1000)} ms ahead of this node's clock, ` +
      "and nothing older can take its place: set the clock, or write as another author"
    )
  }
}

/** The content of an entry is not on this node, and no peer that was asked has it. @since 0.1.0 */
export class ContentMissing extends Schema.TaggedError<ContentMissing>()("ContentMissing", {
  hash: Schema.String,
  key: Schema.String
}) {
  override get message(): string {
    return `the content of ${JSON.stringify(this.key)} (blob ${this.hash}) is not on this node, and no peer gives it: its author may be away`
  }
}

/** A document ticket cannot be read. @since 0.1.0 */
export class DocTicketError extends Schema.TaggedError<DocTicketError>()("DocTicketError", { problem: Schema.String }) {
  override get message(): string {
    return `Bad document ticket: ${this.problem}`
  }
}

/** The disk or the database under the documents failed. What was reported as stored before is not affected. @since 0.1.0 */
export class DocsStoreError extends Schema.TaggedError<DocsStoreError>()("DocsStoreError", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `The store of documents could not ${this.operation}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** The directory cannot be used as a store of documents; nothing in it was changed. @since 0.1.0 */
export class DocsStoreUnavailable extends Schema.TaggedError<DocsStoreUnavailable>()("DocsStoreUnavailable", {
  path: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return detail.includes("locked")
      ? `The documents at ${this.path} are open already, in another process or in this one: stop that one, share its store, or choose another directory`
      : `Cannot use ${this.path} for documents: ${detail}`
  }
}

/**
 * A sync session did not come to its end.
 *
 * | reason | meaning |
 * |---|---|
 * | `Unreachable` | there is no connection to the peer |
 * | `NotAdmitted` | the peer's gate is closed for us |
 * | `NotFound` | the peer does not have the document, or does not share it |
 * | `AlreadySyncing` | another session of the two is under way, and does the work |
 * | `PeerFailed` | the peer gave up because of something on its side |
 * | `Protocol` | the peer said what the protocol does not know |
 * | `TooLarge` | a message was beyond the limits |
 * | `TimedOut` | the peer was silent for too long, or the session went on without end |
 * | `ConnectionLost` | the connection or the stream ended early |
 * | `Store` | our own store failed |
 *
 * @since 0.1.0
 */
export class SyncFailed extends Schema.TaggedError<SyncFailed>()("SyncFailed", {
  peer: Schema.String,
  reason: Schema.Literals([
    "Unreachable",
    "NotAdmitted",
    "NotFound",
    "AlreadySyncing",
    "PeerFailed",
    "Protocol",
    "TooLarge",
    "TimedOut",
    "ConnectionLost",
    "Store"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return `sync with ${this.peer} failed: ${this.detail}`
  }
}
