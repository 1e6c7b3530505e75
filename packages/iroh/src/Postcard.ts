/**
 * The postcard serialization, in which iroh's protocols write their messages (postcard wire format 1.0).
 *
 * @since 0.1.0
 */
import { Malformed } from "./Malformed.ts"

const U64_MAX = 2n ** 64n - 1n

/** Reads postcard values from the front of `bytes`. Every method throws {@link Malformed} on bad input. */
export class PostcardReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  /** One raw byte. */
  byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new Malformed(`ends at byte ${this.#at}, where one more was expected`)
    this.#at++
    return byte
  }

  /** The next `length` bytes, as a view. */
  take(length: number): Uint8Array {
    if (length > this.remaining) throw new Malformed(`ends ${length - this.remaining} bytes too early`)
    const from = this.#at
    this.#at += length
    return this.#bytes.subarray(from, this.#at)
  }

  /** A u64 varint of at most ten bytes. */
  bigVarint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        if (value > U64_MAX) break
        return value
      }
    }
    throw new Malformed("varint does not fit in 64 bits")
  }

  /** A u64 varint that must be a safe integer. */
  varint(): number {
    // One and two byte varints are nearly all there are: lengths, widths, indices.
    const first = this.byte()
    if (first < 0x80) return first
    const second = this.byte()
    if (second < 0x80) return (first & 0x7f) | (second << 7)
    this.#at -= 2
    const value = this.bigVarint()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed(`${value} is larger than 2^53 - 1`)
    return Number(value)
  }

  /** The length of a sequence whose elements take at least `elementSize` bytes each: never more than can follow. */
  length(elementSize: number): number {
    const length = this.varint()
    if (length * elementSize > this.remaining)
      throw new Malformed(`announces ${length} elements, more than there is room for`)
    return length
  }
}

/** Collects postcard values. */
export class PostcardWriter {
  #bytes: Uint8Array
  #length = 0

  /** @param capacity how many bytes to expect; more may come */
  constructor(capacity = 64) {
    this.#bytes = new Uint8Array(capacity)
  }

  /** One raw byte. */
  byte(value: number): this {
    this.#reserve(1)[this.#length++] = value
    return this
  }

  /** Raw bytes without a length. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length).set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** A u64 varint. */
  varint(value: number | bigint): this {
    // Nearly all there are: lengths, widths, indices.
    if (typeof value === "number" && value >= 0 && value < 0x80) return this.byte(value)
    if (typeof value === "number" && value >= 0 && value <= 0x7fff_ffff) {
      let small = value
      for (; small > 0x7f; small >>>= 7) this.byte((small & 0x7f) | 0x80)
      return this.byte(small)
    }
    let rest = BigInt(value)
    for (; rest > 0x7fn; rest >>= 7n) this.byte(Number(rest & 0x7fn) | 0x80)
    return this.byte(Number(rest))
  }

  /** Everything written. Nothing may be written afterwards: where the capacity was right, this is no copy. */
  finish(): Uint8Array {
    return this.#length === this.#bytes.length ? this.#bytes : this.#bytes.slice(0, this.#length)
  }

  #reserve(extra: number): Uint8Array {
    const needed = this.#length + extra
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    return this.#bytes
  }
}
