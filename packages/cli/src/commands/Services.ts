/**
 * `aster services`.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as flags from "../internal/flags.ts"
import { jsonText } from "../internal/jsonText.ts"
import { printable } from "../internal/printable.ts"
import { profileHint } from "../internal/profileHint.ts"
import { Locations, resolve } from "../Locations.ts"

/** @since 0.1.0 */
export const command = Command.make(
  "services",
  {
    address: Argument.String("address").pipe(
      Argument.withDescription("The producer: ticket, base64 address or endpoint id (default: ASTER_ENDPOINT_ADDR)"),
      Argument.optional
    ),
    json: flags.json,
    rcan: flags.rcan,
    timeout: flags.timeout("Time for everything")
  },
  Effect.fn("aster services")(function* (options) {
    const locations = yield* Locations
    const { connect } = yield* Effect.promise(() => import("../internal/connecting.ts"))
    yield* Effect.scoped(
      Effect.gen(function* () {
        const { attributes, openGate, rootPubkey, services } = yield* connect({
          address: Option.getOrUndefined(options.address),
          credentialFile: Option.getOrUndefined(Option.map(options.rcan, (file) => resolve(locations, file))),
          timeoutSeconds: options.timeout
        })
        const offered = services.toSorted((a, b) =>
          a.name === b.name ? a.version - b.version : a.name < b.name ? -1 : 1
        )
        if (options.json) {
          const listed = offered.map(({ contractId, name, pattern, serializationModes, version }) => ({
            name,
            version,
            contract_id: contractId === "" ? null : contractId,
            scope: pattern,
            // Producers leave out what is the default.
            serialization_modes: serializationModes.length === 0 ? ["xlang", "json"] : serializationModes
          }))
          const root = /[1-9a-f]/.test(rootPubkey) ? rootPubkey : null
          return yield* Console.log(
            jsonText({ root_pubkey: root, attributes: Object.fromEntries(attributes), services: listed })
          )
        }
        for (const { contractId, name, pattern, version } of offered) {
          const scope = pattern === "session" ? "  session" : ""
          yield* Console.log(
            printable(`${name} v${version}  ${contractId === "" ? "(no contract)" : contractId}${scope}`)
          )
        }
        if (offered.length === 0) yield* Console.log("The producer offers no services.")
        const role = attributes.get("aster.role")
        if (!openGate && role !== undefined) yield* Console.log(printable(`Admitted with: ${role}`))
      })
    )
  })
).pipe(
  Command.withDescription("List what a producer offers"),
  Command.withExamples([
    { command: "aster services aster1... --rcan ops.cred", description: "As an enrolled consumer" }
  ]),
  Command.provideEffectDiscard(profileHint)
)
