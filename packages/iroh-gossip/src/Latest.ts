/**
 * A value that changes, for many to follow.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** A value that changes. Who follows it slowly misses values between, never the last one. */
export class Latest<A> {
  #value: A
  #version = 0
  #ended = false
  #news = Deferred.makeUnsafe<void>()

  constructor(value: A) {
    this.#value = value
  }

  get value(): A {
    return this.#value
  }

  set(value: A): void {
    this.#value = value
    this.#version++
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** The value now, and each that it changes to. */
  get changes(): Stream.Stream<A> {
    return Stream.suspend(() =>
      Stream.unfold(-1, (seen) => {
        const next: Effect.Effect<readonly [A, number] | undefined> = Effect.suspend(() => {
          if (seen < this.#version) return Effect.succeed([this.#value, this.#version] as const)
          return this.#ended ? Effect.undefined : Effect.andThen(Deferred.await(this.#news), next)
        })
        return next
      })
    )
  }

  #wake(): void {
    const news = this.#news
    this.#news = Deferred.makeUnsafe()
    Deferred.doneUnsafe(news, Effect.void)
  }
}
