/**
 * The memory that messages are written to.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import { ForyError } from "./ForyError.ts"
import { NameTable } from "./internal/namedType.ts"
import { defaultLimits, type Limits } from "./Limits.ts"

const maxCapacity = 2 ** 30

const requireSize = (count: number): void => {
  if (!(Number.isInteger(count) && count >= 0 && count <= maxCapacity))
    throw new ForyError("OutOfRange", `A size is a whole number from 0 to ${maxCapacity}, not ${String(count)}`)
}

/**
 * Growable byte buffer that encoded messages are appended to. Reuse one per connection: `reset` keeps the memory.
 * Writing several messages, or a header before them, into one writer costs no copies.
 */
export class Writer {
  /** Where the next byte goes; also the number of bytes written. */
  position = 0
  /** The memory behind the writer; replaced when it grows, so do not keep it. */
  buffer: Buffer<ArrayBuffer>
  /** `buffer` as a DataView. */
  view: DataView<ArrayBuffer>

  /** Limits of the message being written; set by the codec. */
  limits: Limits = defaultLimits
  /** Names in the message being written; used by the codec. */
  readonly names: NameTable = new NameTable()

  /** `capacity`: bytes to start with. */
  constructor(capacity = 1024) {
    requireSize(capacity)
    this.buffer = Buffer.allocUnsafeSlow(capacity)
    this.view = new DataView(this.buffer.buffer)
  }

  /** Makes sure that `count` bytes fit from `position` on. `position` may lie ahead of the writer's own. */
  ensure(position: number, count: number): void {
    if (position + count > this.buffer.length) this.#grow(position, count)
  }

  /** Skips `count` bytes, to be filled in with `setUint8` and `setUint32` later, and returns where they start. */
  reserve(count: number): number {
    requireSize(count)
    const start = this.position
    this.ensure(start, count)
    this.buffer.fill(0, start, start + count)
    this.position = start + count
    return start
  }

  /** Appends a copy of `bytes`. */
  append(bytes: Uint8Array): void {
    this.ensure(this.position, bytes.length)
    this.buffer.set(bytes, this.position)
    this.position += bytes.length
  }

  /** Overwrites one byte that was written or reserved before. */
  setUint8(at: number, value: number): void {
    this.#requireWritten(at, 1)
    this.view.setUint8(at, value)
  }

  /** Overwrites four bytes that were written or reserved before, little-endian. */
  setUint32(at: number, value: number): void {
    this.#requireWritten(at, 4)
    this.view.setUint32(at, value, true)
  }

  /** What was written so far, as a view: valid until the next write or `reset`. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.buffer.subarray(0, this.position)
  }

  /** Starts over at position 0 in the same memory. */
  reset(): void {
    this.position = 0
  }

  #requireWritten(at: number, size: number): void {
    if (!(Number.isInteger(at) && at >= 0 && at + size <= this.position))
      throw new ForyError("OutOfRange", `${size} bytes at ${at} are not within the ${this.position} written`)
  }

  #grow(position: number, count: number): void {
    if (position + count > maxCapacity)
      throw new ForyError("LimitExceeded", `What is written exceeds ${maxCapacity} bytes`)
    // With some room behind something large, whose copy for a few bytes more would cost most.
    const needed = position + count
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, needed + (needed >>> 4)))
    grown.set(this.buffer.subarray(0, position))
    this.buffer = grown
    this.view = new DataView(grown.buffer)
  }
}
