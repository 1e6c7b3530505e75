/**
 * Frames of a stream: a big-endian u32 length and as many bytes; the first holds the topic (iroh-gossip wire, Framing).
 *
 * @since 0.1.0
 */
import { Malformed } from "@aster-effect/iroh/Malformed"
import * as TopicId from "./TopicId.ts"
import * as Message from "./Message.ts"

/** The bytes of a length. */
const PREFIX = 4

/** The frame that begins a stream. */
export const header = (topic: TopicId.TopicId): Uint8Array => {
  const frame = new Uint8Array(PREFIX + 32)
  frame.set(TopicId.toBytes(topic), PREFIX)
  return withLength(frame)
}

/** The topic that a stream's first payload names. Bytes after it are ignored. */
export const readHeader = (payload: Uint8Array): TopicId.TopicId => {
  if (payload.length < 32) throw new Malformed(`is a header of ${payload.length} bytes`)
  return TopicId.fromBytes(payload.subarray(0, 32))
}

/** The frame of a message. */
export const encode = (message: Message.Message): Uint8Array => withLength(Message.encode(message, PREFIX))

const withLength = (frame: Uint8Array): Uint8Array => {
  const length = frame.length - PREFIX
  frame[0] = length >>> 24
  frame[1] = length >>> 16
  frame[2] = length >>> 8
  frame[3] = length
  return frame
}

/** The payload's length of a frame made here. */
export const payloadLength = (frame: Uint8Array): number => frame.length - PREFIX

/** Finds the frames in a stream of bytes. Holds at most one incomplete frame. */
export class FrameDecoder {
  readonly #maxPayload: number
  /** Collects a frame of which not all has come. */
  #partial: Uint8Array
  #held = 0

  /** @param maxPayload what a payload may have at most, in bytes */
  constructor(maxPayload: number) {
    this.#maxPayload = maxPayload
    this.#partial = new Uint8Array(0)
  }

  /** Whether the stream may end here. */
  get isBetweenFrames(): boolean {
    return this.#held === 0
  }

  /**
   * The payloads that are complete with these bytes, as views: of `bytes`, or of memory that the next call changes.
   *
   * @throws Malformed when a length is too large; the payloads before it were given
   */
  *push(bytes: Uint8Array): Generator<Uint8Array, void> {
    let at = 0
    while (at < bytes.length) {
      if (this.#held === 0 && bytes.length - at >= PREFIX) {
        const length = this.#checked(bytes, at)
        const end = at + PREFIX + length
        if (end <= bytes.length) {
          yield bytes.subarray(at + PREFIX, end)
          at = end
          continue
        }
      }
      at += this.#hold(bytes, at, PREFIX)
      if (this.#held < PREFIX) return
      const size = PREFIX + this.#checked(this.#partial, 0)
      at += this.#hold(bytes, at, size)
      if (this.#held < size) return
      this.#held = 0
      yield this.#partial.subarray(PREFIX, size)
    }
  }

  #checked(bytes: Uint8Array, at: number): number {
    const length = bytes[at]! * 2 ** 24 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
    if (length > this.#maxPayload) throw new Malformed(`is a frame of ${length} bytes, more than ${this.#maxPayload}`)
    return length
  }

  /** Takes from `bytes` until `size` are held; answers how many it took. */
  #hold(bytes: Uint8Array, at: number, size: number): number {
    if (this.#partial.length < size) {
      const grown = new Uint8Array(size)
      grown.set(this.#partial.subarray(0, this.#held))
      this.#partial = grown
    }
    const count = Math.max(0, Math.min(size - this.#held, bytes.length - at))
    this.#partial.set(bytes.subarray(at, at + count), this.#held)
    this.#held += count
    return count
  }
}
