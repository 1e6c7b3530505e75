import { ForyError, type ForyErrorCode } from "../ForyError.ts"
import type { Limits } from "../Limits.ts"
import * as MetaString from "../proto/MetaString.ts"
import type { NamedType } from "./namedType.ts"
import { latin1Slice, ucs2Slice, utf8Slice } from "./natives.ts"

const fatalUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * V8 copies substrings and joins shorter than this; longer ones would be slices that keep the text they were cut from
 * alive, or ropes.
 */
const shortestSlice = 13
/** Bytes turned into text at once for the short strings among them. */
const windowSize = 4096

const maxNames = 32_767

/** V8 has no longer strings. */
const maxTextBytes = 2 ** 29 - 24

const scratch = new DataView(new ArrayBuffer(8))

const hasSurrogate = (bytes: Uint8Array, start: number, end: number): boolean => {
  for (let at = start + 1; at < end; at += 2) if ((bytes[at]! & 0xf8) === 0xd8) return true
  return false
}

const unit = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8)

/** Short enough, building a string from code units beats the call into native code. */
const shortUtf16 = (bytes: Uint8Array, start: number, end: number): string => {
  let at = start
  let text = ""
  for (; at + 8 <= end; at += 8)
    text += String.fromCharCode(unit(bytes, at), unit(bytes, at + 2), unit(bytes, at + 4), unit(bytes, at + 6))
  switch (end - at) {
    case 2:
      return text + String.fromCharCode(unit(bytes, at))
    case 4:
      return text + String.fromCharCode(unit(bytes, at), unit(bytes, at + 2))
    case 6:
      return text + String.fromCharCode(unit(bytes, at), unit(bytes, at + 2), unit(bytes, at + 4))
    default:
      return text
  }
}

/** Copies of short byte strings share a piece of memory, as those of Node's buffers do: one of their own costs most. */
const SLAB_SIZE = 8192
const LARGEST_SHARED = SLAB_SIZE / 8
let slab = new ArrayBuffer(0)
let slabUsed = 0

/** Reads one message. Every method checks that the bytes it needs are there. */
export class Reader {
  readonly bytes: Uint8Array
  readonly end: number
  readonly limits: Limits
  /** Whether byte strings may be views of `bytes`, which nobody writes to any more. */
  readonly #views: boolean
  position: number

  // The last 64 bit varint, in pieces that bitwise operators can handle: bits 0-27, 28-55 and 56-63.
  #low = 0
  #middle = 0
  #high = 0

  #containers = 0
  #window = ""
  #windowStart = 0
  #root: NamedType | undefined
  #names: Array<string> | undefined

  constructor(bytes: Uint8Array, start: number, end: number, limits: Limits, views: boolean) {
    this.bytes = bytes
    this.#views = views
    this.position = start
    this.end = end
    this.limits = limits
  }

  fail(code: ForyErrorCode, message: string, offset = this.position): never {
    throw new ForyError(code, message, { offset })
  }

  truncated(): never {
    this.fail("Truncated", "The message ends early")
  }

  tooDeep(): never {
    this.fail("TooDeep", `Values are nested deeper than ${this.limits.maxDepth} levels`)
  }

  /** Makes sure that `count` more bytes are there. */
  need(count: number): void {
    if (count > this.end - this.position) this.truncated()
  }

  uint8(): number {
    const at = this.position
    if (at >= this.end) this.truncated()
    this.position = at + 1
    return this.bytes[at]!
  }

  /** True for a value, false for null: the flag byte in front of optional values. */
  present(): boolean {
    const flag = this.uint8()
    if (flag === 0xff) return true
    if (flag === 0xfd) return false
    return this.fail(
      "Malformed",
      `Null flag 0x${flag.toString(16)} is neither a value nor null (reference tracking is off)`,
      this.position - 1
    )
  }

  uint16(): number {
    this.need(2)
    const at = this.position
    this.position = at + 2
    return this.bytes[at]! | (this.bytes[at + 1]! << 8)
  }

  int32(): number {
    this.need(4)
    const { bytes, position: at } = this
    this.position = at + 4
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  }

  /** The next `count` (at most 8) bytes as a view for DataView reads at offset 0. */
  scalar(count: number): DataView {
    this.need(count)
    const { bytes, position: at } = this
    for (let i = 0; i < count; i++) scratch.setUint8(i, bytes[at + i]!)
    this.position = at + count
    return scratch
  }

