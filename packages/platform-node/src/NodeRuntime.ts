/**
 * Programs as processes of Node.js.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * Runs a program that ends well when it is told to: SIGINT (Ctrl+C) and SIGTERM close every scope and the process exits
 * with 0. A failure exits with 1; errors say what to do, so their message on one line of standard error is all that is
 * printed of them, while defects are logged with their stack.
 *
 * `NodeRuntime.runMain` of `@effect/platform-node` does as well for programs that want 130 after a signal and the whole
 * cause of a failure.
 *
 * @since 0.1.0
 */
export const runMain = <A, E>(program: Effect.Effect<A, E>): void =>
  NodeRuntime.runMain(Effect.tapCause(program, report), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })

const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  const error = Cause.squash(cause)
  const expected = error instanceof Error && !Cause.hasDies(cause)
  return expected ? Console.error(`error: ${error.message}`) : Effect.logError(cause)
}
