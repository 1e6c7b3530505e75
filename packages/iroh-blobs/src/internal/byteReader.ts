import type { RecvStream, StreamError } from "@aster-effect/iroh/BiStream"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/** The stream ended `got` bytes into what was expected next. */
export class StreamEnded extends Data.TaggedError("StreamEnded")<{ readonly got: number }> {}

/** As much as a stream gives at once: a tenth faster than a quarter of it, since every read costs as such. */
const READ_SIZE = 65_536

/**
 * Cuts what arrives on a stream into pieces of known length. Holds no more than is asked for, one read, and the room that
 * it was told to keep.
 */
export class ByteReader {
  readonly #recv: RecvStream
  readonly #heard: () => void
  /** What was read last, from `at` on. */
  #chunk: Uint8Array = new Uint8Array(0)
  #at = 0
  /** Where reads go, one behind the other. */
  #room: Uint8Array | undefined
  #used = 0

  /** `heard` is called with every read that brings something. */
  constructor(recv: RecvStream, heard: () => void = () => {}) {
    this.#recv = recv
    this.#heard = heard
  }

  /** Has about `length` bytes arrive in memory that is used again after {@link ByteReader.reuse}. */
  keepRoom(length: number): void {
    this.#room ??= new Uint8Array(length + 2 * READ_SIZE)
  }

  /** Everything that was handed out is done with. */
  reuse(): void {
    if (this.#room === undefined) return
    this.#used = 0
    if (this.#chunk.buffer !== this.#room.buffer) return
    const left = this.#chunk.subarray(this.#at)
    this.#room.set(left)
    this.#used = left.length
    this.#chunk = this.#room.subarray(0, this.#used)
    this.#at = 0
  }

  /** The next bytes; undefined at the end. */
  #read(): Effect.Effect<Uint8Array | undefined, StreamError> {
    const room = this.#room?.subarray(this.#used, this.#used + READ_SIZE)
    const reading = room?.length === READ_SIZE ? this.#recv.read(READ_SIZE, room) : this.#recv.read(READ_SIZE)
    return Effect.tap(reading, (bytes) => {
      if (bytes !== undefined && bytes.buffer === room?.buffer) this.#used += bytes.length
      this.#heard()
      return Effect.void
    })
  }

  /** The next `length` bytes if they have arrived already. They may share memory with later answers. */
  ready(length: number): Uint8Array | undefined {
    if (this.#chunk.length - this.#at < length) return undefined
    this.#at += length
    return this.#chunk.subarray(this.#at - length, this.#at)
  }

  /** The next `length` bytes. */
  take(length: number): Effect.Effect<Uint8Array, StreamError | StreamEnded> {
    const ready = this.ready(length)
    return ready === undefined ? this.#gather(length) : Effect.succeed(ready)
  }

  /** Everything up to the end of the stream, or undefined when that is more than `limit` bytes. */
  readonly rest = Effect.fnUntraced(
    function* (this: ByteReader, limit: number): Effect.fn.Return<Uint8Array | undefined, StreamError> {
      const parts = [this.#chunk.subarray(this.#at)]
      let length = this.#chunk.length - this.#at
      while (length <= limit) {
        const chunk = yield* this.#read()
        if (chunk === undefined) return Buffer.concat(parts)
        parts.push(chunk)
        length += chunk.length
      }
      return undefined
    }.bind(this)
  )

  /** `length` bytes of which the last have not been read. */
  readonly #gather = Effect.fnUntraced(
    function* (this: ByteReader, length: number): Effect.fn.Return<Uint8Array, StreamError | StreamEnded> {
      let left = this.#chunk.subarray(this.#at)
      let chunk = yield* this.#read()
      for (; chunk !== undefined && follows(left, chunk); chunk = yield* this.#read()) {
        left = new Uint8Array(chunk.buffer, chunk.byteOffset - left.length, left.length + chunk.length)
        if (left.length < length) continue
        this.#chunk = left
        this.#at = length
        return left.subarray(0, length)
      }
      // A long piece gets its room as it arrives, not because somebody says that it will.
      let out = new Uint8Array(Math.min(length, Math.max(left.length, READ_SIZE)))
      out.set(left)
      let held = left.length
      for (; chunk !== undefined; chunk = yield* this.#read()) {
        // Of the one that ends the piece the rest stays.
        const part = chunk.subarray(0, length - held)
        if (held + part.length > out.length) {
          const grown = new Uint8Array(Math.min(length, Math.max(2 * out.length, held + part.length)))
          grown.set(out)
          out = grown
        }
        out.set(part, held)
        held += part.length
        this.#chunk = chunk
        this.#at = part.length
        if (held === length) return out
      }
      return yield* new StreamEnded({ got: held })
    }.bind(this)
  )
}

/** Whether `next` lies behind `bytes` in the same memory, or there are none before it. */
const follows = (bytes: Uint8Array, next: Uint8Array): boolean =>
  bytes.length === 0 || (bytes.buffer === next.buffer && bytes.byteOffset + bytes.length === next.byteOffset)

/** A varint length and as many bytes; undefined when they are more than `limit`. */
export const readDelimited = Effect.fnUntraced(function* (
  reader: ByteReader,
  limit: number
): Effect.fn.Return<Uint8Array | undefined, StreamError | StreamEnded> {
  let length = 0
  for (let shift = 1; ; shift *= 128) {
    const byte = (yield* reader.take(1))[0]!
    length += (byte & 0x7f) * shift
    if (length > limit || shift > limit) return undefined
    if (byte < 0x80) return yield* reader.take(length)
  }
})
