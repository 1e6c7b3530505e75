import { type SendStream, StreamClosed, StreamError } from "@aster-effect/iroh/BiStream"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BlobNotFound, BlobStoreError } from "../BlobError.ts"
import type { BlobStore, StoredBlob } from "../BlobStore.ts"
import { BaoEncoder, type BaoNeed } from "../proto/BaoEncoder.ts"
import { BaoMismatch } from "../proto/BaoVerifier.ts"
import * as BlobHash from "../BlobHash.ts"
import type * as ChunkRanges from "../ChunkRanges.ts"
import { ErrorCode } from "../Request.ts"
import { Missing } from "./blobFiles.ts"
import { ReadAhead } from "./readAhead.ts"

/** Bytes given to the stream at once: first, and of a response that goes on. */
const FIRST_WRITE = 65_536
const WRITE_SIZE = 262_144
/** Bytes of a blob that are read at once. */
const READ_SIZE = 262_144

/** Collects what is to be sent into large writes. */
export class ResponseWriter {
  readonly #send: SendStream
  readonly #timeout: Duration.Input
  #buffer = new Uint8Array(FIRST_WRITE)
  #length = 0
  /** Where blobs are read, one after the other. */
  readonly sources = { data: new ReadAhead(READ_SIZE), outboard: new ReadAhead(4096) }
  /** Bytes added so far. */
  total = 0

  /** `timeout`: how long the peer may take to make room for a write. */
  constructor(send: SendStream, timeout: Duration.Input) {
    this.#send = send
    this.#timeout = timeout
  }

  /** Adds bytes; false when they do not fit and {@link flush} has to come first. */
  add(bytes: Uint8Array): boolean {
    if (this.#length + bytes.length > this.#buffer.length) return false
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
    this.total += bytes.length
    return true
  }

  /** Adds bytes of any length. */
  readonly write = (bytes: Uint8Array): Effect.Effect<void, StreamError> =>
    this.add(bytes)
      ? Effect.void
      : Effect.andThen(
          this.flush,
          Effect.suspend(() => {
            if (this.add(bytes)) return Effect.void
            this.total += bytes.length
            return this.#write(bytes)
          })
        )

  readonly flush: Effect.Effect<void, StreamError> = Effect.suspend(() => {
    if (this.#length === 0) return Effect.void
    return Effect.map(this.#write(this.#buffer.subarray(0, this.#length)), () => {
      // The stream is done with it: much goes through the same memory.
      if (this.#buffer.length < WRITE_SIZE) this.#buffer = new Uint8Array(WRITE_SIZE)
      this.#length = 0
    })
  })

  #write(bytes: Uint8Array): Effect.Effect<void, StreamError> {
    // Whoever asks and does not read may not hold what answering takes.
    const giveUp = () =>
      Effect.andThen(this.#send.reset(ErrorCode.Internal), new StreamError({ reason: new StreamClosed() }))
    return Effect.timeoutOrElse(this.#send.write(bytes), { duration: this.#timeout, orElse: giveUp })
  }
}

/**
 * Sends the response for `ranges` of a blob. Answers false when the store does not have all of them, or is found to be
 * damaged; what came before was sent then.
 */
export const respond = Effect.fnUntraced(
  function* (
    store: BlobStore["Service"],
    writer: ResponseWriter,
    hash: BlobHash.BlobHash,
    ranges: ChunkRanges.ChunkRanges
  ): Effect.fn.Return<boolean, StreamError | BlobNotFound | BlobStoreError, Scope.Scope> {
    const blob = yield* store.open(hash)
    const bitfield = blob.bitfield()
    // A claimed size would make us the liar.
    if (!bitfield.verified) return false
    const encoder = new BaoEncoder(BlobHash.toBytes(hash), bitfield, ranges)
    if (encoder.gap) return false
    const { sources } = writer
    sources.data.reset()
    sources.outboard.reset()
    yield* writer.write(encoder.header)
    for (let need = encoder.need; need !== undefined; need = encoder.need) {
      const source = sources[need.from]
      const bytes = supply(encoder, source.ready(need) ?? (yield* fill(blob, source, need)))
      if (bytes instanceof BaoMismatch) {
        yield* blob.markDamaged(bytes.chunks)
        return false
      }
      if (!writer.add(bytes)) yield* writer.write(bytes)
    }
    return !encoder.gap
  },
  Effect.scoped,
  Effect.catchTag("BlobNotFound", () => Effect.succeed(false)),
  (effect, store, _, hash) =>
    Effect.catchTag(effect, "BlobStoreError", (error) =>
      // What is gone is to count as missing; what is damaged is known already.
      Effect.logError("A blob cannot be sent", error).pipe(
        Effect.andThen(error.cause instanceof Missing ? Effect.ignore(store.verify(hash)) : Effect.void),
        Effect.as(false)
      )
    )
)

const fill = (blob: StoredBlob, source: ReadAhead, need: BaoNeed): Effect.Effect<Uint8Array, BlobStoreError> =>
  Effect.suspend(() => {
    const length = source.lengthFor(need)
    // Always the same room: what is read is copied into what is sent.
    return Effect.map(blob.stored(need.from, need.offset, length, source.room(length)), (bytes) =>
      source.fill(need, bytes)
    )
  })

const supply = (encoder: BaoEncoder, stored: Uint8Array): Uint8Array | BaoMismatch => {
  try {
    return encoder.supply(stored)
  } catch (error) {
    if (error instanceof BaoMismatch) return error
    throw error
  }
}
