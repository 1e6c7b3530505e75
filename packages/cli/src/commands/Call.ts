/**
 * `aster call`.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type CliFailure, misused, refused } from "../CliFailure.ts"
import * as flags from "../internal/flags.ts"
import { profileHint } from "../internal/profileHint.ts"
import * as requestText from "../internal/requestText.ts"
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

/** What stands on the command line: the address may be left to the environment, and no address has a dot. */
const positions = (args: ReadonlyArray<string>) => {
  const [first = "", ...rest] = args
  const [address, method, request, ...excess] = first.includes(".") ? [undefined, ...args] : [first, ...rest]
  if (excess.length > 0) return Effect.fail(misused("too many arguments: expected [address] Service.method [json]"))
  return method === undefined
    ? Effect.fail(misused("expected [address] Service.method [json]"))
    : Effect.succeed({ address, method, request: request ?? "{}" })
}

/** `key=value`, as often as it is given. */
const metadataOf = (pairs: ReadonlyArray<string>): Effect.Effect<{ readonly [key: string]: string }, CliFailure> =>
  Effect.map(
    Effect.forEach(pairs, (pair) => {
      const at = pair.indexOf("=")
      return at > 0
        ? Effect.succeed([pair.slice(0, at), pair.slice(at + 1)] as const)
        : Effect.fail(misused(`--metadata ${pair}: expected key=value`))
    }),
    Object.fromEntries
  )

/** @since 0.1.0 */
export const command = Command.make(
  "call",
  {
    args: Argument.String("[address] Service.method [json]").pipe(
      Argument.withDescription(
        "The producer (ticket, base64 address or endpoint id; default: ASTER_ENDPOINT_ADDR), the method, and the request: " +
          "a JSON object, - for standard input or @file (default: {})"
      ),
      Argument.variadic({ min: 1, max: 4 })
    ),
    stream: Flag.Boolean("stream").pipe(
      Flag.withDescription("Send every line of the request by itself as it comes, and print every answer on a line"),
      Flag.withDefault(false)
    ),
    metadata: Flag.String("metadata").pipe(
      Flag.withAlias("m"),
      Flag.withMetavar("key=value"),
      Flag.withDescription("Metadata of the call; may be repeated"),
      Flag.between(0, 64)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Accepted for scripts of release 0.1.2; the answer is always JSON"),
      Flag.withDefault(false)
    ),
    rcan: flags.rcan,
    timeout: flags.timeout("Time for everything")
  },
  Effect.fn("aster call")(function* (options) {
    const given = yield* positions(options.args)
    const { method, service } = yield* splitMethod(given.method)
    const metadata = yield* metadataOf(options.metadata)
    const locations = yield* Locations
    const at = (file: string) => resolve(locations, file)
    const deadline = (yield* Clock.currentTimeMillis) + options.timeout * 1000
    const [first, ...others] = options.stream ? [] : yield* requestText.request(given.request, at)
    const several = [...(first === undefined ? [] : [first]), ...others]
    // Everything about the network is loaded for this command only.
    const { call } = yield* Effect.promise(() => import("../internal/call.ts"))
    const { connect } = yield* Effect.promise(() => import("../internal/connecting.ts"))
    const Stream = yield* Effect.promise(() => import("effect/Stream"))
    const requests =
      first !== undefined && others.length === 0
        ? ({ _tag: "One", request: first } as const)
        : ({
            _tag: "Many",
            requests: options.stream ? yield* requestText.requests(given.request, at) : Stream.fromIterable(several)
          } as const)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const aster = yield* connect({
          address: given.address,
          credentialFile: Option.getOrUndefined(Option.map(options.rcan, at)),
          timeoutSeconds: options.timeout
        })
        yield* call(aster, {
          service,
          method,
          requests,
          metadata,
          lines: options.stream,
          timeoutSeconds: options.timeout,
          deadline
        })
      })
    )
  })
).pipe(
  Command.withDescription("Call a method once, JSON in and JSON out; streams have one object a line"),
  Command.withExamples([
    {
      command: `aster call aster1... TaskRunner.run_task '{"task_id":"t-1","payload":"p"}'`,
      description: "Without a credential"
    },
    {
      command: `aster call aster1... TaskRunner.run_task '{"task_id":"t-1","payload":"p"}' --rcan ops.cred`,
      description: "With one"
    },
    {
      command: "aster call TaskRunner.run_task @task.json",
      description: "The producer that ASTER_ENDPOINT_ADDR names"
    },
    {
      command: "tail -f lines.ndjson | aster call aster1... Log.append - --stream",
      description: "A stream of requests"
    }
  ]),
  Command.provideEffectDiscard(profileHint)
)
