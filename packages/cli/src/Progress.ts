/**
 * A sign of life during long operations, on standard error and only where that is a terminal.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Where progress is shown: takes text as it is, or is absent. Default: standard error, if it is a terminal. @since 0.1.0 */
export const ProgressLine: Context.Reference<((text: string) => void) | undefined> = Context.Reference<
  ((text: string) => void) | undefined
>("@aster-effect/cli/ProgressLine", {
  defaultValue: () =>
    process.stderr.isTTY && process.env["TERM"] !== "dumb" ? (text) => void process.stderr.write(text) : undefined
})

const signs = ["-", "\\", "|", "/"]

/** Shows `label` with a turning sign while the effect runs, and wipes it afterwards. @since 0.1.0 */
export const during = <A, E, R>(label: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(ProgressLine, (write) => {
    if (write === undefined) return effect
    const turn = Effect.gen(function* () {
      // What is done at once needs no announcement.
      yield* Effect.sleep("200 millis")
      for (let step = 0; ; step++) {
        write(`\r\u001b[K${signs[step % signs.length]} ${label}`)
        yield* Effect.sleep("120 millis")
      }
    })
    return Effect.raceFirst(effect, turn).pipe(Effect.ensuring(Effect.sync(() => write("\r\u001b[K"))))
  })
