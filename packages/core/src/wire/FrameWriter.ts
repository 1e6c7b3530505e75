/**
 * Frames that leave on a channel.
 *
 * @since 0.1.0
 */
import { Writer } from "@aster-effect/fory"
import { compress } from "./Compression.ts"
import { encodeStatus, OK, type RpcStatus } from "./Control.ts"
import { COMPRESSED, FrameError, HEADER_SIZE, TRAILER, encode, writeHeader } from "./Frame.ts"
import { COMPRESSION_THRESHOLD, MAX_DECOMPRESSED_SIZE, MAX_PAYLOAD_SIZE } from "../Limits.ts"
import type { Encoding, MessageCodec } from "../message/MessageCodec.ts"
import { smallCopy } from "./SmallCopy.ts"

/** What ends a successful call, whole frame. */
const OK_TRAILER: { readonly [E in Encoding]: Uint8Array } = {
  xlang: encode(encodeStatus(OK, "xlang"), TRAILER),
  json: encode(encodeStatus(OK, "json"), TRAILER)
}

/** Buffers larger than this are not kept for other calls. */
const MAX_KEPT = 64 * 1024

/** Buffers of calls that are over or have nothing to send: a new one for every call would cost more than encoding. */
const idle: Array<Writer> = []
const MAX_IDLE = 64

/** Collects frames in one buffer, so that many of them leave in one write. */
export class FrameWriter {
  #held: Writer | undefined
  readonly encoding: Encoding
  readonly compresses: boolean

  /** @param compresses whether the peer can read compressed data frames */
  constructor(encoding: Encoding, compresses: boolean) {
    this.encoding = encoding
    this.compresses = compresses
  }

  /** Bytes waiting to be taken. */
  get size(): number {
    return this.#held?.position ?? 0
  }

  get #writer(): Writer {
    return (this.#held ??= idle.pop() ?? new Writer())
  }

  /** Appends whole frames as they are. */
  raw(frames: Uint8Array): void {
    this.#writer.append(frames)
  }

  /** Appends a data frame. Throws `CodecError` and `FrameError` and then leaves nothing behind. */
  message<A>(codec: MessageCodec<A>, value: A): void {
    const writer = this.#writer
    const start = writer.reserve(HEADER_SIZE)
    try {
      codec.write(writer, value, this.encoding)
      let flags = 0
      const size = writer.position - start - HEADER_SIZE
      if (size > MAX_DECOMPRESSED_SIZE) {
        throw new FrameError("Oversized", `A message of ${size} bytes: at most ${MAX_DECOMPRESSED_SIZE} can be read`)
      }
      if (this.compresses && size > COMPRESSION_THRESHOLD) {
        const compressed = compress(writer.bytes().subarray(start + HEADER_SIZE))
        if (compressed !== undefined) {
          flags = COMPRESSED
          writer.position = start + HEADER_SIZE
          writer.append(compressed)
        }
      }
      writeHeader(writer.buffer, start, writer.position - start - HEADER_SIZE, flags)
    } catch (error) {
      writer.position = start
      throw error
    }
  }

  /** Appends the frame that ends a call; details that do not fit a frame are left out. */
  trailer(status: RpcStatus): void {
    if (status === OK) return this.#writer.append(OK_TRAILER[this.encoding])
    const payload = encodeStatus(status, this.encoding)
    this.#writer.append(
      encode(
        payload.length <= MAX_PAYLOAD_SIZE
          ? payload
          : encodeStatus({ ...status, detailKeys: [], detailValues: [] }, this.encoding),
        TRAILER
      )
    )
  }

  /** Everything collected so far; the writer starts over. */
  take(): Uint8Array {
    const writer = this.#writer
    const bytes = writer.bytes()
    this.#held = undefined
    const capacity = writer.buffer.length
    // What nobody else writes to need not be copied, unless it would keep much more than itself.
    if (capacity > MAX_KEPT && 2 * bytes.length >= capacity) return bytes
    const copy = smallCopy(bytes)
    if (capacity <= MAX_KEPT && idle.length < MAX_IDLE) {
      writer.reset()
      idle.push(writer)
    }
    return copy
  }
}
