import { AsterClient, type ConnectFailure } from "@aster-effect/client/AsterClient"
import type { BindError } from "@aster-effect/iroh/NodeError"
import type { PublishedContract } from "@aster-effect/registry/PublishedContract"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type CliFailure, refused } from "../CliFailure.ts"
import * as Progress from "../Progress.ts"
import { client, type Target } from "./connecting.ts"

/** What to ask a producer for. */
export interface Request extends Target {
  readonly address: string
  /** Names of services; all of them when there is none. */
  readonly services: ReadonlyArray<string>
}

/** The contracts that a producer has published of what it offers. */
export const published = Effect.fnUntraced(function* (
  request: Request
): Effect.fn.Return<ReadonlyArray<PublishedContract>, CliFailure | ConnectFailure | BindError, Scope.Scope> {
  const { timeoutSeconds } = request
  const all = Effect.gen(function* () {
    const aster = Context.get(yield* Progress.during("Connecting", Layer.build(client(request))), AsterClient)
    return yield* Progress.during("Reading the contracts", contracts(aster, request))
  })
  return yield* Effect.timeoutOrElse(all, {
    duration: Duration.seconds(timeoutSeconds),
    orElse: () => Effect.fail(refused(`no answer within ${timeoutSeconds} s; more with --timeout`))
  })
})

const contracts = (
  aster: AsterClient["Service"],
  { services }: Request
): Effect.Effect<ReadonlyArray<PublishedContract>, CliFailure> =>
  Effect.forEach(
    aster.services.filter(({ name }) => services.length === 0 || services.includes(name)),
    ({ name, version }) => Effect.mapError(aster.contract(name, version), notPublished)
  )

/** Why a contract cannot be had. */
export const notPublished = ({ message }: { readonly message: string }): CliFailure =>
  refused(`${message}; a manifest file says as much, from \`aster contract gen\` at the producer's place`)
