/**
 * Programs as processes of Node.js.
 *
 * @since 0.1.0
 */
import * as Logging from "@aster-effect/observability/Logging"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * Runs a program that ends well when it is told to: SIGINT (Ctrl+C) and SIGTERM close every scope, so that servers drain,
 * and the process exits with 0. A second signal ends it at once, with 130 or 143. A failure exits with 1; errors say what
 * to do, so their message on one line of standard error is all that is printed of them, while defects are logged with
 * their stack.
 *
 * Where the program has not said how to log, it logs to standard error as `ASTER_LOG_FORMAT`, `ASTER_LOG_LEVEL` and
 * `ASTER_LOG_MASK` say.
 *
 * `NodeRuntime.runMain` of `@effect/platform-node` does as well for programs that want 130 after a signal, the whole cause
 * of a failure, and Effect's own logger.
 *
 * @since 0.1.0
 */
export const runMain = <A, E>(program: Effect.Effect<A, E>): void => {
  endAtSecondSignal()
  NodeRuntime.runMain(program.pipe(Effect.tapCause(report), Effect.provide(Logging.layerEnv)), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
}

const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  const error = Cause.squash(cause)
  const expected = error instanceof Error && !Cause.hasDies(cause)
  return expected ? Console.error(`error: ${error.message}`) : Effect.logError(cause)
}

/** npm sends a signal on that the terminal has sent already; nobody presses Ctrl+C twice in this many milliseconds. */
const ECHO = 500

/**
 * From the second SIGINT or SIGTERM on the process ends at once, whatever it is doing: for programs that end in order at
 * the first one.
 *
 * @since 0.1.0
 */
export const endAtSecondSignal = (): void => {
  let first: number | undefined
  const onSignal = (code: number) => () => {
    first ??= performance.now()
    if (performance.now() - first >= ECHO) process.exit(code)
  }
  process.on("SIGINT", onSignal(130))
  process.on("SIGTERM", onSignal(143))
}
