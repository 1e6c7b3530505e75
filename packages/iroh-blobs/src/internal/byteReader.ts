import type { RecvStream, StreamError } from "@aster-effect/iroh/BiStream"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/** The stream ended `got` bytes into what was expected next. */
export class StreamEnded extends Data.TaggedError("StreamEnded")<{ readonly got: number }> {}

/** As much as a stream gives at once: a tenth faster than a quarter of it, since every read costs as such. */
const READ_SIZE = 65_536

/** Cuts what arrives on a stream into pieces of known length. Holds no more than is asked for, and one read. */
export class ByteReader {
  readonly #recv: RecvStream
  readonly #heard: () => void
  #chunk: Uint8Array = new Uint8Array(0)
  #at = 0

  /** `heard` is called with every read that brings something. */
  constructor(recv: RecvStream, heard: () => void = () => {}) {
    this.#recv = recv
    this.#heard = heard
  }

  #read(): Effect.Effect<Uint8Array | undefined, StreamError> {
    return Effect.tap(this.#recv.read(READ_SIZE), () => Effect.sync(this.#heard))
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

  readonly #gather = Effect.fnUntraced(
    function* (this: ByteReader, length: number): Effect.fn.Return<Uint8Array, StreamError | StreamEnded> {
      // A long piece gets its room as it arrives, not because somebody says that it will.
      let out = new Uint8Array(Math.min(length, READ_SIZE))
      let held = 0
      while (true) {
        // What is left of the last chunk comes first; of the one that ends the piece the rest stays.
        const part = this.#chunk.subarray(this.#at, this.#at + length - held)
        if (held + part.length > out.length) {
          const grown = new Uint8Array(Math.min(length, Math.max(2 * out.length, held + part.length)))
          grown.set(out)
          out = grown
        }
        out.set(part, held)
        held += part.length
        this.#at += part.length
        if (held === length) return out
        const chunk = yield* this.#read()
        if (chunk === undefined) return yield* new StreamEnded({ got: held })
        this.#chunk = chunk
        this.#at = 0
      }
    }.bind(this)
  )
}

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
