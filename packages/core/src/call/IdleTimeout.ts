/**
 * One time limit for many waits.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"

/**
 * Interrupts fibers that wait longer than a time limit. The limit is the same for all of them, so that one sleeper is
 * enough: a timer each would cost more than what most of them wait for.
 *
 * @since 0.1.0
 */
export class IdleTimeout {
  readonly #limit: number
  /** Who waits, and until when; the first to come is the first to be due. */
  readonly #waiting = new Map<Fiber.Fiber<unknown, unknown>, number>()
  readonly #filled = Latch.makeUnsafe(false)

  constructor(limit: Duration.Duration) {
    this.#limit = Duration.toMillis(limit)
  }

  /** The effect, unless it takes longer than the limit: then the fiber that runs it is interrupted. */
  guard<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      this.#waiting.set(fiber, fiber.getRef(Clock.Clock).currentTimeMillisUnsafe() + this.#limit)
      if (this.#waiting.size === 1) this.#filled.openUnsafe()
      return Effect.onExit(effect, () => {
        this.#waiting.delete(fiber)
        return Effect.void
      })
    })
  }

  /** The sleeper; to be run beside the fibers. */
  readonly interrupt: Effect.Effect<never> = Effect.forever(
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      for (const [fiber, due] of this.#waiting) {
        if (due > now) return Effect.sleep(due - now)
        this.#waiting.delete(fiber)
        fiber.interruptUnsafe()
      }
      this.#filled.closeUnsafe()
      return this.#filled.await
    })
  )
}
