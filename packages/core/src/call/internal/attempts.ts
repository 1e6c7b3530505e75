import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import { Answer } from "../../interceptor/Interceptor.ts"
import type { RpcError } from "../../wire/RpcError.ts"

type Pull = Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>, unknown>

interface Attempt {
  readonly pull: Pull
  readonly metadata: () => ReadonlyMap<string, string>
  readonly over: Deferred.Deferred<Answer, RpcError>
}

/**
 * A stream whose interceptors are effects that last as long as it does. They run in a fiber of their own, where each
 * attempt waits until whoever pulls has seen its end; what they make of the last attempt is how the stream ends.
 */
export class Attempts {
  #current: Attempt | undefined
  #ended: Exit.Exit<unknown, unknown> | undefined
  /** Opened when another attempt begins, and when there will be none. */
  readonly #changed = Latch.makeUnsafe(false)

  /** One attempt, as interceptors see it: lasts until its responses have been pulled, or pulling them has failed. */
  run(pull: Pull, metadata: () => ReadonlyMap<string, string>): Effect.Effect<Answer, RpcError> {
    return Effect.suspend(() => {
      const attempt: Attempt = { pull, metadata, over: Deferred.makeUnsafe() }
      this.#current = attempt
      this.#changed.openUnsafe()
      return Effect.onExit(Deferred.await(attempt.over), () => Effect.sync(() => this.#leave(attempt)))
    })
  }

  /** The interceptors are done. */
  end(exit: Exit.Exit<unknown, unknown>): void {
    this.#ended = exit
    this.#changed.openUnsafe()
  }

  /** The next responses. */
  readonly pull: Pull = Effect.suspend(() => {
    if (this.#ended !== undefined) {
      return Exit.isSuccess(this.#ended) ? Cause.done() : Effect.failCause(this.#ended.cause)
    }
    this.#changed.closeUnsafe()
    const attempt = this.#current
    if (attempt === undefined) return this.#next
    return Effect.raceFirst(
      Effect.matchCauseEffect(attempt.pull, {
        onSuccess: (batch) => Effect.succeed(batch),
        onFailure: (cause) => {
          this.#leave(attempt)
          const done = cause.reasons.some((reason) => reason._tag === "Fail" && Cause.isDone(reason.error))
          Deferred.doneUnsafe(
            attempt.over,
            done ? Effect.succeed(new Answer(undefined, attempt.metadata())) : Effect.failCause(cause as never)
          )
          return this.#next
        }
      }),
      this.#next
    )
  })

  /** Once there is something new. */
  readonly #next: Pull = Effect.suspend(() => Effect.andThen(this.#changed.await, this.pull))

  #leave(attempt: Attempt): void {
    if (this.#current === attempt) this.#current = undefined
  }
}
