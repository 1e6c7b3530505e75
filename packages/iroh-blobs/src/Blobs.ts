/**
 * Blobs as programs use them: add, read, share, download.
 *
 * @since 0.1.0
 */
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Bitfield from "./Bitfield.ts"
import {
  type BlobDamaged,
  type BlobFileError,
  BlobNotFound,
  type BlobStoreError,
  type InvalidRange,
  type MalformedBlob
} from "./BlobError.ts"
import type * as BlobHash from "./BlobHash.ts"
import { type AddedBlob, type BlobStatus, BlobStore, type Tags } from "./BlobStore.ts"
import * as BlobTicket from "./BlobTicket.ts"
import type { ChunkRanges } from "./ChunkRanges.ts"
import type * as Collection from "./Collection.ts"
import { addCollection, readCollection } from "./internal/collections.ts"
import { download, downloadMany } from "./internal/downloading.ts"
import { readFile } from "./internal/files.ts"
import { addFolder, exportBlob, exportCollection } from "./internal/folders.ts"
import { readHashSeq } from "./internal/hashSeqBlob.ts"
import { observe } from "./internal/observing.ts"
import { makePeers } from "./internal/peers.ts"
import { pushTo } from "./internal/push.ts"
import { type ReadError, readRange, streamRange } from "./internal/reading.ts"
import { finishOptions } from "./internal/tagging.ts"
import type { DownloadFailed, TransferError } from "./TransferError.ts"

/** How a new blob is kept. */
export interface AddOptions {
  /** Name of the tag that keeps it; false for none. Default: a new tag named `auto-` and the time. */
  readonly tag?: string | false | undefined
  /** With "hashSeq" the tag also keeps the blobs that this one lists. Default: "raw". */
  readonly format?: BlobHash.BlobFormat | undefined
}

/** How far something has got, in bytes. */
export interface Progress {
  readonly done: number
  /** Absent while it is not known. */
  readonly total?: number | undefined
  /** In the download of a hash sequence: which of the blobs to be fetched is on its way, from 1, and of how many. */
  readonly blob?: { readonly number: number; readonly of: number } | undefined
}

