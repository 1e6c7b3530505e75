/**
 * Blobs as programs use them: add, read, share, download.
 *
 * @since 0.1.0
 */
import type { Connection } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { Context, type Duration, Effect, Layer, Option, Queue, RcMap, Result, Scope, Stream } from "effect"
import { type BlobFileError, BlobNotFound, type BlobStoreError, MalformedBlob, RangeNotFound } from "./BlobError.ts"
import { type AddedBlob, type BlobStatus, BlobStore, type Tags } from "./BlobStore.ts"
import { ALPN } from "./BlobsProtocol.ts"
import { readDelimited } from "./internal/byteReader.ts"
import { exchange, fetchMany, fetchMissing, missing } from "./internal/fetch.ts"
import * as files from "./internal/files.ts"
import { readHashSeq } from "./internal/hashSeqBlob.ts"
import { pushTo } from "./internal/push.ts"
import { connectionFailure, failureOf, type ReceiveOptions } from "./internal/receive.ts"
import * as Bitfield from "./proto/Bitfield.ts"
import * as BlobHash from "./proto/BlobHash.ts"
import * as BlobTicket from "./proto/BlobTicket.ts"
import * as ChunkRanges from "./proto/ChunkRanges.ts"
import * as Collection from "./proto/Collection.ts"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { DownloadFailed, TransferError, type TransferFailure } from "./TransferError.ts"

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
  readonly from?: ReadonlyArray<NodeAddr.NodeAddr> | undefined
  /** Only these bytes of the blob, widened to chunk groups of 16 KiB. Default: everything. Of hash sequences always everything. */
  readonly ranges?: ReadonlyArray<ByteRange> | undefined
  /** Tag set at the end; false for none. Default: a new automatic one. */
  readonly tag?: string | false | undefined
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
  /** Names of what was left out because it is neither file nor folder, such as symbolic links. */
  readonly skipped: ReadonlyArray<string>
}

/** Settings of {@link Blobs}. */
export interface BlobsOptions {
  /** The usual providers: whom every download asks in the end. Default: nobody. */
  readonly providers?: ReadonlyArray<NodeAddr.NodeAddr> | undefined
}

/** Settings of a download of several blobs. */
export interface DownloadManyOptions extends Pick<DownloadOptions, "from" | "onProgress" | "stallTimeout"> {
  /** False for no tags. Default: a new automatic one for each. */
  readonly tag?: false | undefined
}

/** What a download of several blobs took. */
export type DownloadedMany = Pick<Downloaded, "received" | "failures">

/** What names a blob: its ticket, its hash, or both as text. */
export type BlobName = string | BlobTicket.BlobTicket | BlobHash.HashAndFormat

