import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * Runs a program that ends well when it is told to: Ctrl+C and SIGTERM close every scope and exit with 0. Errors say
 * what to do, so their message is all that is printed of them.
 */
export const runMain = <E>(program: Effect.Effect<void, E>): void =>
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
