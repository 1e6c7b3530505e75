import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bitfield from "../Bitfield.ts"
import { BlobStoreError, type InvalidRange, type MalformedBlob } from "../BlobError.ts"
import * as BlobHash from "../BlobHash.ts"
import type { BlobName, Downloaded, DownloadedMany, DownloadManyOptions, DownloadOptions, Progress } from "../Blobs.ts"
import type { BlobStore } from "../BlobStore.ts"
import * as BlobTicket from "../BlobTicket.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import { DownloadFailed, type TransferError } from "../TransferError.ts"
import { fetchMany, fetchMissing, missing } from "./fetch.ts"
import { readHashSeq } from "./hashSeqBlob.ts"
import { parsed } from "./parsed.ts"
import type { Peers } from "./peers.ts"
import { validRange } from "./reading.ts"
import type { ReceiveOptions } from "./receive.ts"
import { keep } from "./tagging.ts"

type Store = BlobStore["Service"]

/** Counts what arrives, and reports it. `total`: what is to arrive, for a blob that is said to have `size` bytes. */
class Receiving {
  received = 0
  readonly #verified = new Set<BlobHash.BlobHash>()
  #blob: Progress["blob"]
  readonly options: Omit<ReceiveOptions, "peer">

  constructor(
    store: Store,
    { onProgress, stallTimeout = "30 seconds" }: Pick<DownloadOptions, "onProgress" | "stallTimeout">,
    limit: ReceiveOptions["limit"],
    total?: (size: number) => number | undefined
  ) {
    this.options = {
      stallTimeout,
      limit,
      // What was here may have been damaged meanwhile; what arrives now is not read again.
      verify: (hash) => {
        if (this.#verified.has(hash)) return Effect.void
        this.#verified.add(hash)
        return store.verify(hash)
      },
      onBlob: (number, of) => {
        this.#blob = { number, of }
      },
      onData: (bytes, size) => {
        this.received += bytes
        const progress = { done: this.received, blob: this.#blob }
        return onProgress?.(total === undefined ? progress : { ...progress, total: total(size) }) ?? Effect.void
      }
    }
  }
}

/** A limit of several blobs together. */
const togetherAtMost = (maxBytes: number): ReceiveOptions["limit"] => {
  const sizes = new Map<BlobHash.BlobHash, number>()
  let sum = 0
  return (hash, size) => {
    const others = sum - (sizes.get(hash) ?? 0)
    if (others + size > maxBytes) return Math.max(0, maxBytes - others)
    sizes.set(hash, size)
    sum = others + size
    return undefined
  }
}

/** Gets what is missing of several blobs. */
export const downloadMany = Effect.fnUntraced(function* (
  store: Store,
  peers: Peers,
  hashes: Iterable<BlobHash.BlobHash>,
  options: DownloadManyOptions
): Effect.fn.Return<DownloadedMany, DownloadFailed | BlobStoreError, Scope.Scope> {
  const wanted = [...new Set(hashes)]
  yield* Effect.forEach(wanted, (hash) => store.protect({ hash, format: "raw" }), { discard: true })
  const { maxBytes } = options
  const receiving = new Receiving(store, options, (hash, size) => {
    const limit = maxBytes?.(hash) ?? Infinity
    return size > limit ? limit : undefined
  })
  yield* Effect.forEach(wanted, receiving.options.verify, { discard: true })
  const firstMissing = Effect.gen(function* () {
    for (const hash of wanted) if (!Bitfield.isComplete(yield* store.bitfield(hash))) return hash
    return undefined
  })
  let failures: ReadonlyArray<TransferError> = []
  const before = yield* firstMissing
  if (before !== undefined) {
    const asked = yield* peers.ask(
      before,
      options.from ?? [],
      receiving.options,
      () => receiving.received,
      (connection, options) => fetchMany(store, connection, wanted, options)
    )
    failures = asked.failures
    const hash = yield* firstMissing
    if (hash !== undefined) return yield* new DownloadFailed({ hash, failures })
  }
  yield* Effect.forEach(wanted, (hash) => keep(store.tags, options.tag, { hash, format: "raw" }), { discard: true })
  return { received: receiving.received, failures }
}, Effect.scoped)

/** Gets what is missing of a blob, or of a hash sequence and all that it lists. */
export const download = Effect.fnUntraced(
  function* (store: Store, peers: Peers, name: BlobName, options: DownloadOptions) {
    const { addr, format, hash } = yield* parsed(() => parseName(name))
    const content = { hash, format }
    const ranges = format === "hashSeq" ? [{}] : (options.ranges ?? [{}])
    const wanted = (yield* Effect.forEach(ranges, validRange))
      .map(({ end, start }) => ChunkRanges.fromBytes(start, end))
      .reduce(ChunkRanges.union, ChunkRanges.empty)
    // From here on nothing takes away what arrives: that the root is not found would be a bug.
    yield* store.protect(content)
    let wants = wanted
    const limit = options.maxBytes === undefined ? undefined : togetherAtMost(options.maxBytes)
    const receiving = new Receiving(store, options, limit, (size) =>
      format === "raw" ? bytesOf(wants, size) : undefined
    )
    yield* receiving.options.verify(hash)
    wants = missing(yield* store.bitfield(hash), wanted)
    const { complete, failures } = (yield* isComplete(store, receiving.options.verify, content, wanted))
      ? { complete: true, failures: [] }
      : yield* peers.ask(
          hash,
          [...(addr === undefined ? [] : [addr]), ...(options.from ?? [])],
          receiving.options,
          () => receiving.received,
          (connection, options) => fetchMissing(store, connection, content, wanted, options)
        )
    if (!complete) return yield* new DownloadFailed({ hash, failures })
    yield* keep(store.tags, options.tag, content)
    return { ...content, received: receiving.received, failures }
  },
  Effect.scoped,
  Effect.catchTag("BlobNotFound", Effect.die),
  // Changed on the disk since it was verified a moment ago.
  Effect.catchTag("BlobDamaged", (cause) => new BlobStoreError({ operation: "read a blob", cause }))
) satisfies (
  ...args: ReadonlyArray<never>
) => Effect.Effect<Downloaded, DownloadFailed | BlobStoreError | MalformedBlob | InvalidRange>

const isComplete = Effect.fnUntraced(function* (
  store: Store,
  verify: ReceiveOptions["verify"],
  content: BlobHash.HashAndFormat,
  wanted: ChunkRanges.ChunkRanges
) {
  if (missing(yield* store.bitfield(content.hash), wanted).length > 0) return false
  if (content.format === "raw") return true
  for (const hash of yield* readHashSeq(store, content.hash)) {
    yield* verify(hash)
    if (!Bitfield.isComplete(yield* store.bitfield(hash))) return false
  }
  return true
})

/** Bytes that chunk ranges hold of a blob of `size` bytes. */
const bytesOf = (ranges: ChunkRanges.ChunkRanges, size: number): number => {
  const selected = ChunkRanges.select(ranges, Bitfield.chunksOf(size))
  let sum = 0
  for (let i = 0; i < selected.length; i += 2) sum += Math.min(selected[i + 1]! * 1024, size) - selected[i]! * 1024
  return sum
}

const parseName = (name: BlobName): BlobHash.HashAndFormat & { readonly addr?: NodeAddr | undefined } => {
  if (typeof name !== "string") return { ...name, hash: BlobHash.parse(name.hash) }
  return name.startsWith("blob") ? BlobTicket.decode(name) : BlobHash.parseWithFormat(name)
}
