import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Data from "effect/Data"

/** What was waited for did not come. */
export class Never extends Data.TaggedError("Never")<{ readonly message: string }> {}

/** Looks again and again until something holds, for at most so long (default a minute); answers what was found last. */
export const eventually = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  holds: (found: A) => boolean,
  duration: Duration.Input = "1 minute"
): Effect.Effect<A, Never, R> => {
  let last: unknown
  return look.pipe(
    Effect.tap((found) => Effect.sync(() => (last = found))),
    Effect.tapError((error) => Effect.sync(() => (last = error))),
    Effect.mapError(() => notYet),
    Effect.filterOrFail(holds, () => notYet),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.timeoutOrElse({
      duration,
      orElse: () => Effect.suspend(() => Effect.fail(new Never({ message: `last seen: ${JSON.stringify(last)}` })))
    })
  )
}

const notYet = new Never({ message: "not yet" })
