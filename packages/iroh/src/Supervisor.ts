/**
 * Loops that are to run as long as what they belong to. One that fails is started again, later each time; one that fails
 * again and again is given up, which is said in the log and to whoever asks for it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"

/** Remembers the loops that were given up. @since 0.1.0 */
export interface Supervisor {
  readonly giveUp: (loop: string) => void
  readonly givenUp: () => ReadonlyArray<string>
}

/** @since 0.1.0 */
export const make = (): Supervisor => {
  const loops = new Set<string>()
  return { giveUp: (loop) => void loops.add(loop), givenUp: () => [...loops] }
}

/**
 * The supervisor of whatever is made in this context. A server provides one to all that it is made of, and is not ready any
 * more when that has given up a loop. Default: one for the process.
 *
 * @since 0.1.0
 */
export const Supervisor = Context.Reference<Supervisor>("@aster-effect/iroh/Supervisor", { defaultValue: make })

/** @since 0.1.0 */
export interface SuperviseOptions {
  /** Failures in a row after which the loop is given up. Default 8, which takes about a minute. */
  readonly maxFailures?: number | undefined
  /** How long a loop has to have run for its next failure to be the first again. Default 1 minute. */
  readonly soundAfter?: Duration.Input | undefined
}

const FIRST_WAIT = 250
const LONGEST_WAIT = 30_000

/**
 * Runs a loop until it ends by itself or is interrupted. The wait before it is started again is a quarter of a second at
 * first, twice as long each time, and at most 30 seconds.
 *
 * @param name what it is, for the log and for labels: "the accept loop of the router"
 * @since 0.1.0
 */
export const supervise = Effect.fnUntraced(function* <E, R>(
  name: string,
  loop: Effect.Effect<void, E, R>,
  options: SuperviseOptions = {}
): Effect.fn.Return<void, never, R> {
  const { maxFailures = 8 } = options
  const soundAfter = Duration.toMillis(Duration.fromInputUnsafe(options.soundAfter ?? "1 minute"))
  const supervisor = yield* Supervisor
  const restarts = Metric.counter("iroh_loop_failures_total", {
    description: "Failures of loops that are started again, by loop",
    attributes: { loop: name },
    incremental: true
  })
  let failures = 0
  while (true) {
    const begun = yield* Clock.monotonicTimeNanos
    const exit = yield* Effect.exit(loop)
    if (Exit.isSuccess(exit)) return
    const { cause } = exit
    if (Cause.hasInterruptsOnly(cause)) return yield* Effect.interrupt
    const ran = Number((yield* Clock.monotonicTimeNanos) - begun) / 1e6
    failures = ran >= soundAfter ? 1 : failures + 1
    yield* Metric.update(restarts, 1)
    if (failures >= maxFailures) {
      supervisor.giveUp(name)
      return yield* Effect.logError(
        `${name} failed ${failures} times in a row and is given up: restart the process`,
        cause
      )
    }
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1))
    yield* Effect.logError(`${name} failed and is started again in ${wait / 1000} s`, cause)
    yield* Effect.sleep(wait)
  }
})
