/**
 * `aster shell`.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as flags from "../internal/flags.ts"
import { profileHint } from "../internal/profileHint.ts"
import { Locations, resolve } from "../Locations.ts"

/** @since 0.1.0 */
export const command = Command.make(
  "shell",
  {
    address: Argument.String("address").pipe(
      Argument.withDescription("The producer: ticket, base64 address or endpoint id (default: ASTER_ENDPOINT_ADDR)"),
      Argument.optional
    ),
    rcan: flags.rcan,
    timeout: flags.timeout("Time for connecting, and for each call that has one answer")
  },
  Effect.fn("aster shell")(function* ({ address, rcan, timeout }) {
    const locations = yield* Locations
    const { connect } = yield* Effect.promise(() => import("../internal/connecting.ts"))
    const { shell } = yield* Effect.promise(() => import("../internal/shell/shell.ts"))
    const target = {
      address: Option.getOrUndefined(address),
      credentialFile: Option.getOrUndefined(Option.map(rcan, (file) => resolve(locations, file))),
      timeoutSeconds: timeout
    }
    yield* Effect.scoped(Effect.flatMap(connect(target), (aster) => shell(aster, { timeoutSeconds: timeout })))
  })
).pipe(
  Command.withDescription(
    "Look at a producer's services and call them, line by line; from a pipe, a script of such lines"
  ),
  Command.withExamples([
    { command: "aster shell aster1...", description: "At a terminal: with completion, history and help" },
    {
      command: "aster shell aster1... < checks.aster",
      description: "A script; the first failure ends it with exit code 1"
    }
  ]),
  Command.provideEffectDiscard(profileHint)
)
