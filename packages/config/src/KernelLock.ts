/**
 * Waiting for locks that other processes hold.
 *
 * @since 0.1.0
 */
import { setTimeout as delay } from "node:timers/promises"
import * as Effect from "effect/Effect"

const SQLITE_BUSY = 5

/** Whether SQLite says that somebody else has the lock. @since 0.1.0 */
export const isBusy = (cause: unknown): boolean =>
  typeof cause === "object" &&
  cause !== null &&
  "errcode" in cause &&
  typeof cause.errcode === "number" &&
  (cause.errcode & 0xff) === SQLITE_BUSY

/** @since 0.1.0 */
export interface AcquireOptions {
  /** How long somebody else may keep the lock, in milliseconds. Default 10,000. */
  readonly patience?: number | undefined
  /** Whether a failure means that somebody else has the lock. Default `isBusy`. */
  readonly isHeld?: ((cause: unknown) => boolean) | undefined
}

/**
 * Tries until the lock is free. That takes real time, whatever the clock of the program says: the others are other
 * processes.
 *
 * @since 0.1.0
 */
export const acquire = <A>(
  attempt: () => Promise<A>,
  { isHeld = isBusy, patience = 10_000 }: AcquireOptions = {}
): Effect.Effect<A, unknown> =>
  Effect.tryPromise({
    try: async (signal) => {
      const deadline = performance.now() + patience
      while (true) {
        try {
          return await attempt()
        } catch (cause) {
          if (!isHeld(cause) || performance.now() > deadline || signal.aborted) throw cause
        }
        // Of irregular length, so that two do not keep missing each other.
        await delay(5 + Math.random() * 10)
      }
    },
    catch: (cause) => cause
  })

/**
 * 20 milliseconds of real time after `begin` in which others get a lock that this process would at once take again.
 *
 * @since 0.1.0
 */
export const pause = (): { readonly begin: Effect.Effect<void>; readonly over: Effect.Effect<void> } => {
  let until = 0
  return {
    begin: Effect.sync(() => {
      until = performance.now() + 20
    }),
    over: Effect.suspend(() => {
      const left = until - performance.now()
      return left > 0 ? Effect.promise(() => delay(left)) : Effect.void
    })
  }
}
