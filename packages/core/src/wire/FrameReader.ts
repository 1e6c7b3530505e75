/**
 * Frames that arrive on a channel.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { CallChannel, ChannelError } from "./CallChannel.ts"
import { type Frame, FrameDecoder, type FrameError } from "./Frame.ts"

/** Frames of a channel: those that have arrived, and one at a time. */
export class FrameReader {
  readonly #decoder = new FrameDecoder()
  readonly #channel: CallChannel
  #received = 0

  constructor(channel: CallChannel) {
    this.#channel = channel
  }

  /** Whether the length of the first frame has arrived. */
  get begun(): boolean {
    return this.#received >= 4
  }

  /** What has arrived behind the last frame. */
  get rest(): Uint8Array {
    return this.#decoder.rest
  }

  /** A frame that is already here. Throws `FrameError`. */
  poll(): Frame | undefined {
    return this.#decoder.next()
  }

  /** Takes bytes that have come already. */
  push(bytes: Uint8Array): void {
    this.#received += bytes.length
    this.#decoder.push(bytes)
  }

  /** Nothing more comes. Throws `FrameError` when that is within a frame. */
  end(): void {
    this.#decoder.end()
  }

  /** Waits for more bytes; false when the peer has finished its half between frames. To be run when `poll` has nothing. */
  get more(): Effect.Effect<boolean, FrameError | ChannelError> {
    const { receiveInto } = this.#channel
    const room = receiveInto === undefined ? undefined : this.#decoder.room
    const receive = room === undefined || receiveInto === undefined ? this.#channel.receive : receiveInto(room)
    return Effect.flatMap(receive, (bytes) => {
      if (bytes !== undefined) {
        this.push(bytes)
        return succeedTrue
      }
      try {
        this.end()
        return succeedFalse
      } catch (error) {
        return Effect.fail(error as FrameError)
      }
    })
  }

  /** The next frame, undefined when the peer has finished its half between frames. */
  get next(): Effect.Effect<Frame | undefined, FrameError | ChannelError> {
    return Effect.suspend(() => {
      try {
        const frame = this.#decoder.next()
        return frame === undefined
          ? Effect.flatMap(this.more, (more) => (more ? this.next : Effect.undefined))
          : Effect.succeed(frame)
      } catch (error) {
        return Effect.fail(error as FrameError)
      }
    })
  }
}

const succeedTrue = Effect.succeed(true)
const succeedFalse = Effect.succeed(false)
