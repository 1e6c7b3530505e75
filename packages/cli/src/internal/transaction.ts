import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import type { FileError } from "@aster-effect/config/FileError"
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"

/** One place to change. `before` looks at what it holds and answers how to bring that back. */
export interface Step<E, R> {
  readonly before: Effect.Effect<Effect.Effect<unknown, unknown, R>, E, R>
  readonly change: Effect.Effect<unknown, E, R>
}

/** A place whose content is known. */
export const place = <E, R>(
  change: Effect.Effect<unknown, E, R>,
  restore: Effect.Effect<unknown, unknown, R>
): Step<E, R> => ({ before: Effect.succeed(restore), change })

/** A file of text: gets back what it held, or is removed when it was not there. */
export const file = (path: string, change: Effect.Effect<void, FileError>): Step<FileError, never> => ({
  before: BoundedFile.read(path).pipe(
    Effect.map(({ text }) => AtomicFile.write(path, text)),
    Effect.catchIf(
      ({ code }) => code === "ENOENT",
      () => Effect.succeed(Effect.tryPromise(() => fs.rm(path, { force: true })))
    )
  ),
  change
})

const changeAll = <E, R>([step, ...rest]: ReadonlyArray<Step<E, R>>): Effect.Effect<void, E, R> =>
  step === undefined
    ? Effect.void
    : Effect.flatMap(step.before, (restore) =>
        Effect.andThen(step.change, changeAll(rest)).pipe(
          Effect.tapError(() =>
            Effect.catchCause(restore, (cause) => Effect.logWarning("cannot restore what was there before", cause))
          )
        )
      )

/** Changes every place or none: when one fails, all before it get back what they held, and the failure is passed on. */
export const run = <E, R = never>(steps: ReadonlyArray<Step<E, R>>): Effect.Effect<void, E, R> =>
  Effect.uninterruptible(changeAll(steps))
