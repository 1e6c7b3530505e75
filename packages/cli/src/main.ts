/**
 * The process around the `aster` command: arguments, terminal, keyring and exit code.
 *
 * @since 0.1.0
 */
import { endAtSecondSignal } from "@aster-effect/platform-node/NodeRuntime"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Aster from "./Aster.ts"
import { Keyring } from "./Keyring.ts"

const environment = Layer.mergeAll(
  NodeServices.layer,
  Keyring.layerOs,
  // A variable that is set to nothing says something else than one that is not set.
  ConfigProvider.layer(ConfigProvider.fromEnv({ preserveEmptyStrings: true }))
)

/** Runs the process's arguments and ends the process: 0 success, 1 refusal or failure, 2 usage, 130 interrupted. */
export const main = (): void => {
  // Whoever reads no further has what it wants, as in "| head".
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code === "EPIPE") process.exit(0)
      throw cause
    })
  }
  // Node.js 22 calls SQLite experimental, which is nothing that users of a command need to hear.
  const { emitWarning } = process
  process.emitWarning = ((warning: string | Error, ...rest: ReadonlyArray<never>) => {
    if (!String(warning).startsWith("SQLite is an experimental"))
      Reflect.apply(emitWarning, process, [warning, ...rest])
  }) as typeof process.emitWarning
  endAtSecondSignal()
  NodeRuntime.runMain(Effect.provide(Aster.run(process.argv.slice(2)), environment), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => {
      if (Exit.isSuccess(exit)) return onExit(Number(exit.value))
      return onExit(Cause.hasInterruptsOnly(exit.cause) ? 130 : 1)
    }
  })
}
