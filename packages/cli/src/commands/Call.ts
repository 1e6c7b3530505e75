/**
 * `aster call`.
 *
 * @since 0.1.0
 */
import { CodecError } from "@aster-effect/core/message/CodecError"
import * as JsonText from "@aster-effect/core/message/JsonText"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type CliFailure, refused } from "../CliFailure.ts"
import * as flags from "../internal/flags.ts"
import { jsonText } from "../internal/jsonText.ts"
import { profileHint } from "../internal/profileHint.ts"
import { Locations, resolve } from "../Locations.ts"

/** `Service.method`, split at the last dot: services may have dots in their names, methods have none. */
const splitMethod = (
  text: string
): Effect.Effect<{ readonly service: string; readonly method: string }, CliFailure> => {
  const at = text.lastIndexOf(".")
  return at > 0 && at < text.length - 1
    ? Effect.succeed({ service: text.slice(0, at), method: text.slice(at + 1) })
    : Effect.fail(refused(`"${text}": expected Service.method, for example TaskRunner.run_task`))
}

/** A request's fields; integers of 64 bits keep their value. */
const parseRequest = (text: string): Effect.Effect<{ readonly [field: string]: unknown }, CliFailure> =>
  Effect.try({
    try: () => JsonText.parse(new TextEncoder().encode(text), true),
    catch: (cause) => refused(`the request is not JSON: ${cause instanceof CodecError ? cause.message : String(cause)}`)
  }).pipe(
    Effect.flatMap((json) =>
      typeof json === "object" && json !== null && !Array.isArray(json)
        ? Effect.succeed(json as { readonly [field: string]: unknown })
        : Effect.fail(refused('the request must be a JSON object, like {"task_id":"t-1"}'))
    )
  )

/** @since 0.1.0 */
export const command = Command.make(
  "call",
  {
    address: Argument.String("address").pipe(
      Argument.withDescription("The producer: ticket, base64 address or endpoint id")
    ),
    method: Argument.String("method").pipe(Argument.withDescription("Service.method")),
    request: Argument.String("json").pipe(
      Argument.withDescription("The request, a JSON object (default: {})"),
      Argument.withDefault("{}")
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Accepted for scripts of release 0.1.2; the answer is always JSON"),
      Flag.withDefault(false)
    ),
    rcan: flags.rcan,
    timeout: flags.timeout("Time for everything")
  },
  Effect.fn("aster call")(function* (options) {
    const { method, service } = yield* splitMethod(options.method)
    const request = yield* parseRequest(options.request)
    const locations = yield* Locations
    // Everything about the network is loaded for this command only.
    const { call } = yield* Effect.promise(() => import("../internal/call.ts"))
    const answer = yield* Effect.scoped(
      call({
        address: options.address,
        service,
        method,
        request,
        credentialFile: Option.getOrUndefined(Option.map(options.rcan, (file) => resolve(locations, file))),
        timeoutSeconds: options.timeout
      })
    )
    yield* Console.log(jsonText(answer))
  })
).pipe(
  Command.withDescription("Call a method once, JSON in and JSON out"),
  Command.withExamples([
    {
      command: `aster call aster1... TaskRunner.run_task '{"task_id":"t-1","payload":"p"}'`,
      description: "Without a credential"
    },
    {
      command: `aster call aster1... TaskRunner.run_task '{"task_id":"t-1","payload":"p"}' --rcan ops.cred`,
      description: "With one"
    }
  ]),
  Command.provideEffectDiscard(profileHint)
)
