/**
 * Where blobs are kept: content-addressed, verified, whole or in part, with tags that say what is to stay.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type {
  BlobDamaged,
  BlobNotFound,
  BlobStoreError,
  BlobStoreUnavailable,
  TagNotFound,
  UnreadableRoot
} from "./BlobError.ts"
import type { BlobPart } from "./internal/blobFiles.ts"
import { openDatabase } from "./internal/database.ts"
import { Entries } from "./internal/entries.ts"
import { memoryFiles } from "./internal/memoryFiles.ts"
import { Metadata, type Tag } from "./internal/metadata.ts"
import { onDemand } from "./internal/onDemand.ts"
import { makeStore } from "./internal/store.ts"
import { openDirectory } from "./internal/storeDirectory.ts"
import type { BaoItem } from "./proto/BaoDecoder.ts"
import type { Bitfield } from "./Bitfield.ts"
import type { BlobHash, HashAndFormat } from "./BlobHash.ts"
import type { ChunkRanges } from "./ChunkRanges.ts"

export type { Tag } from "./internal/metadata.ts"
export type { BlobPart } from "./internal/blobFiles.ts"

/** How much of a blob a store has. `size` is in bytes; in a partial blob it may be a claim until `sizeVerified`. */
export type BlobStatus =
  | { readonly _tag: "NotFound" }
  | { readonly _tag: "Partial"; readonly size: number; readonly sizeVerified: boolean }
  | { readonly _tag: "Complete"; readonly size: number }

/** A blob held open for reading. It is not collected meanwhile. */
export interface BlobReader {
  readonly hash: BlobHash
  /** What is there now; it may grow while a download runs. */
  readonly bitfield: () => Bitfield
  /**
   * Exactly `length` bytes of the data or the outboard, from `offset` on. Only what `bitfield` says is there can be read.
   * Data is verified against the hash; the outboard comes as it is stored.
   */
  readonly read: (
    part: BlobPart,
    offset: number,
    length: number
  ) => Effect.Effect<Uint8Array, BlobDamaged | BlobStoreError>
  /** Data from `offset` to `end`, verified, in pieces of up to 256 KiB. */
  readonly stream: (offset: number, end: number) => Stream.Stream<Uint8Array, BlobDamaged | BlobStoreError>
}

/** A blob held open by somebody who verifies what is read. */
export interface StoredBlob extends BlobReader {
  /** Bytes as they are stored, right or wrong; in `room`, which has `length` bytes, or wherever the store has them. */
  readonly stored: (
    part: BlobPart,
    offset: number,
    length: number,
    room?: Uint8Array
  ) => Effect.Effect<Uint8Array, BlobStoreError>
  /** Says that what is stored does not match the hash: it counts as missing from then on. */
  readonly markDamaged: (ranges: ChunkRanges) => Effect.Effect<void>
}

/** A blob being received in verified pieces. It is not collected meanwhile, and resumable if it never gets whole. */
export interface PartialBlob extends BlobReader {
  /**
   * Takes what a decoder verified, in its order, for a blob of the given size. Data counts as stored per chunk group:
   * pieces of less than a whole group are left out. What is stored is announced to observers at once and durable from
   * time to time, at the end of the scope, and when the blob is complete. The items' memory is the caller's again afterwards.
   */
  readonly append: (size: number, items: ReadonlyArray<BaoItem>) => Effect.Effect<void, BlobStoreError>
}

/** What a new blob turned out to be. */
export interface AddedBlob {
  readonly hash: BlobHash
  readonly size: number
}

/** The tag under which a new blob stays. */
export interface FinishOptions {
  /** A name; true for a new one made of the time; absent for none, so that the blob stays no longer than the scope. */
  readonly tag?: string | true | undefined
  /** Default "raw". With "hashSeq" the tag keeps the children too. */
  readonly format?: HashAndFormat["format"] | undefined
}

/** A blob being written whose hash is not known yet. Leaving the scope before `finish` forgets it. */
export interface BlobWriter {
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, BlobStoreError>
  /** Ends the blob and stores it durably; a blob that was there already is kept instead. Held until the scope ends. */
  readonly finish: (options?: FinishOptions) => Effect.Effect<AddedBlob, BlobStoreError>
}

/** Which tags: with a name in the given range of UTF-8 bytes, or starting with a prefix. */
export interface TagFilter {
  readonly prefix?: string | undefined
  /** First name, included. */
  readonly from?: string | undefined
  /** Last name, excluded. */
  readonly to?: string | undefined
}

/** The tags of a store. A tag keeps its blob, and with the format "hashSeq" also the blobs listed in it. */
export interface Tags {
  readonly set: (name: string, content: HashAndFormat) => Effect.Effect<void, BlobStoreError>
  /** Makes a tag named `auto-` and the time; answers the name. */
  readonly create: (content: HashAndFormat) => Effect.Effect<string, BlobStoreError>
  readonly get: (name: string) => Effect.Effect<Option.Option<Tag>, BlobStoreError>
  /** In the order of the names' UTF-8 bytes. */
  readonly list: (filter?: TagFilter) => Stream.Stream<Tag, BlobStoreError>
  /** Answers how many there were. */
  readonly remove: (name: string) => Effect.Effect<number, BlobStoreError>
  /** Answers how many there were. */
  readonly removeAll: (filter: TagFilter) => Effect.Effect<number, BlobStoreError>
  /** A tag that has the new name already is replaced. */
  readonly rename: (from: string, to: string) => Effect.Effect<void, TagNotFound | BlobStoreError>
}

