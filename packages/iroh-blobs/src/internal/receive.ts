import type { StreamError } from "@aster-effect/iroh/BiStream"
import type { ConnectionLost } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { ConnectError } from "@aster-effect/iroh/NodeError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { BlobStoreError } from "../BlobError.ts"
import type { BlobStore } from "../BlobStore.ts"
import { TransferError, type TransferFailure } from "../TransferError.ts"
import { BaoDecoder, type BaoItem, isAbsent } from "../proto/BaoDecoder.ts"
import { BaoMismatch } from "../proto/BaoVerifier.ts"
import * as BlobHash from "../BlobHash.ts"
import type * as ChunkRanges from "../ChunkRanges.ts"
import { ErrorCode } from "../Request.ts"
import { type Aside, MAX_ASIDE } from "./aside.ts"
import type { ByteReader, StreamEnded } from "./byteReader.ts"

/** Bytes of verified data that are stored at once. */
const BATCH = 262_144

/** What receiving needs to know besides the blob. */
export interface ReceiveOptions {
  /** Who sends. */
  readonly peer: EndpointId
  /** Longest time without a byte. */
  readonly stallTimeout: Duration.Input
  /** Makes sure, once in a transfer, that what was there of a blob before is what it should be. */
  readonly verify: (hash: BlobHash.BlobHash) => Effect.Effect<unknown, BlobStoreError>
  /** Called whenever something comes from the peer. */
  readonly heard?: (() => void) | undefined
  /** Called with the size that the peer says the blob has. */
  readonly onSize?: ((size: number) => void) | undefined
  /** Asked about the size that the peer says a blob has: the limit that it is beyond, if it is beyond one. */
  readonly limit?: ((hash: BlobHash.BlobHash, size: number) => number | undefined) | undefined
  /** Called before each child of a hash sequence: which of those to be fetched it is, from 1, and of how many. */
  readonly onBlob?: ((number: number, of: number) => void) | undefined
  /** Called with the number of bytes of data just stored, and the size that the peer says the blob has. */
  readonly onData: (bytes: number, size: number) => Effect.Effect<void>
}

/**
 * Reads the response for `ranges` (not empty) of a blob, verifies it and stores it; a small one of which all arrives is left
 * to `aside`, where that is given. What was verified is stored however this ends. Answers false when the peer says that it
 * does not have the blob; the response is over then.
 */
export const receiveResponse = (
  store: BlobStore["Service"],
  reader: ByteReader,
  hash: BlobHash.BlobHash,
  ranges: ChunkRanges.ChunkRanges,
  options: ReceiveOptions,
  aside?: Aside
): Effect.Effect<boolean, TransferError | BlobStoreError> =>
  Effect.suspend(() => {
    const use = { scope: Scope.makeUnsafe(), isLeft: false }
    return Effect.onExit(receive(use, store, reader, hash, ranges, options, aside), (exit) =>
      use.isLeft ? Effect.void : Scope.close(use.scope, exit)
    )
  })

/** For how long a blob is held, and whether that is left to somebody else. */
interface Use {
  readonly scope: Scope.Closeable
  isLeft: boolean
}

