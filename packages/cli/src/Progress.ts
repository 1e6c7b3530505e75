/**
 * A sign of life during long operations, on standard error and only where that is a terminal.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { byteText } from "./internal/byteText.ts"

/** Where progress is shown: takes text as it is, or is absent. Default: standard error, if it is a terminal. @since 0.1.0 */
export const ProgressLine: Context.Reference<((text: string) => void) | undefined> = Context.Reference<
  ((text: string) => void) | undefined
>("@aster-effect/cli/ProgressLine", {
  defaultValue: () =>
    process.stderr.isTTY && process.env["TERM"] !== "dumb" ? (text) => void process.stderr.write(text) : undefined
})

const signs = ["-", "\\", "|", "/"]

const clear = "\r\u001b[K"

/** Shows the line of each step while the effect runs, and wipes it afterwards. */
const shown = <A, E, R>(line: (step: number, millis: number) => string, effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(ProgressLine, (write) => {
    if (write === undefined) return effect
    const turn = Effect.gen(function* () {
      const start = yield* Clock.currentTimeMillis
      // What is done at once needs no announcement.
      yield* Effect.sleep("200 millis")
      for (let step = 0; ; step++) {
        write(clear + line(step, (yield* Clock.currentTimeMillis) - start))
        yield* Effect.sleep("120 millis")
      }
    })
    return Effect.raceFirst(effect, turn).pipe(Effect.ensuring(Effect.sync(() => write(clear))))
  })

/** Shows `label` with a turning sign while the effect runs, and wipes it afterwards. @since 0.1.0 */
export const during = <A, E, R>(label: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  shown((step) => `${signs[step % signs.length]} ${label}`, effect)

/** How far something has got. @since 0.1.0 */
export interface Measure {
  /** In bytes. */
  readonly done: number
  /** In bytes; absent while it is not known. */
  readonly total?: number | undefined
  /** Which of several things is under way, from 1; stands in for the bytes where their total is not known. */
  readonly part?: { readonly number: number; readonly of: number } | undefined
}

const WIDTH = 24

const bar = (share: number): string => {
  const full = Math.round(Math.min(1, share) * WIDTH)
  return `[${"#".repeat(full)}${"-".repeat(WIDTH - full)}] ${String(Math.floor(Math.min(1, share) * 100)).padStart(3)} %`
}

const measureText = ({ done, part, total }: Measure, millis: number): string => {
  const share = total !== undefined ? done / Math.max(1, total) : part && (part.number - 1) / part.of
  const amount = total === undefined ? byteText(done) : `${byteText(done)} of ${byteText(total)}`
  return [
    ...(share === undefined ? [] : [bar(share)]),
    ...(part === undefined ? [] : [`${part.number} of ${part.of}`]),
    amount,
    `${byteText((done * 1000) / Math.max(1, millis))}/s`
  ].join("  ")
}

/**
 * Shows `label` with a bar while an effect runs that reports how far it has got, and wipes it afterwards. Reporting only
 * takes a note, so it may happen as often as it likes.
 *
 * @since 0.1.0
 */
export const measured = <A, E, R>(
  label: string,
  run: (report: (measure: Measure) => Effect.Effect<void>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let last: Measure | undefined
    const report = (measure: Measure) =>
      Effect.sync(() => {
        last = measure
      })
    return shown(
      (step, millis) =>
        last === undefined ? `${signs[step % signs.length]} ${label}` : `${label}  ${measureText(last, millis)}`,
      run(report)
    )
  })
