import { AsterClient, type ConnectFailure } from "@aster-effect/client/AsterClient"
import type { BindError } from "@aster-effect/iroh/NodeError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type CliFailure, refused } from "../CliFailure.ts"
import * as Progress from "../Progress.ts"
import { clientConfig } from "./clientConfig.ts"

/** Which producer to connect to, and as whom. */
export interface Target {
  /** Absent: the one that the environment names. */
  readonly address: string | undefined
  /** The absolute path of the credential to show; without one, that of the environment, if any. */
  readonly credentialFile: string | undefined
  /** For everything, connecting included. */
  readonly timeoutSeconds: number
}

/** A client of a producer. */
export const client = ({ address, credentialFile, timeoutSeconds }: Target) =>
  AsterClient.layer({
    address,
    config: clientConfig(credentialFile),
    enrollmentCredentialFile: credentialFile,
    connectTimeout: Duration.seconds(Math.min(timeoutSeconds, 10))
  })

/** A client of a producer, for as long as the scope lasts. */
export const connect = (
  target: Target
): Effect.Effect<AsterClient["Service"], CliFailure | ConnectFailure | BindError, Scope.Scope> => {
  const { timeoutSeconds } = target
  const connected = Effect.timeoutOrElse(Layer.build(client(target)), {
    duration: Duration.seconds(timeoutSeconds),
    orElse: () => Effect.fail(refused(`no connection within ${timeoutSeconds} s; more with --timeout`))
  })
  return Effect.map(Progress.during("Connecting", connected), Context.get(AsterClient))
}
