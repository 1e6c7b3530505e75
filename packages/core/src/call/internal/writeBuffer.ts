import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { CallChannel, ChannelError } from "../../wire/CallChannel.ts"
import type { FrameWriter } from "../../wire/FrameWriter.ts"

/** Bytes that may wait before whoever produces them has to wait too. */
const HIGH_WATER = 256 * 1024

/**
 * Frames on their way out. While one write is under way, frames gather for the next: crossing to the network costs far
 * more per write than per message.
 */
export class WriteBuffer {
  readonly frames: FrameWriter
  readonly #channel: CallChannel
  readonly #filled = Latch.makeUnsafe(false)
  readonly #room = Latch.makeUnsafe(true)
  #closed = false
  #sending = 0
  #failure: ChannelError | undefined

  constructor(channel: CallChannel, frames: FrameWriter) {
    this.#channel = channel
    this.frames = frames
  }

  /** Whether enough is waiting for now. */
  get full(): boolean {
    return this.frames.size >= HIGH_WATER
  }

  /** To be run after frames were added: wakes the writer, and waits while too much is waiting. */
  readonly added: Effect.Effect<void, ChannelError> = Effect.suspend(() => {
    if (this.#failure !== undefined) return Effect.fail(this.#failure)
    if (this.frames.size === 0) return Effect.void
    this.#filled.openUnsafe()
    if (!this.full) return Effect.void
    this.#room.closeUnsafe()
    return Effect.andThen(this.#room.await, this.added)
  })

  /** Bytes that have not left yet. */
  get pending(): number {
    return this.frames.size + this.#sending
  }

  /** No frames come after those that were added. */
  close(): void {
    this.#closed = true
    this.#filled.openUnsafe()
  }

  /** Writes until closed and empty. Fails when the channel does; so does whoever adds frames afterwards. */
  readonly run: Effect.Effect<void, ChannelError> = Effect.suspend(() =>
    Effect.tapError(writeAll(this), (failure) =>
      Effect.sync(() => {
        this.#failure = failure
        this.#room.openUnsafe()
      })
    )
  )

  /** The next write, or undefined when everything has been written. */
  step(): Effect.Effect<void, ChannelError> | undefined {
    this.#sending = 0
    if (this.frames.size > 0) {
      this.#sending = this.frames.size
      const sending = this.frames.send(this.#channel)
      this.#room.openUnsafe()
      return sending
    }
    if (this.#closed) return undefined
    this.#filled.closeUnsafe()
    return this.#filled.await
  }
}

const writeAll = Effect.fnUntraced(function* (writes: WriteBuffer) {
  for (let step = writes.step(); step !== undefined; step = writes.step()) yield* step
})