/** What a collection of garbage did, in numbers of blobs. */
export interface GarbageReport {
  readonly removed: number
  readonly kept: number
}

/** Settings of a store. */
export interface BlobStoreOptions {
  /** How often garbage is collected; not more often than every 10 milliseconds. Default: never by itself. */
  readonly gcInterval?: Duration.Input | undefined
}

/** Settings of a store in a directory. */
export interface DirectoryOptions extends BlobStoreOptions {
  /**
   * Opens what is there and changes nothing on the disk, which may be full or not writable; whatever would write fails.
   * Default: false.
   */
  readonly readOnly?: boolean | undefined
}

/** Settings of a store that is opened when it is needed. */
export interface OnDemandOptions extends DirectoryOptions {
  /** Where blobs are kept. Default: in memory. */
  readonly directory?: string | undefined
}

/** A store of blobs. */
export class BlobStore extends Context.Service<
  BlobStore,
  {
    /** What is there of a blob. */
    readonly bitfield: (hash: BlobHash) => Effect.Effect<Bitfield, BlobStoreError>
    readonly status: (hash: BlobHash) => Effect.Effect<BlobStatus, BlobStoreError>
    /** Blobs of which something is stored, by hash. The empty blob is always there and never listed. */
    readonly list: Stream.Stream<{ readonly hash: BlobHash; readonly status: BlobStatus }, BlobStoreError>
    /** Opens a blob of which at least something is there. */
    readonly open: (hash: BlobHash) => Effect.Effect<StoredBlob, BlobNotFound | BlobStoreError, Scope.Scope>
    /** Begins a new blob. */
    readonly create: Effect.Effect<BlobWriter, BlobStoreError, Scope.Scope>
    /** Opens a blob to add verified pieces to it. Several may do so at a time. */
    readonly receive: (hash: BlobHash) => Effect.Effect<PartialBlob, BlobStoreError, Scope.Scope>
    /** What is there of a blob, now and after each change; changes in quick succession may be merged. Never ends. */
    readonly observe: (hash: BlobHash) => Stream.Stream<Bitfield, BlobStoreError>
    /** Keeps a blob, and with the format "hashSeq" also the blobs listed in it, until the scope ends. */
    readonly protect: (content: HashAndFormat) => Effect.Effect<void, BlobStoreError, Scope.Scope>
    /**
     * Reads all that is there of a blob against its hash. Damage counts as missing from then on, so that the blob can be
     * added or downloaded again. Answers what is there.
     */
    readonly verify: (hash: BlobHash) => Effect.Effect<Bitfield, BlobStoreError>
    readonly tags: Tags
    /**
     * Removes every blob that is not tagged, protected, open or being written, whole or in part. When the blob of a tag
     * with the format "hashSeq" is not all there, or cannot be read, nothing is removed: what it keeps is not known.
     */
    readonly collectGarbage: Effect.Effect<GarbageReport, BlobStoreError | UnreadableRoot>
    /** Removes those of the given blobs that {@link collectGarbage} would remove; answers which they were. */
    readonly remove: (
      hashes: Iterable<BlobHash>
    ) => Effect.Effect<ReadonlyArray<BlobHash>, BlobStoreError | UnreadableRoot>
  }
>()("@aster-effect/iroh-blobs/BlobStore") {
  /**
   * A store that costs nothing until somebody uses it: it is opened by then, in the directory if there is one. What keeps
   * it from being opened is the cause of a `BlobStoreError`.
   */
  static readonly layer = ({ directory, ...options }: OnDemandOptions = {}): Layer.Layer<BlobStore> =>
    Layer.effect(BlobStore, onDemand(directory === undefined ? inMemory(options) : inDirectory(directory, options)))

  /** The store that is in the context already, or else {@link BlobStore.layer}. */
  static readonly layerIfAbsent = (options: OnDemandOptions = {}): Layer.Layer<BlobStore> =>
    Layer.unwrap(
      Effect.map(
        Effect.serviceOption(BlobStore),
        Option.match({
          onNone: () => BlobStore.layer(options),
          onSome: (store) => Layer.succeed(BlobStore, store)
        })
      )
    )

  /** A store in memory, gone with its scope. */
  static readonly layerMemory = (options: BlobStoreOptions = {}): Layer.Layer<BlobStore> =>
    Layer.effect(BlobStore, inMemory(options))

  /**
   * A store in a directory, which is created if need be and used by one process at a time. Whatever happens to the
   * process, the store holds only verified blobs, and partial ones that can be resumed. Blobs whose record is missing,
   * because the database was lost or is an older copy, are verified and recorded again under tags `recovered/<hash>`.
   */
  static readonly layerDirectory = (
    path: string,
    options: DirectoryOptions = {}
  ): Layer.Layer<BlobStore, BlobStoreUnavailable> => Layer.effect(BlobStore, inDirectory(path, options))
}

const inMemory = (options: BlobStoreOptions) =>
  Effect.flatMap(
    Effect.acquireRelease(Effect.sync(memoryFiles), (files) => Effect.sync(files.close)),
    (files) => makeStore(new Entries(new Metadata(openDatabase(":memory:")), files), options)
  )

const inDirectory = (path: string, options: DirectoryOptions) =>
  Effect.flatMap(openDirectory(path, options.readOnly ?? false), (entries) => makeStore(entries, options))
