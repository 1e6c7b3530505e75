/**
 * Frames: how messages are laid out on a stream (Aster RPC wire, frames).
 *
 * ```
 * length   4 bytes, unsigned, little endian: 1 + payload size
 * flags    1 byte
 * payload  length - 1 bytes
 * ```
 *
 * Frames follow each other without padding, and a stream's chunk boundaries mean nothing. Nothing resynchronises: after
 * a `FrameError` the rest of the stream is unusable.
 *
 * @since 0.1.0
 */
import { MAX_FRAME_SIZE } from "../Limits.ts"

/** Data frames: the payload is a zstd frame of the serialized message. @since 0.1.0 */
export const COMPRESSED = 0x01

/** Last frame of a server's answer, and end of a client's input in sessions. @since 0.1.0 */
export const TRAILER = 0x02

/** First frame a client sends on a stream. @since 0.1.0 */
export const HEADER = 0x04

/** Row mode: the schema before the first item. @since 0.1.0 */
export const ROW_SCHEMA = 0x08

/** Session streams: a call begins. @since 0.1.0 */
export const CALL = 0x10

/** Session streams: the running call is cancelled. @since 0.1.0 */
export const CANCEL = 0x20

/** Bytes before the payload. @since 0.1.0 */
export const HEADER_SIZE = 5

const LENGTH_SIZE = 4

/** A frame as read. Test single bits of `flags`: unassigned bits are passed through and mean nothing. @since 0.1.0 */
export interface Frame {
  readonly flags: number
  readonly payload: Uint8Array
}

/**
 * Why bytes are not a frame, or why a frame cannot be written.
 *
 * - `ZeroLength`: the length field is 0, but it counts the flags byte;
 * - `Oversized`: the length field would be, or is, above the limit;
 * - `Truncated`: the stream ended inside a frame;
 * - `EmptyPayload`: writing only; a frame without payload needs TRAILER or CANCEL. Readers pass such frames on, and the
 *   empty payload fails in the decoder of the message.
 *
 * @since 0.1.0
 */
export class FrameError extends Error {
  readonly _tag = "FrameError"
  override readonly name = "FrameError"
  readonly reason: "ZeroLength" | "Oversized" | "Truncated" | "EmptyPayload"

  constructor(reason: FrameError["reason"], message: string) {
    super(message)
    this.reason = reason
  }
}

/**
 * Writes the five bytes before a payload of `payloadLength` bytes at `offset`, and answers the offset behind them: for
 * writers that serialize into one buffer and leave room for the header.
 *
 * Throws a `FrameError` (`Oversized`, `EmptyPayload`) before anything is written.
 *
 * @since 0.1.0
 */
export const writeHeader = (target: Uint8Array, offset: number, payloadLength: number, flags: number): number => {
  const length = payloadLength + 1
  if (length > MAX_FRAME_SIZE) {
    throw new FrameError(
      "Oversized",
      `A payload of ${payloadLength} bytes does not fit a frame: at most ${MAX_FRAME_SIZE - 1}`
    )
  }
  if (payloadLength === 0 && (flags & (TRAILER | CANCEL)) === 0) {
    throw new FrameError("EmptyPayload", "A frame without payload needs the TRAILER or the CANCEL flag")
  }
  target[offset] = length
  target[offset + 1] = length >>> 8
  target[offset + 2] = length >>> 16
  target[offset + 3] = length >>> 24
  target[offset + 4] = flags
  return offset + HEADER_SIZE
}

/**
 * One frame as bytes. `flags` is 0 to 255.
 *
 * Throws a `FrameError` (`Oversized`, `EmptyPayload`).
 *
 * @since 0.1.0
 */
export const encode = (payload: Uint8Array, flags: number): Uint8Array => {
  // Above the limit there is no frame to allocate for: the header writer refuses before it touches its target.
  const frame = new Uint8Array(payload.length < MAX_FRAME_SIZE ? HEADER_SIZE + payload.length : 0)
  frame.set(payload, writeHeader(frame, 0, payload.length, flags))
  return frame
}

