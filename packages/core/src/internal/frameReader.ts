import * as Effect from "effect/Effect"
import type { CallChannel, ChannelError } from "../CallChannel.ts"
import { type Frame, FrameDecoder, type FrameError } from "../Frame.ts"

/** Frames of a channel, one at a time or as many as have arrived. */
export class FrameReader {
  readonly #decoder = new FrameDecoder()
  readonly #channel: CallChannel
  #received = 0
  /** The next frame, undefined when the peer has finished its half between frames. */
  readonly next: Effect.Effect<Frame | undefined, FrameError | ChannelError>

  constructor(channel: CallChannel) {
    this.#channel = channel
    this.next = Effect.suspend(() => this.#next())
  }

  /** Whether the length of the first frame has arrived. */
  get begun(): boolean {
    return this.#received >= 4
  }

  /** A frame that is already here. Throws `FrameError`. */
  poll(): Frame | undefined {
    return this.#decoder.next()
  }

  #next(): Effect.Effect<Frame | undefined, FrameError | ChannelError> {
    try {
      const frame = this.#decoder.next()
      return frame === undefined
        ? Effect.flatMap(this.#channel.receive, (bytes) => this.#more(bytes))
        : Effect.succeed(frame)
    } catch (error) {
      return Effect.fail(error as FrameError)
    }
  }

  #more(bytes: Uint8Array | undefined): Effect.Effect<Frame | undefined, FrameError | ChannelError> {
    if (bytes !== undefined) {
      this.#received += bytes.length
      this.#decoder.push(bytes)
      return this.#next()
    }
    try {
      this.#decoder.end()
      return Effect.succeed(undefined)
    } catch (error) {
      return Effect.fail(error as FrameError)
    }
  }
}
