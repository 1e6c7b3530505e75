import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** Runs a program that ends well when it is told to: Ctrl+C and SIGTERM close every scope and exit with 0. */
export const runMain = <E>(program: Effect.Effect<void, E>): void =>
  NodeRuntime.runMain(program, {
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