/** @since 0.1.0 */
export interface FrameDecoderOptions {
  /** Largest length field accepted, in bytes. Default `MAX_FRAME_SIZE`. */
  readonly maxLength?: number | undefined
}

/** A frame that spans several chunks is gathered in a buffer that starts no larger than this. */
const FIRST_GATHER_SIZE = 4_096

/** What is left of smaller payloads may as well be copied. */
const MIN_ROOM = 16_384

const NO_BYTES = new Uint8Array(0)

/** Memory that is written before anybody reads it, so that it need not be cleared. */
const uninitialized = (size: number): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)

/** Where large payloads are gathered at first, one at a time: what they outgrow need not be made anew for each. */
const SPARE_SIZE = 256 * 1024
let spare: Uint8Array | undefined

/** For a payload of so many bytes, when so many of them have come. */
const memoryFor = (announced: number, filled: number): Uint8Array => {
  if (8 * filled >= announced) return uninitialized(announced)
  if (announced > SPARE_SIZE && filled < SPARE_SIZE && spare !== undefined) {
    const found = spare
    spare = undefined
    return found
  }
  const size = Math.min(announced, Math.max(FIRST_GATHER_SIZE, 4 * filled))
  // What is about as large becomes the next spare.
  return uninitialized(size <= SPARE_SIZE && 2 * size > SPARE_SIZE && announced > SPARE_SIZE ? SPARE_SIZE : size)
}

/**
 * Turns the chunks of a stream into frames, whatever the chunk boundaries are.
 *
 * Push a chunk, then call `next` until it answers `undefined`. A payload that lies within one chunk is a view of that
 * chunk, so a pushed chunk must not be written to afterwards; a payload that spans chunks is a copy. The memory in use
 * follows the bytes that arrived, not the length a peer announced.
 *
 * Once `next` has thrown a `FrameError` (`ZeroLength`, `Oversized`) it throws it forever.
 *
 * @since 0.1.0
 */
export class FrameDecoder {
  readonly #maxLength: number
  /** Chunks not yet looked at; only filled when a caller pushes again before draining. */
  readonly #queue: Array<Uint8Array> = []
  #chunk: Uint8Array = NO_BYTES
  #offset = 0
  /** The bytes of a header that was cut by the end of a chunk. */
  readonly #header = new Uint8Array(HEADER_SIZE)
  #headerFilled = 0
  /** The bytes of a payload that was cut by the end of a chunk: its flags, its announced size, what has arrived. */
  #gathering = false
  #flags = 0
  #payloadSize = 0
  #payload: Uint8Array = NO_BYTES
  #payloadFilled = 0
  #failure: FrameError | undefined = undefined

  constructor(options?: FrameDecoderOptions) {
    this.#maxLength = options?.maxLength ?? MAX_FRAME_SIZE
  }

  /** Hands over the next bytes of the stream. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    if (this.#offset < this.#chunk.length) {
      this.#queue.push(chunk)
    } else {
      this.#chunk = chunk
      this.#offset = 0
    }
  }

  /**
   * Where the rest of a large payload that has been cut goes, once `next` has answered `undefined`: bytes that were put
   * at the start of it and pushed as a view of it are not copied.
   */
  get room(): Uint8Array | undefined {
    if (!this.#gathering || this.#payloadSize - this.#payloadFilled < MIN_ROOM) return undefined
    if (this.#payloadFilled === this.#payload.length) this.#grow(this.#payloadFilled)
    return this.#payload.subarray(this.#payloadFilled)
  }

  /** The next whole frame, or `undefined` when more bytes are needed. Throws a `FrameError`. */
  next(): Frame | undefined {
    while (true) {
      const frame = this.#fromChunk()
      if (frame !== undefined) return frame
      const chunk = this.#queue.shift()
      this.#chunk = chunk ?? NO_BYTES
      this.#offset = 0
      if (chunk === undefined) return undefined
    }
  }

  /** What follows the frame that `next` answered last in the chunk that brought its end. */
  get rest(): Uint8Array {
    return this.#chunk.subarray(this.#offset)
  }

  /**
   * Says that the stream has ended; call it once `next` has answered `undefined`. Throws a `FrameError` (`Truncated`)
   * when the stream ended inside a frame.
   */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#gathering || this.#headerFilled > 0 || this.#offset < this.#chunk.length) {
      const missing = this.#gathering
        ? `${this.#payloadFilled} of ${this.#payloadSize} payload bytes had arrived`
        : "its header had not arrived as a whole"
      throw new FrameError("Truncated", `The stream ended inside a frame: ${missing}`)
    }
  }

