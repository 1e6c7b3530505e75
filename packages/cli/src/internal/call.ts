import { AsterClient, type ConnectFailure, type ServiceNotOffered } from "@aster-effect/client/AsterClient"
import type { JsonMessage } from "@aster-effect/client/DynamicClient"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import type { BindError } from "@aster-effect/iroh/NodeError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type CliFailure, refused } from "../CliFailure.ts"
import * as Progress from "../Progress.ts"
import { clientConfig } from "./clientConfig.ts"

/** One call. */
export interface Call {
  readonly address: string
  readonly service: string
  readonly method: string
  readonly request: JsonMessage
  /** The absolute path of the credential to show; without one, that of the environment, if any. */
  readonly credentialFile: string | undefined
  /** For everything, connecting included. */
  readonly timeoutSeconds: number
}

const streamAdvice =
  "aster call makes single calls; call streams from a program, with AsterClient.proxy and its serverStream, " +
  "clientStream or bidi"

/** What an outcome means for somebody at a terminal. */
const explained = ({ method, service, timeoutSeconds }: Call, error: RpcError): CliFailure => {
  const what = `${service}.${method}: ${error.message}`
  if (error.is("PERMISSION_DENIED")) {
    return refused(
      `permission denied: ${what}\nShow a credential that has the role the method needs: --rcan PATH, made with ` +
        "aster enroll node --capabilities"
    )
  }
  if (error.is("DEADLINE_EXCEEDED")) {
    return refused(
      `timed out: ${what} (${timeoutSeconds} s; more with --timeout)\n` +
        `If the method takes a stream of requests: ${streamAdvice}`
    )
  }
  return refused(error.is("UNAVAILABLE") ? `the producer is unavailable: ${what}` : `${error.status}: ${what}`)
}

/** Asks as for a stream, which shows methods that answer more or less than once. */
const answerOf = Effect.fnUntraced(function* (
  aster: AsterClient["Service"],
  call: Call,
  deadline: number
): Effect.fn.Return<unknown, CliFailure | ServiceNotOffered> {
  const summary = aster.services.find(({ name }) => name === call.service)
  if (summary?.pattern === "session") {
    return yield* refused(`${call.service} is a session service, and aster call cannot open sessions yet`)
  }
  const proxy = yield* aster.proxy(call.service)
  const timeout = Math.max(1, deadline - (yield* Clock.currentTimeMillis))
  const answers = yield* proxy.serverStream(call.method, call.request, { timeout }).pipe(
    Stream.take(2),
    Stream.runCollect,
    Effect.mapError((error) => explained(call, error))
  )
  if (answers.length === 1) return answers[0]
  return yield* refused(`${call.service}.${call.method} answers with a stream: ${streamAdvice}`)
})

/** Connects, calls once and disconnects. */
export const call = Effect.fnUntraced(function* (
  options: Call
): Effect.fn.Return<unknown, CliFailure | ConnectFailure | BindError | ServiceNotOffered, Scope.Scope> {
  const deadline = (yield* Clock.currentTimeMillis) + options.timeoutSeconds * 1000
  const timeout = Duration.seconds(options.timeoutSeconds)
  const client = AsterClient.layer({
    address: options.address,
    config: clientConfig(options.credentialFile),
    enrollmentCredentialFile: options.credentialFile,
    connectTimeout: Duration.min(timeout, Duration.seconds(10))
  })
  const context = yield* Progress.during(
    "Connecting",
    Effect.timeoutOrElse(Layer.build(client), {
      duration: timeout,
      orElse: () => Effect.fail(refused(`no connection within ${options.timeoutSeconds} s; more with --timeout`))
    })
  )
  return yield* Progress.during(
    `Calling ${options.service}.${options.method}`,
    answerOf(Context.get(context, AsterClient), options, deadline)
  )
})
