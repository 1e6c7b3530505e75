import type { BaoNeed } from "../proto/BaoEncoder.ts"

/** A part of a blob, read a stretch at a time. */
export class ReadAhead {
  readonly #limit: number
  #offset = 0
  #bytes: Uint8Array = new Uint8Array(0)
  #room: Uint8Array = new Uint8Array(0)

  /** `limit`: most that is read at once, in bytes. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Another blob follows: what was read is of no use, its room is. */
  reset(): void {
    this.#bytes = this.#bytes.subarray(0, 0)
  }

  /** What is needed, if it has been read already. */
  ready({ length, offset }: BaoNeed): Uint8Array | undefined {
    const at = offset - this.#offset
    return at >= 0 && at + length <= this.#bytes.length ? this.#bytes.subarray(at, at + length) : undefined
  }

  /** Room for what is to be read, in place of what was read before. */
  room(length: number): Uint8Array {
    if (this.#room.length < length) this.#room = new Uint8Array(length)
    return this.#room.subarray(0, length)
  }

  /** How much to read for what is needed. */
  lengthFor({ ahead, length }: BaoNeed): number {
    return Math.max(length, Math.min(ahead, this.#limit))
  }

  /** Takes what was read; answers the part of it that is needed. */
  fill({ length, offset }: BaoNeed, bytes: Uint8Array): Uint8Array {
    this.#offset = offset
    this.#bytes = bytes
    return bytes.subarray(0, length)
  }
}
