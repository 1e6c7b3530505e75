/**
 * The primitives of the canonical encoding (contract identity, section 2). A structure is the concatenation of its
 * fields: there are no headers, tags or counts of fields.
 */
const utf8 = new TextEncoder()

const LIST_MARK = 0x0c
const ABSENT = 0xfd
const PRESENT = 0x00

export class CanonicalWriter {
  #bytes = new Uint8Array(256)
  #length = 0

  /** What has been written so far. */
  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }

  #byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  /** LEB128 of an unsigned 32-bit number, or of a length; also how an enum number is written. */
  unsigned(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.#byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.#byte(rest)
  }

  /** A signed 32-bit number, zigzag. */
  int32(value: number): void {
    this.unsigned(((value << 1) ^ (value >> 31)) >>> 0)
  }

  boolean(value: boolean): void {
    this.#byte(value ? 1 : 0)
  }

  float64(value: number): void {
    this.#reserve(8)
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value, true)
    this.#length += 8
  }

  /** UTF-8 behind its byte length times four plus two. */
  string(value: string): void {
    const encoded = utf8.encode(value)
    this.unsigned(encoded.length * 4 + 2)
    this.#raw(encoded)
  }

  /** Raw bytes behind their length. */
  bytes(value: Uint8Array): void {
    this.unsigned(value.length)
    this.#raw(value)
  }

  #raw(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  /** A list; the mark byte is there even when the list is empty. */
  list<A>(items: ReadonlyArray<A>, write: (item: A) => void): void {
    this.unsigned(items.length)
    this.#byte(LIST_MARK)
    items.forEach(write)
  }

  optional<A>(value: A | undefined, write: (value: A) => void): void {
    if (value === undefined) return this.#byte(ABSENT)
    this.#byte(PRESENT)
    write(value)
  }
}