type ReadError = BlobNotFound | RangeNotFound | BlobStoreError

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
    /** Copies a file into the store. */
    readonly addPath: (
      path: string,
      options?: AddOptions & ProgressOptions
    ) => Effect.Effect<AddedBlob, BlobFileError | BlobStoreError>
    /**
     * Copies all files of a folder into the store, and names them together by their paths in it. The answer is a
     * collection: share and download it with the format "hashSeq". A name that not every system can write is refused.
     */
    readonly addFolder: (
      path: string,
      options?: Pick<AddOptions, "tag"> & ProgressOptions
    ) => Effect.Effect<AddedFolder, BlobFileError | BlobStoreError | MalformedBlob>
    /** Bytes in one piece; for large blobs see `stream`. */
    readonly read: (hash: BlobHash.BlobHash, range?: ByteRange) => Effect.Effect<Uint8Array, ReadError>
    /** Bytes in pieces of up to 256 KiB. The blob is kept while the stream runs. */
    readonly stream: (hash: BlobHash.BlobHash, range?: ByteRange) => Stream.Stream<Uint8Array, ReadError>
    /** Whether all of a blob is here. */
    readonly has: (hash: BlobHash.BlobHash) => Effect.Effect<boolean, BlobStoreError>
    readonly status: (hash: BlobHash.BlobHash) => Effect.Effect<BlobStatus, BlobStoreError>
    readonly list: BlobStore["Service"]["list"]
    /** Writes a blob to a file, which appears whole or not at all. Folders on the way are made. */
    readonly export: (
      hash: BlobHash.BlobHash,
      path: string,
      options?: ProgressOptions
    ) => Effect.Effect<void, BlobFileError | ReadError>
    /** A ticket by which others can download a blob that is here, from this node. */
    readonly share: (
      content: BlobHash.BlobHash | BlobHash.HashAndFormat
    ) => Effect.Effect<string, BlobNotFound | BlobStoreError>
    /**
     * Gets what is missing of a blob, or of a hash sequence and all that it lists. Every piece is verified; a peer that
     * fails or lies is left, and the next one asked for the rest. What was received stays when this fails.
     */
    readonly download: (
      name: BlobName,
      options?: DownloadOptions
    ) => Effect.Effect<Downloaded, DownloadFailed | BlobStoreError | MalformedBlob>
    /** Gets what is missing of several blobs, from each peer as much as it has, with few requests. */
    readonly downloadMany: (
      hashes: Iterable<BlobHash.BlobHash>,
      options?: DownloadManyOptions
    ) => Effect.Effect<DownloadedMany, DownloadFailed | BlobStoreError>
    /** Sends a blob, or a hash sequence and all that it lists, to a peer that permits it. */
    readonly push: (
      content: BlobHash.HashAndFormat,
      to: NodeAddr.NodeAddr
    ) => Effect.Effect<void, TransferError | BlobNotFound | BlobStoreError | MalformedBlob>
    /** What a peer says to have of a blob, now and as it changes. */
    readonly observe: (hash: BlobHash.BlobHash, at: NodeAddr.NodeAddr) => Stream.Stream<Observation, TransferError>
    /** Names blobs together. The answer is a hash sequence: share and download it as such. */
    readonly addCollection: (
      entries: Iterable<Collection.CollectionEntry>,
      options?: Pick<AddOptions, "tag">
    ) => Effect.Effect<AddedBlob, BlobStoreError>
    /** The entries of a collection that is here. */
    readonly collection: (
      hash: BlobHash.BlobHash
    ) => Effect.Effect<ReadonlyArray<Collection.CollectionEntry>, ReadError | MalformedBlob>
    /** Writes a collection's blobs into a folder. Names that would lead out of it are refused before anything is written. */
    readonly exportCollection: (
      hash: BlobHash.BlobHash,
      directory: string,
      options?: ProgressOptions
    ) => Effect.Effect<void, BlobFileError | ReadError | MalformedBlob>
    readonly tags: Tags
    /** Removes what is neither tagged nor in use. */
    readonly collectGarbage: BlobStore["Service"]["collectGarbage"]
  }
>()("@aster-effect/iroh-blobs/Blobs") {
  /** Blobs in the given store, shared through the given node. Serving them is up to `BlobsProtocol.handler`. */
  static readonly layer: Layer.Layer<Blobs, never, BlobStore | IrohNode> = Layer.suspend(() => Blobs.layerWith({}))

  /** The same, with settings. */
  static readonly layerWith = (options: BlobsOptions): Layer.Layer<Blobs, never, BlobStore | IrohNode> =>
    Layer.effect(Blobs, make(options))
}

const READ_SIZE = 262_144
const MAX_OBSERVED = 1_048_576
/** Names are read into memory. */
const MAX_NAMES_SIZE = 64 * 1_048_576

