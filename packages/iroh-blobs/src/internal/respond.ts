import { type SendStream, StreamClosed, StreamError } from "@aster-effect/iroh/BiStream"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BlobNotFound, BlobStoreError } from "../BlobError.ts"
import type { BlobPart, BlobReader, BlobStore } from "../BlobStore.ts"
import { BaoEncoder, type BaoNeed } from "../proto/BaoEncoder.ts"
import { BaoMismatch } from "../proto/BaoVerifier.ts"
import * as BlobHash from "../BlobHash.ts"
import type * as ChunkRanges from "../ChunkRanges.ts"
import { ErrorCode } from "../Request.ts"

/** Bytes given to the stream at once, and most that is read ahead of the data or the outboard. */
const WRITE_SIZE = 65_536
const READ_AHEAD: Readonly<Record<BlobPart, number>> = { data: 65_536, outboard: 4096 }

/** Collects what is to be sent into large writes. */
export class ResponseWriter {
  readonly #send: SendStream
  readonly #timeout: Duration.Input
  #buffer = new Uint8Array(WRITE_SIZE)
  #length = 0
  /** Bytes added so far. */
  total = 0

  /** `timeout`: how long the peer may take to make room for a write. */
  constructor(send: SendStream, timeout: Duration.Input) {
    this.#send = send
    this.#timeout = timeout
  }

  /** Adds bytes; false when they do not fit and {@link flush} has to come first. */
  add(bytes: Uint8Array): boolean {
    if (this.#length + bytes.length > WRITE_SIZE) return false
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
    const bytes = this.#buffer.subarray(0, this.#length)
    // The stream keeps what it was given.
    this.#buffer = new Uint8Array(WRITE_SIZE)
    this.#length = 0
    return this.#write(bytes)
  })

  #write(bytes: Uint8Array): Effect.Effect<void, StreamError> {
    // Whoever asks and does not read may not hold what answering takes.
    const giveUp = () =>
      Effect.andThen(this.#send.reset(ErrorCode.Internal), new StreamError({ reason: new StreamClosed() }))
    return Effect.timeoutOrElse(this.#send.write(bytes), { duration: this.#timeout, orElse: giveUp })
  }
}

/** A part of a blob, read a stretch at a time. */
class ReadAhead {
  readonly #blob: BlobReader
  readonly #part: BlobPart
  #offset = 0
  #bytes: Uint8Array = new Uint8Array(0)

  constructor(blob: BlobReader, part: BlobPart) {
    this.#blob = blob
    this.#part = part
  }

  ready({ length, offset }: BaoNeed): Uint8Array | undefined {
    const at = offset - this.#offset
    return at >= 0 && at + length <= this.#bytes.length ? this.#bytes.subarray(at, at + length) : undefined
  }

  fill({ ahead, length, offset }: BaoNeed): Effect.Effect<Uint8Array, BlobStoreError> {
    const read = Math.max(length, Math.min(ahead, READ_AHEAD[this.#part]))
    return Effect.map(this.#blob.read(this.#part, offset, read), (bytes) => {
      this.#offset = offset
      this.#bytes = bytes
      return bytes.subarray(0, length)
    })
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
    const sources = { data: new ReadAhead(blob, "data"), outboard: new ReadAhead(blob, "outboard") }
    yield* writer.write(encoder.header)
    for (let need = encoder.need; need !== undefined; need = encoder.need) {
      const source = sources[need.from]
      const bytes = supply(encoder, source.ready(need) ?? (yield* source.fill(need)))
      if (bytes instanceof BaoMismatch) {
        yield* Effect.logError(`Blob ${hash} is damaged in the store: remove it and add it again`, bytes)
        return false
      }
      if (!writer.add(bytes)) yield* writer.write(bytes)
    }
    return !encoder.gap
  },
  Effect.scoped,
  Effect.catchTag("BlobNotFound", () => Effect.succeed(false)),
  Effect.catchTag("BlobStoreError", (error) => Effect.as(Effect.logError("A blob cannot be sent", error), false))
)

const supply = (encoder: BaoEncoder, stored: Uint8Array): Uint8Array | BaoMismatch => {
  try {
    return encoder.supply(stored)
  } catch (error) {
    if (error instanceof BaoMismatch) return error
    throw error
  }
}
