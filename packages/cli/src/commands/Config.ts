/**
 * `aster config show`.
 *
 * @since 0.1.0
 */
import { AsterConfig, type Resolved } from "@aster-effect/config/AsterConfig"
import type { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as ConfigReport from "@aster-effect/config/ConfigReport"
import * as ClientTrust from "@aster-effect/trust/ClientTrust"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import * as ServerTrust from "@aster-effect/trust/ServerTrust"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { printable } from "../internal/printable.ts"
import { profileHint } from "../internal/profileHint.ts"
import { Locations } from "../Locations.ts"

/**
 * The root key in force and who is let in. A server settles both, and finds the same conflicts here that it would find
 * when it starts; where the identity file has consumer entries only, a client settles the key, and nobody is let in.
 */
const outcome = Effect.fnUntraced(function* (
  config: Resolved
): Effect.fn.Return<ConfigReport.ReportOptions, AsterConfigError> {
  const peers = config.identity?.file.peers ?? []
  if (peers.length > 0 && peers.every(({ role }) => role === "consumer")) {
    return yield* ClientTrust.resolve(config).pipe(
      Effect.map(({ root }) => ({ root })),
      // An expired credential is no reason to show nothing.
      Effect.catchIf(
        ({ reason }) => reason === "ExpiredCredential",
        (error) => Effect.as(Effect.logWarning(error.message), {})
      )
    )
  }
  const { consumers, producers, root } = yield* ServerTrust.resolve(config)
  return {
    root: root._tag === "Pinned" ? root.anchor : undefined,
    allowed: { consumers: consumers === "open", producers: producers === "open" }
  }
})

/** What nobody would accept is shown nevertheless, with a warning. */
const warnOfUnsigned = ({ identity }: Resolved) =>
  Effect.forEach(
    identity?.file.peers ?? [],
    (peer) =>
      Effect.fromResult(CredentialFile.fromEntry(peer, identity?.label ?? "")).pipe(
        Effect.catch(({ message }) => Effect.logWarning(`${message} (entry "${peer.name ?? ""}")`))
      ),
    { discard: true }
  )

const show = Command.make(
  "show",
  {
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print one JSON document"), Flag.withDefault(false)),
    file: Flag.String("file").pipe(
      Flag.withMetavar("path"),
      Flag.withDescription("A configuration file in TOML, such as aster.toml; the environment beats it"),
      Flag.optional
    )
  },
  Effect.fn("aster config show")(function* ({ file, json }) {
    const locations = yield* Locations
    const config = yield* AsterConfig.load({
      file: Option.getOrUndefined(file),
      workingDirectory: locations.directory
    })
    const options = yield* outcome(config)
    yield* warnOfUnsigned(config)
    yield* Console.log(printable(json ? ConfigReport.toJson(config, options) : ConfigReport.format(config, options)))
  })
).pipe(
  Command.withDescription(
    "Show every setting with where it comes from: environment, TOML file, identity file, default"
  ),
  Command.withExamples([{ command: "aster config show --file aster.toml --json", description: "As JSON" }])
)

/** @since 0.1.0 */
export const command = Command.make("config").pipe(
  Command.withDescription("Look at the configuration"),
  Command.withSubcommands([show]),
  Command.provideEffectDiscard(profileHint)
)