const receive = Effect.fnUntraced(function* (
  use: Use,
  store: BlobStore["Service"],
  reader: ByteReader,
  hash: BlobHash.BlobHash,
  ranges: ChunkRanges.ChunkRanges,
  options: ReceiveOptions,
  aside: Aside | undefined
): Effect.fn.Return<boolean, TransferError | BlobStoreError> {
  const fail = (reason: TransferFailure) => new TransferError({ peer: options.peer, hash, reason })
  const partial = yield* Scope.provide(store.receive(hash), use.scope)
  const root = BlobHash.toBytes(hash)
  const decoder = new BaoDecoder(root, ranges)
  let begun = false
  let size = 0
  let batch: Array<BaoItem> = []
  let batched = 0
  const flush = Effect.suspend(() => {
    const [items, bytes] = [batch, batched]
    batch = []
    batched = 0
    if (items.length === 0) return Effect.void
    return Effect.andThen(
      Effect.map(partial.append(size, items), () => reader.reuse()),
      options.onData(bytes, size)
    )
  })
  const patience = new Patience(yield* Clock.Clock, options.stallTimeout)
  const decode = Effect.gen(function* () {
    while (decoder.wanted > 0) {
      let bytes = reader.ready(decoder.wanted)
      if (bytes === undefined) {
        patience.begin()
        bytes = yield* Effect.mapError(reader.take(decoder.wanted), (error) => fail(failureOf(error)))
        patience.end()
      }
      if (!begun && isAbsent(root, bytes)) return false
      begun = true
      const item = accept(decoder, bytes)
      if ("node" in item) return yield* fail({ _tag: "Corrupt", offset: item.offset, detail: item.message })
      if (item._tag === "Size") {
        size = item.size
        const limit = options.limit?.(hash, size)
        if (limit !== undefined) return yield* fail({ _tag: "TooLarge", size, limit })
        if (size > BATCH) reader.keepRoom(BATCH)
        options.onSize?.(size)
        const known = partial.bitfield()
        if (known.verified && known.size !== size) {
          const detail = `a size of ${size} bytes, but ${known.size} is proven`
          return yield* fail({ _tag: "Corrupt", offset: 0, detail })
        }
        continue
      }
      batch.push(item)
      if (item._tag === "Data") batched += item.data.length
      if (batched >= BATCH) yield* flush
    }
    return true
  })
  const inTime = Effect.raceFirst(
    decode,
    Effect.flatMap(patience.over, () => fail({ _tag: "Stalled" }))
  )
  const found = yield* Effect.onExit(inTime, (exit) =>
    exit._tag === "Success" ? Effect.void : Effect.ignore(flush, { log: true })
  )
  if (aside === undefined || !found || size > MAX_ASIDE || batch.length === 0) yield* flush
  else {
    const items = batch.map(inOwnMemory)
    reader.reuse()
    const storing = Effect.onExit(
      Effect.suspend(() => partial.append(size, items)),
      (exit) => Scope.close(use.scope, exit)
    )
    const begin = () => {
      use.isLeft = true
      return storing
    }
    const tell = Effect.suspend(() => options.onData(batched, size))
    yield* aside.store(begin, tell)
  }
  return found
})

const inOwnMemory = (item: BaoItem): BaoItem => {
  if (item._tag === "Pair") return { ...item, pair: new Uint8Array(item.pair) }
  return item._tag === "Data" ? { ...item, data: new Uint8Array(item.data) } : item
}

/** Notices waits that take too long, with one timer for all of them: there are thousands in a second. */
class Patience {
  readonly #clock: Clock.Clock
  readonly #limit: number
  #since: number | undefined

  constructor(clock: Clock.Clock, limit: Duration.Input) {
    this.#clock = clock
    this.#limit = Duration.toMillis(Duration.fromInputUnsafe(limit))
  }

  begin(): void {
    this.#since = this.#now()
  }

  end(): void {
    this.#since = undefined
  }

  /** Completes when a wait has taken as long as it may. */
  readonly over: Effect.Effect<void> = Effect.suspend(() => this.#wait(this.#limit))

  #wait(milliseconds: number): Effect.Effect<void> {
    return Effect.flatMap(Effect.sleep(milliseconds), () => {
      const left = this.#since === undefined ? this.#limit : this.#since + this.#limit - this.#now()
      return left <= 0 ? Effect.void : this.#wait(left)
    })
  }

  /** Of a clock that does not jump. */
  #now(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }
}

const accept = (decoder: BaoDecoder, bytes: Uint8Array): BaoItem | BaoMismatch => {
  try {
    return decoder.accept(bytes)
  } catch (error) {
    if (error instanceof BaoMismatch) return error
    throw error
  }
}

/** What an end, a reset or a lost connection means. iroh-blobs wire, codes. */
export const failureOf = (error: StreamError | StreamEnded): TransferFailure => {
  if (error._tag === "StreamEnded") return error.got === 0 ? { _tag: "NotFound" } : { _tag: "BrokenOff" }
  const { reason } = error
  if (reason._tag !== "StreamReset" && reason._tag !== "StreamStopped") return connectionFailure(error)
  switch (reason.code) {
    case ErrorCode.Permission:
      return { _tag: "Refused" }
    case ErrorCode.RateLimited:
      return { _tag: "RateLimited" }
    case ErrorCode.Internal:
      return { _tag: "NotFound" }
    default:
      return { _tag: "BrokenOff" }
  }
}

/** What it means that there is no connection, or none any more. */
export const connectionFailure = (cause: ConnectError | ConnectionLost | StreamError): TransferFailure => {
  const lost = cause._tag === "StreamError" ? cause.reason : cause
  // 403 is how a gate closes the door.
  const refused = lost._tag === "ConnectionLost" && lost.reason._tag === "Peer" && lost.reason.code === 403
  return refused ? { _tag: "NotAdmitted" } : { _tag: "Connection", cause }
}
