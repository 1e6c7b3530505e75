import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"

/** Bytes in memory that requests may take which wait for a handler, before the peer has to wait. */
const HIGH_WATER = 1024 * 1024

/**
 * Requests of a streaming client on their way to a handler. They are bounded by what they take in memory and not by their
 * number: a handler that takes its time must not make a server hold hundreds of the largest messages.
 */
export class RequestBuffer {
  #requests: Array<unknown> = []
  #weight = 0
  readonly #taken: (weight: number) => void
  #ended = false
  readonly #filled = Latch.makeUnsafe(false)
  readonly #room = Latch.makeUnsafe(true)

  /** @param taken told what requests weigh that the handler has taken */
  constructor(taken: (weight: number) => void) {
    this.#taken = taken
  }

  /** @param weight bytes in memory */
  add(request: unknown, weight: number): void {
    this.#requests.push(request)
    this.#weight += weight
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
      this.#taken(this.#weight)
      this.#weight = 0
      this.#room.openUnsafe()
      return Effect.succeed(requests)
    }
    if (this.#ended) return Cause.done()
    this.#filled.closeUnsafe()
    return Effect.flatMap(this.#filled.await, () => this.#take())
  }
}