  /** One frame from the current chunk; without one, all bytes of the chunk have been taken over. */
  #fromChunk(): Frame | undefined {
    if (this.#failure !== undefined) throw this.#failure
    const chunk = this.#chunk
    if (this.#gathering) return this.#gather()
    if (this.#headerFilled > 0) return this.#completeHeader()
    const offset = this.#offset
    const available = chunk.length - offset
    if (available < HEADER_SIZE) {
      return available === 0 ? undefined : this.#completeHeader()
    }
    const size = this.#payloadSizeAt(chunk, offset)
    const flags = chunk[offset + LENGTH_SIZE]!
    const start = offset + HEADER_SIZE
    this.#offset = start
    return available - HEADER_SIZE >= size ? this.#take(flags, size) : this.#startGathering(flags, size)
  }

  #take(flags: number, size: number): Frame {
    const payload = new Uint8Array(this.#chunk.buffer, this.#chunk.byteOffset + this.#offset, size)
    this.#offset += size
    return { flags, payload }
  }

  #payloadSizeAt(bytes: Uint8Array, offset: number): number {
    const length =
      (bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24)) >>> 0
    if (length === 0) {
      this.#failure = new FrameError("ZeroLength", "A frame announced length 0, but its length counts the flags byte")
      throw this.#failure
    }
    if (length > this.#maxLength) {
      this.#failure = new FrameError(
        "Oversized",
        `A frame announced ${length} bytes; at most ${this.#maxLength} are accepted`
      )
      throw this.#failure
    }
    return length - 1
  }

  /** Fills the cut header from the chunk. The length is judged as soon as its four bytes are there. */
  #completeHeader(): Frame | undefined {
    const header = this.#header
    const chunk = this.#chunk
    while (this.#headerFilled < HEADER_SIZE && this.#offset < chunk.length) {
      header[this.#headerFilled++] = chunk[this.#offset++]!
    }
    if (this.#headerFilled < LENGTH_SIZE) return undefined
    const size = this.#payloadSizeAt(header, 0)
    if (this.#headerFilled < HEADER_SIZE) return undefined
    this.#headerFilled = 0
    const flags = header[LENGTH_SIZE]!
    return chunk.length - this.#offset >= size ? this.#take(flags, size) : this.#startGathering(flags, size)
  }

  #startGathering(flags: number, size: number): Frame | undefined {
    this.#gathering = true
    this.#flags = flags
    this.#payloadSize = size
    this.#payload = NO_BYTES
    this.#payloadFilled = 0
    return this.#gather()
  }

  #gather(): Frame | undefined {
    const available = this.#chunk.length - this.#offset
    const taken = Math.min(available, this.#payloadSize - this.#payloadFilled)
    if (taken > 0) {
      const filled = this.#payloadFilled + taken
      if (this.#chunk.buffer !== this.#payload.buffer) {
        if (filled > this.#payload.length) this.#grow(filled)
        this.#payload.set(this.#chunk.subarray(this.#offset, this.#offset + taken), this.#payloadFilled)
      }
      this.#offset += taken
      this.#payloadFilled = filled
    }
    if (this.#payloadFilled < this.#payloadSize) return undefined
    const frame = { flags: this.#flags, payload: this.#payload }
    this.#gathering = false
    this.#payload = NO_BYTES
    return frame
  }

  /** To some times what is there, so that many small chunks cost little, and never beyond what was announced. */
  #grow(needed: number): void {
    const gathered = this.#payload
    const grown = memoryFor(this.#payloadSize, needed)
    grown.set(gathered.subarray(0, this.#payloadFilled))
    if (gathered.length === SPARE_SIZE) spare = gathered
    this.#payload = grown
  }
}