const make = Effect.fnUntraced(function* ({
  providers = []
}: BlobsOptions): Effect.fn.Return<Blobs["Service"], never, BlobStore | IrohNode | Scope.Scope> {
  const store = yield* BlobStore
  const node = yield* IrohNode
  const openConnection = (addr: NodeAddr.NodeAddr) =>
    Effect.acquireRelease(node.connect(addr, ALPN), (connection) => connection.close(0, "done"), {
      interruptible: true
    })
  const connections = yield* RcMap.make({ lookup: openConnection, idleTimeToLive: "10 seconds" })

  const finishOptions = ({ format, tag }: AddOptions = {}) => ({
    format,
    tag: tag === false ? undefined : (tag ?? "auto")
  })

  const addBytes = Effect.fn("Blobs.addBytes")(function* (
    bytes: Uint8Array,
    options?: AddOptions
  ): Effect.fn.Return<AddedBlob, BlobStoreError, Scope.Scope> {
    const writer = yield* store.create
    yield* writer.write(bytes)
    return yield* writer.finish(finishOptions(options))
  }, Effect.scoped)

  const addStream = <E, R>(
    stream: Stream.Stream<Uint8Array, E, R>,
    options?: AddOptions
  ): Effect.Effect<AddedBlob, E | BlobStoreError, R> =>
    Effect.flatMap(store.create, (writer) =>
      Effect.andThen(Stream.runForEach(stream, writer.write), writer.finish(finishOptions(options)))
    ).pipe(Effect.scoped, Effect.withSpan("Blobs.addStream"))

  /** Opens a range for reading; answers its first byte and the byte after its last. */
  const openRange = Effect.fnUntraced(function* (hash: BlobHash.BlobHash, { end, start = 0 }: ByteRange = {}) {
    const blob = yield* store.open(hash)
    const { ranges, size } = blob.bitfield()
    const stop = end ?? size
    const wanted = ChunkRanges.fromBytes(start, stop)
    const lacking = ChunkRanges.difference(wanted, ranges)
    if (start < 0 || stop > size) return yield* new RangeNotFound({ hash, offset: Math.max(0, Math.min(start, size)) })
    if (lacking.length > 0) {
      if (start === 0 && end === undefined) return yield* new BlobNotFound({ hash })
      return yield* new RangeNotFound({ hash, offset: Math.max(start, lacking[0]! * 1024) })
    }
    return { blob, start, stop }
  })

  const read = Effect.fn("Blobs.read")(function* (hash: BlobHash.BlobHash, range?: ByteRange) {
    const { blob, start, stop } = yield* openRange(hash, range)
    return yield* blob.read("data", start, Math.max(0, stop - start))
  }, Effect.scoped)

  const stream = (hash: BlobHash.BlobHash, range?: ByteRange): Stream.Stream<Uint8Array, ReadError> =>
    Stream.unwrap(
      Effect.map(openRange(hash, range), ({ blob, start, stop }) =>
        Stream.paginate(start, (at) => {
          const length = Math.min(READ_SIZE, stop - at)
          if (length <= 0) return Effect.succeed([[], Option.none()] as const)
          return Effect.map(
            blob.read("data", at, length),
            (bytes) => [[bytes], at + length < stop ? Option.some(at + length) : Option.none()] as const
          )
        })
      )
    )

  const exportBlob = Effect.fn("Blobs.export")(function* (
    hash: BlobHash.BlobHash,
    path: string,
    options?: ProgressOptions
  ) {
    const { blob, stop } = yield* openRange(hash)
    yield* files.writeFile(path, stop, (at, length) => blob.read("data", at, length), options?.onProgress)
  }, Effect.scoped)

  const collection = Effect.fn("Blobs.collection")(function* (hash: BlobHash.BlobHash) {
    const root = yield* readHashSeq(store, hash)
    if (root.length === 0) return yield* new MalformedBlob({ problem: `blob ${hash} is empty, not a collection` })
    const { size } = yield* store.bitfield(root.at(0))
    if (size > MAX_NAMES_SIZE) return yield* new MalformedBlob({ problem: `the collection's names take ${size} bytes` })
    const names = yield* read(root.at(0))
    return yield* parsed(() => Collection.entries(root, Collection.decodeNames(names, root.length - 1)))
  })

  const addCollection = Effect.fn("Blobs.addCollection")(function* (
    entries: Iterable<Collection.CollectionEntry>,
    options?: Pick<AddOptions, "tag">
  ) {
    const list = [...entries]
    const names = yield* store.create
    yield* names.write(Collection.encodeNames(list.map(({ name }) => name)))
    // Held by this scope until the root, which keeps it, is tagged.
    const { hash } = yield* names.finish()
    return yield* addBytes(
      Collection.root(
        hash,
        list.map((entry) => entry.hash)
      ).bytes,
      { ...options, format: "hashSeq" }
    )
  }, Effect.scoped)

  /** Adds a file that is kept for as long as the given scope, with its name. */
  const addFile = Effect.fnUntraced(function* (
    { name, path }: files.Folder["files"][number],
    scope: Scope.Scope,
    onBytes: (bytes: number) => Effect.Effect<void>
  ): Effect.fn.Return<Collection.CollectionEntry, BlobFileError | BlobStoreError, Scope.Scope> {
    const writer = yield* store.create
    yield* Stream.runForEach(files.readFile(path, undefined), (bytes) =>
      Effect.andThen(writer.write(bytes), onBytes(bytes.length))
    )
    const { hash } = yield* writer.finish()
    yield* store.protect({ hash, format: "raw" }).pipe(Scope.provide(scope))
    return { name, hash }
  }, Effect.scoped)

  const addFolder = Effect.fn("Blobs.addFolder")(function* (
    path: string,
    options?: Pick<AddOptions, "tag"> & ProgressOptions
  ): Effect.fn.Return<AddedFolder, BlobFileError | BlobStoreError | MalformedBlob, Scope.Scope> {
    const scope = yield* Effect.scope
    const folder = yield* files.readFolder(path)
    yield* parsed(() => folder.files.forEach(({ name }) => Collection.safePath(name)))
    const total = yield* files.sizeOf(folder.files.map((file) => file.path))
    let done = 0
    const onBytes = (bytes: number) => {
      done += bytes
      return options?.onProgress?.({ done, total }) ?? Effect.void
    }
    // Several at a time share the waits for the disk.
    const entries = yield* Effect.forEach(folder.files, (file) => addFile(file, scope, onBytes), { concurrency: 4 })
    const added = yield* addCollection(entries, options)
    return { ...added, entries, bytes: done, skipped: folder.others }
  }, Effect.scoped)

  const exportCollection = Effect.fn("Blobs.exportCollection")(function* (
    hash: BlobHash.BlobHash,
    directory: string,
    { onProgress }: ProgressOptions = {}
  ) {
    const entries = yield* collection(hash)
    const paths = yield* parsed(() => entries.map(({ name }) => files.join(directory, Collection.safePath(name))))
    const bitfields = yield* Effect.forEach(entries, ({ hash }) => store.bitfield(hash))
    const total = bitfields.reduce((sum, { size }) => sum + size, 0)
    let before = 0
    for (const [i, { hash }] of entries.entries()) {
      yield* exportBlob(hash, paths[i]!, {
        onProgress: ({ done }) => onProgress?.({ done: before + done, total }) ?? Effect.void
      })
      before += bitfields[i]!.size
    }
  })

  const share = Effect.fn("Blobs.share")(function* (content: BlobHash.BlobHash | BlobHash.HashAndFormat) {
    const { format, hash } = typeof content === "string" ? ({ hash: content, format: "raw" } as const) : content
    if (!Bitfield.isComplete(yield* store.bitfield(hash))) return yield* new BlobNotFound({ hash })
    return BlobTicket.encode({ addr: yield* node.address, hash, format })
  })

  /** A connection from the pool, which may hold one that has ended since. */
  const connect = Effect.fnUntraced(function* (
    addr: NodeAddr.NodeAddr,
    hash: BlobHash.BlobHash,
    timeout: Duration.Input
  ): Effect.fn.Return<Connection, TransferError, Scope.Scope> {
    const fail = (reason: TransferFailure) => new TransferError({ peer: addr.endpointId, hash, reason })
    const get = RcMap.get(connections, addr).pipe(
      Effect.mapError((cause) => fail(connectionFailure(cause))),
      Effect.timeoutOrElse({ duration: timeout, orElse: () => fail({ _tag: "Stalled" }) })
    )
    const connection = yield* get
    if (!connection.isClosed()) return connection
    yield* RcMap.invalidate(connections, addr)
    return yield* get
  })

  /** Asks one peer after the other until one of them says that nothing is missing any more. */
  const askPeers = Effect.fnUntraced(function* <E>(
    hash: BlobHash.BlobHash,
    among: ReadonlyArray<NodeAddr.NodeAddr>,
    receiving: Omit<ReceiveOptions, "peer">,
    received: () => number,
    fetch: (connection: Connection, receiving: ReceiveOptions) => Effect.Effect<void, TransferError | E>
  ): Effect.fn.Return<{ readonly complete: boolean; readonly failures: ReadonlyArray<TransferError> }, E> {
    const failures = new Map<EndpointId, TransferError>()
    const peers = distinct([...among, ...providers]).map((peer) => ({ peer, left: -1 }))
    while (true) {
      // Who lacked what came next may have what comes after it, once somebody else has filled the gap.
      const index = peers.findIndex(({ left }) => left < received())
      if (index < 0) return { complete: false, failures: [...failures.values()] }
      const { peer } = peers.splice(index, 1)[0]!
      const result = yield* Effect.result(
        Effect.scoped(
          Effect.flatMap(connect(peer, hash, receiving.stallTimeout), (connection) =>
            fetch(connection, { ...receiving, peer: connection.remoteId })
          )
        )
      )
      failures.delete(peer.endpointId)
      if (Result.isSuccess(result)) return { complete: true, failures: [...failures.values()] }
      const error = result.failure
      if (!(error instanceof TransferError)) return yield* Effect.fail(error)
      failures.set(peer.endpointId, error)
      if (error.reason._tag === "NotFound") peers.push({ peer, left: received() })
    }
  })

  const downloadMany = Effect.fn("Blobs.downloadMany")(function* (
    hashes: Iterable<BlobHash.BlobHash>,
    options: DownloadManyOptions = {}
  ): Effect.fn.Return<DownloadedMany, DownloadFailed | BlobStoreError, Scope.Scope> {
    const wanted = [...new Set(hashes)]
    yield* Effect.forEach(wanted, (hash) => store.protect({ hash, format: "raw" }), { discard: true })
    let received = 0
    let blob: Progress["blob"]
    const receiving = {
      stallTimeout: options.stallTimeout ?? "30 seconds",
      onBlob: (number: number, of: number) => {
        blob = { number, of }
      },
      onData: (bytes: number) => {
        received += bytes
        return options.onProgress?.({ done: received, blob }) ?? Effect.void
      }
    }
    const firstMissing = Effect.gen(function* () {
      for (const hash of wanted) if (!Bitfield.isComplete(yield* store.bitfield(hash))) return hash
      return undefined
    })
    let failures: ReadonlyArray<TransferError> = []
    const before = yield* firstMissing
    if (before !== undefined) {
      const asked = yield* askPeers(
        before,
        options.from ?? [],
        receiving,
        () => received,
        (connection, receiving) => fetchMany(store, connection, wanted, receiving)
      )
      failures = asked.failures
      const hash = yield* firstMissing
      if (hash !== undefined) return yield* new DownloadFailed({ hash, failures })
    }
    if (options.tag !== false) {
      yield* Effect.forEach(wanted, (hash) => store.tags.create({ hash, format: "raw" }), { discard: true })
    }
    return { received, failures }
  }, Effect.scoped)

  const download = Effect.fn("Blobs.download")(
    function* (
      name: BlobName,
      options: DownloadOptions = {}
    ): Effect.fn.Return<Downloaded, DownloadFailed | BlobNotFound | BlobStoreError | MalformedBlob, Scope.Scope> {
      const { addr, format, hash } = yield* parsed(() => parseName(name))
      const content = { hash, format }
      // From here on nothing takes away what arrives: that the root is not found would be a bug.
      yield* store.protect(content)
      const ranges = format === "hashSeq" ? [{}] : (options.ranges ?? [{}])
      const wanted = ranges
        .map(({ end, start = 0 }: ByteRange) => ChunkRanges.fromBytes(start, end))
        .reduce(ChunkRanges.union, ChunkRanges.empty)
      let received = 0
      const wants = missing(yield* store.bitfield(hash), wanted)
      let blob: Progress["blob"]
      const receiving = {
        stallTimeout: options.stallTimeout ?? "30 seconds",
        onBlob: (number: number, of: number) => {
          blob = { number, of }
        },
        onData: (bytes: number, size: number) => {
          received += bytes
          const total = format === "raw" ? bytesOf(wants, size) : undefined
          return options.onProgress?.({ done: received, total, blob }) ?? Effect.void
        }
      }
      const peers = [...(addr === undefined ? [] : [addr]), ...(options.from ?? [])]
      const { complete, failures } = (yield* isComplete(content, wanted))
        ? { complete: true, failures: [] }
        : yield* askPeers(
            hash,
            peers,
            receiving,
            () => received,
            (connection, receiving) => fetchMissing(store, connection, content, wanted, receiving)
          )
      if (!complete) return yield* new DownloadFailed({ hash, failures })
      const tag = finishOptions(options).tag
      if (tag === "auto") yield* store.tags.create(content)
      else if (tag !== undefined) yield* store.tags.set(tag, content)
      return { ...content, received, failures }
    },
    Effect.scoped,
    Effect.catchTag("BlobNotFound", Effect.die)
  )

  const isComplete = Effect.fnUntraced(function* (content: BlobHash.HashAndFormat, wanted: ChunkRanges.ChunkRanges) {
    if (missing(yield* store.bitfield(content.hash), wanted).length > 0) return false
    if (content.format === "raw") return true
    for (const hash of yield* readHashSeq(store, content.hash)) {
      if (!Bitfield.isComplete(yield* store.bitfield(hash))) return false
    }
    return true
  })

  /** A connection of its own: leaving closes it. */
  const dial = (addr: NodeAddr.NodeAddr, hash: BlobHash.BlobHash) =>
    Effect.mapError(
      openConnection(addr),
      (cause) => new TransferError({ peer: addr.endpointId, hash, reason: connectionFailure(cause) })
    )

  const observe = (hash: BlobHash.BlobHash, at: NodeAddr.NodeAddr) =>
    Stream.callback<Observation, TransferError>((queue) =>
      Effect.flatMap(dial(at, hash), (connection) => observeOn(connection, hash, queue)).pipe(
        Effect.catch((error) => Queue.fail(queue, error))
      )
    )

  const push = Effect.fn("Blobs.push")(function* (content: BlobHash.HashAndFormat, to: NodeAddr.NodeAddr) {
    yield* store.protect(content)
    const children = content.format === "raw" ? [] : yield* readHashSeq(store, content.hash)
    yield* pushTo(store, yield* connect(to, content.hash, "30 seconds"), content, children)
  }, Effect.scoped)

  return {
    addBytes,
    addStream,
    addPath: (path, options) =>
      addStream(files.readFile(path, options?.onProgress), options).pipe(Effect.withSpan("Blobs.addPath")),
    read,
    stream,
    has: (hash) => Effect.map(store.bitfield(hash), Bitfield.isComplete),
    status: store.status,
    list: store.list,
    export: exportBlob,
    share,
    download,
    downloadMany,
    push,
    observe,
    addCollection,
    addFolder,
    collection,
    exportCollection,
    tags: store.tags,
    collectGarbage: store.collectGarbage
  }
})