/** Settings that imports, exports and downloads take. */
export interface ProgressOptions {
  /** Called after each piece, of about 256 KiB or more unless a blob is smaller. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/** Bytes from `start` (default 0) to `end` (exclusive; default: the blob's end). */
export interface ByteRange {
  readonly start?: number | undefined
  readonly end?: number | undefined
}

/** Settings of a download. */
export interface DownloadOptions extends ProgressOptions {
  /**
   * Whom to ask, one after the other, after the peer in a ticket and before the usual providers. Peers that have only
   * parts are asked again for as long as they complement each other.
   */
  readonly from?: ReadonlyArray<NodeAddr> | undefined
  /** Only these bytes of the blob, widened to chunk groups of 16 KiB. Default: everything. Of hash sequences always everything. */
  readonly ranges?: ReadonlyArray<ByteRange> | undefined
  /** Tag set at the end; false for none. Default: a new automatic one. */
  readonly tag?: string | false | undefined
  /**
   * Most bytes of the blob; of a hash sequence, of what is fetched of it and all that it lists together. Nothing is taken of
   * a blob that would be more. Default: no limit.
   */
  readonly maxBytes?: number | undefined
  /** How long a peer may take to connect, and be silent, before the next one is asked. Default: 30 seconds. */
  readonly stallTimeout?: Duration.Input | undefined
}

/** What a download took. */
export interface Downloaded extends BlobHash.HashAndFormat {
  /** Bytes of data received; what was there before was not asked for again. */
  readonly received: number
  /** Peers that did not do, and why: a peer that sent wrong data is named here. */
  readonly failures: ReadonlyArray<TransferError>
}

/** A folder that was added as a collection. */
export interface AddedFolder extends AddedBlob {
  /** The collection's entries, in the order of their names. */
  readonly entries: ReadonlyArray<Collection.CollectionEntry>
  /** Bytes of all files. */
  readonly bytes: number
  /** Names of what was left out. */
  readonly skipped: ReadonlyArray<string>
  /** The same, with reasons: symbolic links, for example, and names that are not UTF-8. */
  readonly leftOut: ReadonlyArray<LeftOut>
  /** Names of empty folders, for which a collection has no form. */
  readonly emptyFolders: ReadonlyArray<string>
  /** Names of files that can be executed, which a collection does not say. */
  readonly executables: ReadonlyArray<string>
}

/** A file of a folder. */
export interface FolderFile {
  /** Its path in the folder, with `/` between the parts. */
  readonly name: string
  readonly path: string
}

/** Something that did not go along. */
export interface LeftOut {
  readonly name: string
  /** As in "left out 3 that are neither file nor folder". */
  readonly reason: string
}

/** Settings of the addition of a folder. */
export interface AddFolderOptions extends Pick<AddOptions, "tag">, ProgressOptions {
  /** Asked about every file: answers why it is to be left out, or undefined. Default: none is. */
  readonly leaveOut?: ((file: FolderFile) => Effect.Effect<string | undefined, BlobFileError>) | undefined
}

/** Settings of an export. */
export interface ExportOptions extends ProgressOptions {
  /**
   * Whether files that are there may be replaced; they leave their permissions. Links, devices, pipes and folders never
   * are. Default: false.
   */
  readonly overwrite?: boolean | undefined
}

/** Settings of {@link Blobs}. */
export interface BlobsOptions {
  /** The usual providers: whom every download asks in the end. Default: nobody. */
  readonly providers?: ReadonlyArray<NodeAddr> | undefined
}

/** Settings of a download of several blobs. */
export interface DownloadManyOptions extends Pick<DownloadOptions, "from" | "onProgress" | "stallTimeout"> {
  /** False for no tags. Default: a new automatic one for each. */
  readonly tag?: false | undefined
  /** Most bytes of each blob. Nothing is taken of one that has more. Default: no limit. */
  readonly maxBytes?: ((hash: BlobHash.BlobHash) => number) | undefined
}

/** What a download of several blobs took. */
export type DownloadedMany = Pick<Downloaded, "received" | "failures">

/** What a peer says to have: the chunks that are there, and the size, proven only if the last chunk is among them. */
export interface Observation {
  readonly size: number
  readonly ranges: ChunkRanges
}

/** What names a blob: its ticket, its hash, or both as text. */
export type BlobName = string | BlobTicket.BlobTicket | BlobHash.HashAndFormat

export type { ReadError } from "./internal/reading.ts"

/** Blobs of this node and its peers. */
export class Blobs extends Context.Service<
  Blobs,
  {
    /** Adds a blob that is in memory. */
    readonly addBytes: (bytes: Uint8Array, options?: AddOptions) => Effect.Effect<AddedBlob, BlobStoreError>
    /** Adds what a stream gives, without ever holding it all. Chunks must not be changed afterwards. */
    readonly addStream: <E, R>(
      stream: Stream.Stream<Uint8Array, E, R>,
      options?: AddOptions
    ) => Effect.Effect<AddedBlob, E | BlobStoreError, R>
    /** Copies a file into the store; what is no regular file is refused. */
    readonly addPath: (
      path: string,
      options?: AddOptions & ProgressOptions
    ) => Effect.Effect<AddedBlob, BlobFileError | BlobStoreError>
    /**
     * Copies all files of a folder into the store, and names them together by their paths in it. The answer is a
     * collection: share and download it with the format "hashSeq". What cannot go along is left out, and said.
     */
    readonly addFolder: (
      path: string,
      options?: AddFolderOptions
    ) => Effect.Effect<AddedFolder, BlobFileError | BlobStoreError | MalformedBlob>
    /** Bytes in one piece; for large blobs see `stream`. */
    readonly read: (hash: BlobHash.BlobHash, range?: ByteRange) => Effect.Effect<Uint8Array, ReadError>
    /** Bytes in pieces of up to 256 KiB. The blob is kept while the stream runs. */
    readonly stream: (hash: BlobHash.BlobHash, range?: ByteRange) => Stream.Stream<Uint8Array, ReadError>
    /** Whether all of a blob is here. */
    readonly has: (hash: BlobHash.BlobHash) => Effect.Effect<boolean, BlobStoreError>
    readonly status: (hash: BlobHash.BlobHash) => Effect.Effect<BlobStatus, BlobStoreError>
    readonly list: BlobStore["Service"]["list"]
    /** Writes a blob, verified, to a new file, which appears whole or not at all. Folders on the way are made. */
    readonly export: (
      hash: BlobHash.BlobHash,
      path: string,
      options?: ExportOptions
    ) => Effect.Effect<void, BlobFileError | ReadError>
    /** A ticket by which others can download a blob that is here, from this node. */
    readonly share: (
      content: BlobHash.BlobHash | BlobHash.HashAndFormat
    ) => Effect.Effect<string, BlobNotFound | BlobStoreError>
    /**
     * Gets what is missing of a blob, or of a hash sequence and all that it lists. Every piece is verified, those that are
     * here as well; a peer that fails or lies is left, and the next one asked for the rest. What was received stays when
     * this fails.
     */
    readonly download: (
      name: BlobName,
      options?: DownloadOptions
    ) => Effect.Effect<Downloaded, DownloadFailed | BlobStoreError | MalformedBlob | InvalidRange>
    /** Gets what is missing of several blobs, from each peer as much as it has, with few requests. */
    readonly downloadMany: (
      hashes: Iterable<BlobHash.BlobHash>,
      options?: DownloadManyOptions
    ) => Effect.Effect<DownloadedMany, DownloadFailed | BlobStoreError>
    /** Sends a blob, or a hash sequence and all that it lists, to a peer that permits it. */
    readonly push: (
      content: BlobHash.HashAndFormat,
      to: NodeAddr
    ) => Effect.Effect<void, TransferError | BlobNotFound | BlobDamaged | BlobStoreError | MalformedBlob>
    /** What a peer says to have of a blob, now and as it changes. */
    readonly observe: (hash: BlobHash.BlobHash, at: NodeAddr) => Stream.Stream<Observation, TransferError>
    /** Names blobs together. The answer is a hash sequence: share and download it as such. */
    readonly addCollection: (
      entries: Iterable<Collection.CollectionEntry>,
      options?: Pick<AddOptions, "tag">
    ) => Effect.Effect<AddedBlob, BlobStoreError | MalformedBlob>
    /** The entries of a collection that is here. */
    readonly collection: (
      hash: BlobHash.BlobHash
    ) => Effect.Effect<ReadonlyArray<Collection.CollectionEntry>, ReadError | MalformedBlob>
    /**
     * Writes a collection's blobs into a folder. Names that would lead out of it or into one another are refused before
     * anything is written, and so are files that are there; links below the folder are not followed.
     */
    readonly exportCollection: (
      hash: BlobHash.BlobHash,
      directory: string,
      options?: ExportOptions
    ) => Effect.Effect<void, BlobFileError | ReadError | MalformedBlob>
    readonly tags: Tags
    /** Removes what is neither tagged nor in use; nothing while it is not known what a tag keeps. */
    readonly collectGarbage: BlobStore["Service"]["collectGarbage"]
    /** Reads all that is here of a blob against its hash. Damage counts as missing from then on. */
    readonly verify: BlobStore["Service"]["verify"]
    /** Removes those of the given blobs that are neither tagged nor in use; answers which they were. */
    readonly remove: BlobStore["Service"]["remove"]
  }
>()("@aster-effect/iroh-blobs/Blobs") {
  /** Blobs in the given store, shared through the given node. Serving them is up to `BlobsProtocol.handler`. */
  static readonly layer: Layer.Layer<Blobs, never, BlobStore | IrohNode> = Layer.suspend(() => Blobs.layerWith({}))

  /** The same, with settings. */
  static readonly layerWith = (options: BlobsOptions): Layer.Layer<Blobs, never, BlobStore | IrohNode> =>
    Layer.effect(Blobs, make(options))
}

const make = Effect.fnUntraced(function* ({
  providers = []
}: BlobsOptions): Effect.fn.Return<Blobs["Service"], never, BlobStore | IrohNode | Scope.Scope> {
  const store = yield* BlobStore
  const node = yield* IrohNode
  const peers = yield* makePeers(node, providers)

  const addStream = <E, R>(
    stream: Stream.Stream<Uint8Array, E, R>,
    options?: AddOptions
  ): Effect.Effect<AddedBlob, E | BlobStoreError, R> =>
    Effect.flatMap(store.create, (writer) =>
      Effect.andThen(Stream.runForEach(stream, writer.write), writer.finish(finishOptions(options)))
    ).pipe(Effect.scoped, Effect.withSpan("Blobs.addStream"))

  const share = Effect.fn("Blobs.share")(function* (content: BlobHash.BlobHash | BlobHash.HashAndFormat) {
    const { format, hash } = typeof content === "string" ? ({ hash: content, format: "raw" } as const) : content
    if (!Bitfield.isComplete(yield* store.bitfield(hash))) return yield* new BlobNotFound({ hash })
    return BlobTicket.encode({ addr: yield* node.address, hash, format })
  })

  const push = Effect.fn("Blobs.push")(function* (content: BlobHash.HashAndFormat, to: NodeAddr) {
    yield* store.protect(content)
    const children = content.format === "raw" ? [] : yield* readHashSeq(store, content.hash)
    yield* pushTo(store, yield* peers.dial(to, content.hash), content, children)
  }, Effect.scoped)

  return {
    addBytes: (bytes, options) => addStream(Stream.succeed(bytes), options),
    addStream,
    addPath: (path, options) =>
      addStream(readFile(path, options?.onProgress, { follow: true }), options).pipe(Effect.withSpan("Blobs.addPath")),
    addFolder: Effect.fn("Blobs.addFolder")((path, options) => addFolder(store, path, options)),
    read: Effect.fn("Blobs.read")((hash, range) => readRange(store, hash, range)),
    stream: (hash, range) => streamRange(store, hash, range),
    has: (hash) => Effect.map(store.bitfield(hash), Bitfield.isComplete),
    status: store.status,
    list: store.list,
    export: Effect.fn("Blobs.export")((hash, path, options) => exportBlob(store, hash, path, options)),
    share,
    download: Effect.fn("Blobs.download")((name, options = {}) => download(store, peers, name, options)),
    downloadMany: Effect.fn("Blobs.downloadMany")((hashes, options = {}) =>
      downloadMany(store, peers, hashes, options)
    ),
    push,
    observe: (hash, at) => observe(peers, hash, at),
    addCollection: Effect.fn("Blobs.addCollection")((entries, options) => addCollection(store, entries, options)),
    collection: Effect.fn("Blobs.collection")((hash) => readCollection(store, hash)),
    exportCollection: Effect.fn("Blobs.exportCollection")((hash, directory, options) =>
      exportCollection(store, hash, directory, options)
    ),
    tags: store.tags,
    collectGarbage: store.collectGarbage,
    verify: store.verify,
    remove: store.remove
  }
})
