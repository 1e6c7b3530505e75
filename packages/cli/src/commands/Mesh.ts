/**
 * `aster mesh status`.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as flags from "../internal/flags.ts"

const status = Command.make(
  "status",
  {
    state: Flag.String("state").pipe(
      Flag.withMetavar("path"),
      Flag.withDescription(
        "Directory of the producer's mesh_state.json (default: ASTER_MESH_STATE_DIR, then the storage path, then ~/.aster)"
      ),
      Flag.optional
    ),
    json: flags.json
  },
  Effect.fn("aster mesh status")(function* ({ json, state }) {
    const { status } = yield* Effect.promise(() => import("../internal/mesh/status.ts"))
    yield* status(Option.getOrUndefined(state), json)
  })
).pipe(
  Command.withDescription("Show what a producer on this machine knows of the others of its deployment"),
  Command.withExamples([
    { command: "aster mesh status", description: "Who is accepted, until when, and whose clock is wrong" },
    { command: "aster mesh status --state /var/lib/aster --json", description: "The same for scripts" }
  ])
)

/** @since 0.1.0 */
export const command = Command.make("mesh").pipe(
  Command.withDescription("The producers of a deployment"),
  Command.withSubcommands([status])
)