/** Bytes that chunk ranges hold of a blob of `size` bytes. */
const bytesOf = (ranges: ChunkRanges.ChunkRanges, size: number): number => {
  const selected = ChunkRanges.select(ranges, Bitfield.chunksOf(size))
  let sum = 0
  for (let i = 0; i < selected.length; i += 2) sum += Math.min(selected[i + 1]! * 1024, size) - selected[i]! * 1024
  return sum
}

/** What a peer says to have: the chunks that are there, and the size, proven only if the last chunk is among them. */
export interface Observation {
  readonly size: number
  readonly ranges: ChunkRanges.ChunkRanges
}

const observeOn = (
  connection: Connection,
  hash: BlobHash.BlobHash,
  queue: Queue.Enqueue<Observation, TransferError>
) => {
  const failed = (reason: TransferFailure) => new TransferError({ peer: connection.remoteId, hash, reason })
  const request = { _tag: "Observe", hash, ranges: ChunkRanges.all } as const
  return exchange(
    connection,
    hash,
    request,
    "30 seconds",
    Effect.fnUntraced(function* (reader) {
      let ranges = ChunkRanges.empty
      while (true) {
        const item = yield* Effect.mapError(readDelimited(reader, Bitfield.MAX_ITEM_SIZE), (e) => failed(failureOf(e)))
        if (item === undefined) return yield* failed({ _tag: "BrokenOff" })
        const change = yield* Effect.mapError(
          parsed(() => Bitfield.decodeItem(item)),
          () => failed({ _tag: "BrokenOff" })
        )
        ranges = ChunkRanges.symmetricDifference(ranges, change.ranges)
        // No blob has so many holes; a peer that says so wants our memory.
        if (ranges.length > MAX_OBSERVED) return yield* failed({ _tag: "BrokenOff" })
        yield* Queue.offer(queue, { size: change.size, ranges })
      }
    })
  )
}

/** Each peer once, where it comes first, with all that is known of its addresses. */
const distinct = (addrs: ReadonlyArray<NodeAddr.NodeAddr>): ReadonlyArray<NodeAddr.NodeAddr> => {
  const peers = new Map<string, NodeAddr.NodeAddr>()
  for (const addr of addrs) {
    const known = peers.get(addr.endpointId)
    peers.set(addr.endpointId, known === undefined ? addr : NodeAddr.union(known, addr))
  }
  return [...peers.values()]
}

/** Runs a parser; what it cannot read becomes the typed error. */
const parsed = <A>(parse: () => A): Effect.Effect<A, MalformedBlob> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(parse())
    } catch (error) {
      return error instanceof Malformed ? new MalformedBlob({ problem: error.message }) : Effect.die(error)
    }
  })

const parseName = (name: BlobName): BlobHash.HashAndFormat & { readonly addr?: NodeAddr.NodeAddr | undefined } => {
  if (typeof name !== "string") return name
  return name.startsWith("blob") ? BlobTicket.decode(name) : BlobHash.parseWithFormat(name)
}
