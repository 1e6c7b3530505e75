import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import type { BlobStoreError } from "../BlobError.ts"

/** Blobs that are stored at a time. */
const PLACES = 64

/** Largest blob that is stored beside those after it, in bytes: all that are under way hold 4 MiB. */
export const MAX_ASIDE = 65_536

type Storing = Effect.Effect<void, BlobStoreError>

/**
 * Small blobs that are stored while the next ones arrive: those under way together share a wait for the disk. What was
 * begun is done whatever happens to those who began it, who are to wait for it before they end.
 */
export class Aside {
  readonly #places = Semaphore.makeUnsafe(PLACES)
  #failed: Exit.Exit<never, BlobStoreError> | undefined
  #stored: Array<Effect.Effect<void>> = []

  /** Tells of what was stored, to those who wait for it and in their fiber. Fails when something could not be. */
  readonly #outcome: Storing = Effect.suspend(() => {
    const tell = this.#stored
    this.#stored = []
    return Effect.andThen(
      Effect.forEach(tell, (effect) => effect, { discard: true }),
      Effect.suspend(() => this.#failed ?? Effect.void)
    )
  })

  /**
   * Begins to store what `begin` answers, and goes on once there is room for the next. `tell` is run with this or a later
   * call, after it was stored. Fails when an earlier one did. Unless `begin` is called, nothing was begun.
   */
  store(begin: () => Storing, tell: Effect.Effect<void>): Storing {
    return Effect.uninterruptibleMask((restore) => {
      const storing = Effect.matchCause(begin(), {
        onFailure: (cause) => {
          this.#failed ??= Exit.failCause(cause)
        },
        onSuccess: () => {
          this.#stored.push(tell)
        }
      })
      return this.#places
        .withPermit(storing)
        .pipe(
          Effect.uninterruptible,
          Effect.forkDetach({ startImmediately: true }),
          Effect.andThen(restore(this.#places.withPermit(Effect.void))),
          Effect.andThen(restore(this.#outcome))
        )
    })
  }

  /** Waits until nothing is under way. */
  readonly quiet: Effect.Effect<void> = this.#places.withPermits(PLACES)(Effect.void)

  /** Waits for all that was begun. Fails when something could not be stored. */
  readonly settled: Storing = Effect.andThen(this.quiet, this.#outcome)
}
