/**
 * One document: what is in it, and with whom it is shared.
 *
 * @since 0.1.0
 */
import type { BlobHash } from "@aster-effect/iroh-blobs/BlobHash"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { AuthorId } from "./AuthorId.ts"
import type { DocEntry } from "./DocEntry.ts"
import type { DocEvent, SyncSummary } from "./DocEvent.ts"
import type {
  AuthorNotFound,
  ContentMissing,
  DocsStoreError,
  DocumentNotFound,
  DocumentReadOnly,
  InvalidEntry,
  NewerEntryExists,
  SyncFailed
} from "./DocsError.ts"
import type { DocumentId } from "./DocumentId.ts"
import type { DownloadPolicy } from "./DownloadPolicy.ts"
import type { Query } from "./Query.ts"

/** A key or a value: text stands for its bytes in UTF-8. @since 0.1.0 */
export type Bytes = string | Uint8Array

/** Why something is not written. @since 0.1.0 */
export type WriteError =
  | AuthorNotFound
  | DocsStoreError
  | DocumentNotFound
  | DocumentReadOnly
  | InvalidEntry
  | NewerEntryExists

/** Why something is not read. @since 0.1.0 */
export type ReadError = DocumentNotFound | DocsStoreError

/** How an entry is written. @since 0.1.0 */
export interface WriteOptions {
  /** Default: this node's default author. */
  readonly author?: AuthorId | undefined
}

/** What is signed without being written. @since 0.1.0 */
export interface Unsigned {
  /** At most 2,048 bytes. */
  readonly key: Bytes
  /** Microseconds since the Unix epoch; at most 10 minutes ahead of this node's clock, or nobody takes the entry. */
  readonly timestamp: number
  /** A blob's hash and its size in bytes, which is not 0. Without it the entry is a deletion. */
  readonly content?: { readonly hash: BlobHash; readonly size: number } | undefined
}

/** What is to be said next in a reconciliation, and what it has moved with this message. @since 0.1.0 */
export interface Reconciled extends SyncSummary {
  /** For the peer; without it the reconciliation is complete on this side. */
  readonly reply: Uint8Array | undefined
}

/** How a document is shared right now. @since 0.1.0 */
export interface DocumentStatus {
  readonly mode: "read" | "write"
  /** Whether peers may begin sessions, and changes go live. */
  readonly syncing: boolean
  /** Entries, with the marks of deletions. */
  readonly entries: number
  /** Authors that have written. */
  readonly authors: number
  /** Contents that are to be fetched and are not here yet. */
  readonly missing: ReadonlyArray<BlobHash>
  /** Sessions that run. */
  readonly sessions: number
  readonly subscribers: number
  /** Peers with which syncing went well, the latest first. */
  readonly peers: ReadonlyArray<NodeAddr>
}

/**
 * One document on this node. It stays usable until it is dropped; it costs nothing to have several of the same.
 *
 * **An entry rules over every key that starts with its own.** Writing `foo` removes the author's older `foobar`, and writing
 * `foobar` later brings it back. Keys that must not be taken for the beginning of others end with a mark, as in `foo/`.
 *
 * @since 0.1.0
 */
