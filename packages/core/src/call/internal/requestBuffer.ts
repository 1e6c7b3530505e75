import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"

/** Bytes of requests that may wait for a handler before the peer has to wait. */
const HIGH_WATER = 256 * 1024

/** What a request weighs apart from its bytes, so that tiny ones do not pile up either. */
const OVERHEAD = 256

/**
 * Requests of a streaming client on their way to a handler. They are bounded by the bytes they came from and not by
 * their number alone: a handler that takes its time must not make a server hold hundreds of the largest messages.
 */
export class RequestBuffer {
  #requests: Array<unknown> = []
  #weight = 0
  #ended = false
  readonly #filled = Latch.makeUnsafe(false)
  readonly #room = Latch.makeUnsafe(true)

  /** @param size bytes, after decompression */
  add(request: unknown, size: number): void {
    this.#requests.push(request)
    this.#weight += size + OVERHEAD
  }

  /** No requests come after those that were added. */
  end(): void {
    this.#ended = true
  }

  /** Whether enough is waiting for now. */
  get full(): boolean {
    return this.#weight >= HIGH_WATER
  }

  /** To be run after requests were added or ended: wakes the handler, and waits while too much is waiting. */
  readonly added: Effect.Effect<void> = Effect.suspend(() => {
    if (this.full) this.#room.closeUnsafe()
    return Effect.andThen(this.#filled.open, this.#room.await)
  })

  readonly stream: Stream.Stream<unknown> = Stream.fromPull(Effect.succeed(Effect.suspend(() => this.#take())))

  #take(): Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>, Cause.Done> {
    const requests = this.#requests
    if (Arr.isArrayNonEmpty(requests)) {
      this.#requests = []
      this.#weight = 0
      this.#room.openUnsafe()
      return Effect.succeed(requests)
    }
    if (this.#ended) return Cause.done()
    this.#filled.closeUnsafe()
    return Effect.flatMap(this.#filled.await, () => this.#take())
  }
}