  /** Unsigned 32 bit varint. Like pyfory it drops whatever a fifth byte carries above bit 31. */
  varuint32(): number {
    const { bytes, end } = this
    let at = this.position
    let value = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= end) this.truncated()
      const byte = bytes[at++]!
      value |= (byte & 127) << shift
      if (byte < 128 || shift === 28) break
    }
    this.position = at
    return value >>> 0
  }

  varint32(): number {
    const value = this.varuint32()
    return (value >>> 1) ^ -(value & 1)
  }

  /** Zigzag varint as a safe integer. */
  int(): number {
    const at = this.position
    if (at < this.end) {
      const byte = this.bytes[at]!
      if (byte < 128) {
        this.position = at + 1
        return (byte >>> 1) ^ -(byte & 1)
      }
    }
    this.#varuint64()
    const value = this.#zigzag()
    if (!this.#zigzagFits() || value < Number.MIN_SAFE_INTEGER)
      this.fail("OutOfRange", "The integer does not fit a number: use int64 to receive bigints", at)
    return value
  }

  /** Zigzag varint as bigint. */
  int64(): bigint {
    this.#varuint64()
    if (this.#zigzagFits()) return BigInt(this.#zigzag())
    const value = this.#bits()
    return (value >> 1n) ^ -(value & 1n)
  }

  uint64(): bigint {
    this.#varuint64()
    return this.#high === 0 && this.#middle < 2 ** 25 ? BigInt(this.#middle * 2 ** 28 + this.#low) : this.#bits()
  }

  taggedInt64(): bigint {
    if (this.#tag() === 0) return BigInt(this.int32() >> 1)
    this.position++
    return this.scalar(8).getBigInt64(0, true)
  }

  taggedUint64(): bigint {
    if (this.#tag() === 0) return BigInt(this.int32() >>> 1)
    this.position++
    return this.scalar(8).getBigUint64(0, true)
  }

  #tag(): number {
    this.need(1)
    return this.bytes[this.position]! & 1
  }

  /** Seven bits a byte, except that a ninth byte carries eight (Fory XLANG §3.1). */
  #varuint64(): void {
    const { bytes, end } = this
    let at = this.position
    let low = 0
    let middle = 0
    this.#high = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= end) this.truncated()
      const byte = bytes[at++]!
      if (shift < 28) low |= (byte & 127) << shift
      else if (shift < 56) middle |= (byte & 127) << (shift - 28)
      else this.#high = byte
      if (byte < 128 || shift === 56) break
    }
    this.#low = low
    this.#middle = middle
    this.position = at
  }

  #zigzagFits(): boolean {
    return this.#high === 0 && this.#middle < 2 ** 26
  }

  #zigzag(): number {
    const half = this.#middle * 2 ** 27 + (this.#low >>> 1)
    return (this.#low & 1) === 0 ? half : -half - 1
  }

  #bits(): bigint {
    return (BigInt(this.#high) << 56n) | (BigInt(this.#middle) << 28n) | BigInt(this.#low)
  }

  /** Opens a list, set or map: the number of elements, each of which takes at least one byte. */
  count(): number {
    const at = this.position
    const count = this.varuint32()
    if (count > this.limits.maxCollectionSize)
      this.fail("LimitExceeded", `${count} elements are more than the limit of ${this.limits.maxCollectionSize}`, at)
    if (count > this.end - this.position) this.fail("Truncated", `${count} elements cannot follow`, at)
    this.#container()
    return count
  }

  /** Opens a byte string and returns its bytes: a copy, or a view of the message where that keeps little else. */
  binary(): Uint8Array {
    const start = this.#binary()
    const length = this.position - start
    if (!this.#views) return this.#copy(start, length)
    if (length <= LARGEST_SHARED) return this.#sharedCopy(start, length)
    const { buffer, byteOffset } = this.bytes
    return 2 * length >= buffer.byteLength
      ? new Uint8Array(buffer, byteOffset + start, length)
      : this.#copy(start, length)
  }

  /** Opens a packed array and returns a copy of its bytes, in memory of its own. */
  binaryCopy(): Uint8Array<ArrayBuffer> {
    const start = this.#binary()
    return this.#copy(start, this.position - start)
  }

  /** Skips a byte string or packed array, and returns where it starts. */
  #binary(): number {
    const at = this.position
    const length = this.varuint32()
    if (length > this.limits.maxBinarySize)
      this.fail("LimitExceeded", `${length} bytes are more than the limit of ${this.limits.maxBinarySize}`, at)
    this.need(length)
    this.#container()
    const start = this.position
    this.position = start + length
    return start
  }

  /** A copy in memory that others lie in too. */
  #sharedCopy(start: number, length: number): Uint8Array {
    if (slabUsed + length > slab.byteLength) {
      slab = new ArrayBuffer(SLAB_SIZE)
      slabUsed = 0
    }
    const shared = new Uint8Array(slab, slabUsed, length)
    slabUsed += length
    return this.#fill(shared, start)
  }

  #copy(start: number, length: number): Uint8Array<ArrayBuffer> {
    // Above this, memory that is not cleared first is the cheaper one.
    const copy = length < 4096 ? new Uint8Array(length) : new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
    return this.#fill(copy, start)
  }

  /** Fills a copy with the bytes from `start` on. */
  #fill<Copy extends Uint8Array>(copy: Copy, start: number): Copy {
    const { length } = copy
    // A copy loop beats creating a view up to about this length.
    if (length < 32) for (let i = 0; i < length; i++) copy[i] = this.bytes[start + i]!
    else copy.set(this.bytes.subarray(start, start + length))
    return copy
  }

  #container(): void {
    if (++this.#containers > this.limits.maxContainers)
      this.fail("LimitExceeded", `More than ${this.limits.maxContainers} lists, maps and byte strings in one message`)
  }

  string(): string {
    const at = this.position
    const first = at < this.end ? this.bytes[at]! : this.truncated()
    let encoding = first & 3
    let length = first >>> 2
    this.position = at + 1
    if (first > 127) {
      this.position = at
      this.#varuint64()
      encoding = this.#low & 3
      length = this.#high > 0 ? Infinity : this.#middle * 2 ** 26 + (this.#low >>> 2)
    }
    const start = this.position
    if (length > this.end - start) this.truncated()
    if (length > maxTextBytes) this.fail("LimitExceeded", `A text of ${length} bytes is too long`, at)
    const end = start + length
    this.position = end
    switch (encoding) {
      case 0:
        return length < shortestSlice ? this.#shortText(start, end) : latin1Slice.call(this.bytes, start, end)
      case 1:
        return this.#utf16(start, end, at)
      case 2:
        return this.#utf8(start, end, at)
      default:
        return this.fail("Malformed", "String encoding 3 does not exist", at)
    }
  }

  #shortText(start: number, end: number): string {
    const from = start - this.#windowStart
    if (from >= 0 && end - this.#windowStart <= this.#window.length)
      return this.#window.slice(from, end - this.#windowStart)
    this.#window = latin1Slice.call(this.bytes, start, Math.min(start + windowSize, this.end))
    this.#windowStart = start
    return this.#window.slice(0, end - start)
  }

  #utf16(start: number, end: number, at: number): string {
    const { bytes } = this
    if ((end - start) % 2 === 0) {
      if (end - start < shortestSlice * 2 && !hasSurrogate(bytes, start, end)) return shortUtf16(bytes, start, end)
      const text = ucs2Slice.call(bytes, start, end)
      if (text.isWellFormed()) return text
    }
    return this.fail("InvalidText", "The string is not valid UTF-16", at)
  }

  #utf8(start: number, end: number, at: number): string {
    const text = utf8Slice.call(this.bytes, start, end)
    // A replacement character is either in the data or stands for broken data.
    if (!text.includes("\ufffd")) return text
    try {
      return fatalUtf8.decode(this.bytes.subarray(start, end))
    } catch {
      return this.fail("InvalidText", "The string is not valid UTF-8", at)
    }
  }

  /** True, and the position moved past it, if `expected` comes next. */
  skip(expected: Uint8Array): boolean {
    const { bytes, position } = this
    const { length } = expected
    if (length > this.end - position) return false
    for (let i = 0; i < length; i++) if (bytes[position + i] !== expected[i]) return false
    this.position = position + length
    return true
  }

  /** Takes the message start of `root`, if that is what comes next. */
  skipRoot(root: NamedType): boolean {
    if (!this.skip(root.rootPrefix)) return false
    this.#root = root
    return true
  }

  /** The namespace of a type; `expected` only makes the likely case fast. */
  namespace(expected: NamedType | undefined): string {
    return this.#name("namespace", expected?.namespaceFrame, expected?.namespace)
  }

  /** The name of a type within its namespace; `expected` only makes the likely case fast. */
  typeName(expected: NamedType | undefined): string {
    return this.#name("typeName", expected?.nameFrame, expected?.name)
  }

  #name(role: MetaString.Role, frame: Uint8Array | undefined, text: string | undefined): string {
    const names = (this.#names ??= this.#root === undefined ? [] : [this.#root.namespace, this.#root.name])
    if (frame !== undefined && text !== undefined && this.skip(frame)) return this.#addName(names, text)
    const at = this.position
    const header = this.varuint32()
    const length = header >>> 1
    if ((header & 1) === 1)
      return names[length - 1] ?? this.fail("Malformed", `There is no name ${length - 1} to refer to`, at)
    if (length === 0) return this.#addName(names, "")
    const encoding = this.uint8()
    if (length > MetaString.maxUnhashedLength) {
      // Byte 0 of the hash is the encoding; like pyfory, the rest is not verified.
      this.need(7)
      this.position += 7
    }
    this.need(length)
    if (length > MetaString.maxLength * 4) this.fail("LimitExceeded", `A name of ${length} bytes is too long`, at)
    const start = this.position
    this.position += length
    const decoded = MetaString.decode(this.bytes.subarray(start, start + length), encoding, role)
    if (decoded === undefined || decoded.length > MetaString.maxLength)
      return this.fail("InvalidText", `The name is not valid in encoding ${encoding}`, at)
    return this.#addName(names, decoded)
  }

  #addName(names: Array<string>, name: string): string {
    if (names.length >= maxNames) this.fail("LimitExceeded", `More than ${maxNames} names in one message`)
    names.push(name)
    return name
  }
}