export interface Document {
  readonly id: DocumentId
  readonly mode: Effect.Effect<"read" | "write", ReadError>
  /**
   * Writes a value under a key of at most 2,048 bytes. Values are not empty: to remove one, delete it.
   */
  readonly set: (key: Bytes, value: Bytes, options?: WriteOptions) => Effect.Effect<DocEntry, WriteError>
  /** Writes under a key a content that is a blob: its hash and its size in bytes, which is not 0. */
  readonly setHash: (
    key: Bytes,
    hash: BlobHash,
    size: number,
    options?: WriteOptions
  ) => Effect.Effect<DocEntry, WriteError>
  /**
   * Deletes what the author has written under all keys that start with a prefix, for good: what others still have of it and
   * is older does not come back. Answers how many entries went.
   */
  readonly delete: (prefix: Bytes, options?: WriteOptions) => Effect.Effect<number, WriteError>
  /**
   * Signs an entry of a chosen time and leaves the document as it is: for `insert`, here or on another node. The content is
   * not looked for, nor kept.
   */
  readonly sign: (
    entry: Unsigned,
    options?: WriteOptions
  ) => Effect.Effect<DocEntry, ReadError | AuthorNotFound | DocumentReadOnly | InvalidEntry>
  /**
   * Puts in an entry that was signed before, in the bytes of `DocEntry.encode`. It is checked as one of a peer, and shows as
   * `InsertRemote` from this node itself; a document for reading takes it too. Peers get it with their next session. Answers
   * whether it went in: not when the same or a newer one is there.
   */
  readonly insert: (signed: Uint8Array) => Effect.Effect<boolean, ReadError | InvalidEntry>
  /** The first entry of a query. */
  readonly getOne: (query: Query) => Effect.Effect<Option.Option<DocEntry>, ReadError>
  /** The entries of a query, as they are now. */
  readonly getMany: (query?: Query) => Stream.Stream<DocEntry, ReadError>
  /** The latest entry under a key, of whichever author. */
  readonly latest: (key: Bytes) => Effect.Effect<Option.Option<DocEntry>, ReadError>
  /**
   * The content of an entry. When it is not on this node yet the peers of the document are asked for it.
   */
  readonly read: (entry: DocEntry) => Effect.Effect<Uint8Array, ReadError | ContentMissing>
  /** The latest value under a key. */
  readonly get: (key: Bytes) => Effect.Effect<Option.Option<Uint8Array>, ReadError | ContentMissing>
  /** The latest value under a key, as text. */
  readonly getText: (key: Bytes) => Effect.Effect<Option.Option<string>, ReadError | ContentMissing>
  /** Values of a schema, kept as JSON. */
  readonly schema: <A, I>(schema: Schema.Codec<A, I>) => TypedDocument<A>
  /**
   * What happens from now on. A subscriber may be so many events behind (default 4,096) before it loses some, which it is
   * told. The stream ends when the document is dropped.
   */
  readonly subscribe: (options?: {
    readonly capacity?: number | undefined
  }) => Effect.Effect<Stream.Stream<DocEvent>, ReadError, Scope.Scope>
  readonly status: Effect.Effect<DocumentStatus, ReadError>
  /** A ticket for reading or for writing, with this node's address. From now on peers may begin sessions. */
  readonly share: (mode: "read" | "write") => Effect.Effect<string, ReadError | DocumentReadOnly>
  /** Lets peers begin sessions, goes live, and begins sessions with these peers and those that are remembered. */
  readonly startSync: (peers?: ReadonlyArray<NodeAddr>) => Effect.Effect<void, ReadError>
  /** Runs one session with a peer to its end. While another one of the two is under way it waits, for 5 seconds at most. */
  readonly syncWith: (peer: NodeAddr) => Effect.Effect<SyncSummary, ReadError | SyncFailed>
  /**
   * One step of a reconciliation with a peer that messages go to and fro with by other means than a session of this node's:
   * a file, another connection. Without a message it begins. Messages are those of iroh-docs' set reconciliation, in postcard.
   * Who `peer` is must be known from elsewhere: it is named in events, and asked for contents.
   */
  readonly reconcile: (peer: EndpointId, message?: Uint8Array) => Effect.Effect<Reconciled, ReadError | SyncFailed>
  /** Ends sessions and live changes; peers may begin no more. What is here stays. */
  readonly leave: Effect.Effect<void, ReadError>
  /** Which contents are fetched when entries arrive. Default: all. */
  readonly downloadPolicy: Effect.Effect<DownloadPolicy, ReadError>
  readonly setDownloadPolicy: (policy: DownloadPolicy) => Effect.Effect<void, ReadError>
}

/** Values of a schema in a document. @since 0.1.0 */
export interface TypedDocument<A> {
  readonly set: (
    key: Bytes,
    value: A,
    options?: WriteOptions
  ) => Effect.Effect<DocEntry, WriteError | Schema.SchemaError>
  /** The latest value under a key. */
  readonly get: (key: Bytes) => Effect.Effect<Option.Option<A>, ReadError | ContentMissing | Schema.SchemaError>
}
