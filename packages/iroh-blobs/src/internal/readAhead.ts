import type { BaoNeed } from "../proto/BaoEncoder.ts"
import type { BlobPart } from "./blobFiles.ts"

/** Most that is read ahead of the data or the outboard. */
const LIMIT: Readonly<Record<BlobPart, number>> = { data: 65_536, outboard: 4096 }

/** A part of a blob, read a stretch at a time. */
export class ReadAhead {
  readonly #part: BlobPart
  #offset = 0
  #bytes: Uint8Array = new Uint8Array(0)

  constructor(part: BlobPart) {
    this.#part = part
  }

  /** What is needed, if it has been read already. */
  ready({ length, offset }: BaoNeed): Uint8Array | undefined {
    const at = offset - this.#offset
    return at >= 0 && at + length <= this.#bytes.length ? this.#bytes.subarray(at, at + length) : undefined
  }

  /** How much to read for what is needed. */
  lengthFor({ ahead, length }: BaoNeed): number {
    return Math.max(length, Math.min(ahead, LIMIT[this.#part]))
  }

  /** Takes what was read; answers the part of it that is needed. */
  fill({ length, offset }: BaoNeed, bytes: Uint8Array): Uint8Array {
    this.#offset = offset
    this.#bytes = bytes
    return bytes.subarray(0, length)
  }
}
