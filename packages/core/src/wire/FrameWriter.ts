/**
 * Frames that leave on a channel.
 *
 * @since 0.1.0
 */
import { Writer } from "@aster-effect/fory"
import * as Effect from "effect/Effect"
import type { CallChannel, ChannelError, DirectBytes } from "./CallChannel.ts"
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

/** What is in a larger buffer leaves in it, unless it is much less than the buffer. */
const MAX_COPIED = 64 * 1024

/** Buffers of calls that are over or have nothing to send: a new one for every call would cost more than encoding. */
const idle: Array<Writer> = []
const MAX_IDLE = 64

/** The same of large messages. For each new one V8 would sooner look at all objects there are, to find those it can free. */
const idleLarge: Array<Writer> = []
/** Bytes that the large ones may keep. */
const MAX_IDLE_LARGE = 6 * 1024 * 1024
let idleLargeBytes = 0

/** Whether large ones were used since the last collection. Those that were not are left to the next one. */
let used = false
let watched = false
const collections = new FinalizationRegistry<undefined>(() => {
  watched = false
  if (used) return watch()
  idleLarge.length = 0
  idleLargeBytes = 0
})
const watch = (): void => {
  used = false
  watched = true
  collections.register({}, undefined)
}

const acquire = (): Writer => {
  const large = idleLarge.pop()
  if (large === undefined) return idle.pop() ?? new Writer()
  idleLargeBytes -= large.buffer.length
  return large
}

/** Keeps a buffer that nobody uses any more. */
const release = (writer: Writer): void => {
  const { length } = writer.buffer
  writer.reset()
  if (length <= MAX_COPIED) {
    if (idle.length < MAX_IDLE) idle.push(writer)
  } else if (idleLargeBytes + length <= MAX_IDLE_LARGE) {
    idleLargeBytes += length
    idleLarge.push(writer)
    if (!watched) watch()
    used = true
  }
}

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
    return (this.#held ??= acquire())
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
    this.#held = undefined
    const bytes = writer.bytes()
    if (leavesAsItIs(writer)) return bytes
    const copy = smallCopy(bytes)
    release(writer)
    return copy
  }

  /** Sends everything collected so far; the writer starts over. To be run once: the memory is others' afterwards. */
  send(channel: CallChannel): Effect.Effect<void, ChannelError> {
    const writer = this.#writer
    if (!leavesAsItIs(writer)) return channel.send(this.take())
    this.#held = undefined
    return Effect.map(channel.send(writer.bytes()), () => release(writer))
  }

  /** The same, if the channel takes it at once. */
  trySend(channel: DirectBytes): boolean {
    const writer = this.#writer
    if (!channel.trySend(writer.bytes())) return false
    this.#held = undefined
    release(writer)
    return true
  }
}

/** Whether the bytes of a writer need not be copied, as they are most of what would be kept for them. */
const leavesAsItIs = ({ buffer, position }: Writer): boolean =>
  buffer.length > MAX_COPIED && 2 * position >= buffer.length
