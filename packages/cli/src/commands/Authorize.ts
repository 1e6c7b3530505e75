/**
 * `aster authorize`: credentials as token files, for nodes that keep their key to themselves.
 *
 * @since 0.1.0
 */
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import type { Credential } from "@aster-effect/trust/Credential"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { misused, refused } from "../CliFailure.ts"
import * as flags from "../internal/flags.ts"
import * as issue from "../internal/issue.ts"
import { profileHint } from "../internal/profileHint.ts"
import * as Lifetime from "../Lifetime.ts"
import { Locations, resolve } from "../Locations.ts"
import * as ProfileStore from "../ProfileStore.ts"
import * as RootKeyChange from "../RootKeyChange.ts"
import * as RootKeySource from "../RootKeySource.ts"

const shared = {
  attributes: flags.attributes,
  expires: flags.expires,
  rootKey: flags.rootKey,
  profile: flags.profile,
  out: flags.out("enrollment.token", "Token file to write, mode 0600")
}

interface Shared extends Omit<issue.Flags, "capabilities"> {
  readonly rootKey: Option.Option<string>
  readonly profile: Option.Option<string>
  readonly out: string
}

const findKey = Effect.fnUntraced(function* ({ profile, rootKey }: Shared) {
  yield* RootKeyChange.recover
  const store = yield* ProfileStore.load
  return yield* RootKeySource.find({ keyFile: rootKey, profile: yield* ProfileStore.choose(store, profile), store })
})

const requireEndpointId = (flag: string, text: string) =>
  /^[0-9a-f]{64}$/.test(text)
    ? Effect.succeed(text)
    : Effect.fail(refused(`${flag}: an endpoint id has 64 lower-case hex characters`))

/** A token may replace a token, but never a key or an identity that was named by mistake. */
const requireReplaceable = Effect.fnUntraced(function* (file: string) {
  const found = yield* Effect.result(BoundedFile.read(file))
  if (found._tag === "Failure") return found.failure.code === "ENOENT" ? undefined : yield* found.failure
  if (/^\s*\{/.test(found.success.text) && /"signature"/.test(found.success.text)) return undefined
  return yield* refused(`${file} exists and is no token; choose another --out`)
})

const write = Effect.fnUntraced(function* (credential: Credential, { out }: Shared) {
  const file = resolve(yield* Locations, out)
  yield* requireReplaceable(file)
  yield* CredentialFile.write(file, credential)
  const type = credential.kind === "producer" ? "producer" : credential.type
  yield* Console.log(`Token:    ${file}`)
  yield* Console.log(`Type:     ${type}`)
  yield* Console.log(`Node:     ${credential.endpointId ?? "any"}`)
  yield* Console.log(`Root key: ${credential.rootPubkey.slice(0, 16)}...`)
  yield* Console.log(`Expires:  ${Lifetime.formatExpiry(Number(credential.expiresAt))}`)
  if (credential.endpointId === undefined) {
    yield* Effect.logWarning(
      "the token is bound to no node, so whoever sees it can use it; bind it with --endpoint-id if you know the node"
    )
  }
})

const consumer = Command.make(
  "consumer",
  {
    ...shared,
    type: flags.type,
    capabilities: flags.capabilities,
    endpointId: Flag.String("endpoint-id").pipe(
      Flag.withMetavar("hex"),
      Flag.withDescription("The one node that may present it, 64 lower-case hex characters (default: any)"),
      Flag.optional
    )
  },
  Effect.fn("aster authorize consumer")(function* (options) {
    const endpointId = Option.isSome(options.endpointId)
      ? yield* requireEndpointId("--endpoint-id", options.endpointId.value)
      : undefined
    const key = yield* findKey(options)
    yield* write(yield* issue.consumer(key, { type: options.type, endpointId }, options, "consumer"), options)
  })
).pipe(
  Command.withDescription("Write a token that lets a consumer in"),
  Command.withExamples([
    {
      command: "aster authorize consumer --capabilities ops.status --endpoint-id <64 hex> --out ops.token",
      description: "A credential for one node"
    },
    { command: "aster authorize consumer --type ott --expires 1h", description: "A token that works once" }
  ])
)

/** Without a subcommand: a producer's token, as in release 0.1.2. */
const producer = Effect.fn("aster authorize")(function* (
  options: Shared & { readonly producerId: Option.Option<string> }
) {
  if (Option.isNone(options.producerId)) {
    return yield* misused("say whom: aster authorize consumer ..., or for a producer --producer-id <64 hex>")
  }
  const endpointId = yield* requireEndpointId("--producer-id", options.producerId.value)
  const key = yield* findKey(options)
  yield* write(yield* issue.producer(key, endpointId, { ...options, capabilities: Option.none() }), options)
})

/** @since 0.1.0 */
export const command = Command.make(
  "authorize",
  {
    ...shared,
    producerId: Flag.String("producer-id").pipe(
      Flag.withMetavar("hex"),
      Flag.withDescription("The producer's endpoint id, 64 lower-case hex characters"),
      Flag.optional
    )
  },
  producer
).pipe(
  Command.withDescription("Write a token that lets a node in; without a subcommand, a producer's"),
  Command.withSubcommands([consumer]),
  Command.provideEffectDiscard(profileHint)
)
