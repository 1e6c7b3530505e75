import type { AsterClient, ServiceNotOffered } from "@aster-effect/client/AsterClient"
import type { DynamicClient, JsonMessage } from "@aster-effect/client/DynamicClient"
import type { ServiceSummary } from "@aster-effect/core/contract/ServiceSummary"
import type { Pattern } from "@aster-effect/core/message/WireType"
import type * as Rpc from "@aster-effect/core/service/Rpc"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CliFailure, refused } from "../CliFailure.ts"
import * as Progress from "../Progress.ts"
import { jsonLine, jsonText } from "./jsonText.ts"
import { contractReader } from "./published.ts"

/** One call. */
export interface Call {
  /** Of the producer. */
  readonly address: string
  readonly service: string
  readonly method: string
  readonly requests: Requests
  readonly metadata: { readonly [key: string]: string }
  /** Print every answer as soon as it is there, one a line. */
  readonly lines: boolean
  /** For everything, connecting included. */
  readonly timeoutSeconds: number
  /** When that is over, in milliseconds since the Unix epoch. */
  readonly deadline: number
}

/** One request, or a stream of them, which only some methods take. */
export type Requests =
  | { readonly _tag: "One"; readonly request: JsonMessage }
  | { readonly _tag: "Many"; readonly requests: Stream.Stream<JsonMessage, CliFailure> }

/** What an outcome means for somebody at a terminal. */
export const explained = (
  { method, requests, service, timeoutSeconds }: Pick<Call, "method" | "requests" | "service" | "timeoutSeconds">,
  error: RpcError
): CliFailure => {
  const what = `${service}.${method}: ${error.message}`
  if (error.is("PERMISSION_DENIED")) {
    return refused(
      `permission denied: ${what}\nShow a credential that has the role the method needs: --rcan PATH, made with ` +
        "aster enroll node --capabilities"
    )
  }
  if (error.is("DEADLINE_EXCEEDED")) {
    const advice =
      requests._tag === "One" ? "\nIf the method takes a stream of requests: --stream, with one a line" : ""
    return refused(`timed out: ${what} (${timeoutSeconds} s; more with --timeout)${advice}`)
  }
  return refused(error.is("UNAVAILABLE") ? `the producer is unavailable: ${what}` : `${error.status}: ${what}`)
}

/**
 * What a method answers, as a stream. Asks as for a stream where it is not known what the method answers: one answer is
 * one item then. In a session that does not do, since single answers have no end of their own there.
 */
export const answersOf = (
  proxy: DynamicClient,
  { method, pattern, requests }: Pick<Call, "method" | "requests"> & { readonly pattern: Pattern | undefined },
  options: Rpc.CallOptions
): Stream.Stream<unknown, RpcError | CliFailure> => {
  if (requests._tag === "One") {
    return pattern === "unary"
      ? Stream.fromEffect(proxy.unary(method, requests.request, options))
      : proxy.serverStream(method, requests.request, options)
  }
  return pattern === "client_stream"
    ? Stream.fromEffect(proxy.clientStream(method, requests.requests, options))
    : proxy.bidi(method, requests.requests, options)
}

/**
 * Prints a single answer for reading, and several one a line. Whether there are several shows with the second, so the
 * first waits for it unless lines are wanted anyway.
 */
export const print = <E>(answers: Stream.Stream<unknown, E>, lines: boolean): Effect.Effect<void, E> =>
  Effect.suspend(() => {
    let first: Option.Option<unknown> = Option.none()
    let count = 0
    return Stream.runForEach(answers, (answer) => {
      count++
      if (!lines && count === 1) {
        first = Option.some(answer)
        return Effect.void
      }
      const held = Option.map(first, (value) => Console.log(jsonLine(value)))
      first = Option.none()
      return Effect.andThen(
        Option.getOrElse(held, () => Effect.void),
        Console.log(jsonLine(answer))
      )
    }).pipe(
      Effect.onExit(() =>
        // What had arrived when a stream broke off is worth no less.
        Option.match(first, { onNone: () => Effect.void, onSome: (answer) => Console.log(jsonText(answer)) })
      )
    )
  })

/** Calls once, in a session of its own where the service has sessions, and prints what comes back. */
export const call = Effect.fnUntraced(function* (
  aster: AsterClient["Service"],
  options: Call
): Effect.fn.Return<void, CliFailure | ServiceNotOffered, Scope.Scope> {
  // Of several versions the newest is called.
  const summary = aster.services
    .filter(({ name }) => name === options.service)
    .reduce<ServiceSummary | undefined>((a, b) => (a === undefined || b.version > a.version ? b : a), undefined)
  const inSession = summary?.pattern === "session"
  const pattern = inSession ? yield* patternOf(aster, options, summary.contractId) : undefined
  const proxy = yield* (inSession ? aster.sessionProxy(options.service) : aster.proxy(options.service)).pipe(
    Effect.catchTag("ServiceScopeMismatch", (error) => refused(error.message)),
    Effect.catchTag("RpcError", (error) => Effect.fail(explained(options, error)))
  )
  const timeout = Math.max(1, options.deadline - (yield* Clock.currentTimeMillis))
  const answers = answersOf(proxy, { ...options, pattern }, { timeout, metadata: options.metadata }).pipe(
    Stream.mapError((error) => (error instanceof CliFailure ? error : explained(options, error)))
  )
  yield* Progress.during(`Calling ${options.service}.${options.method}`, print(answers, options.lines))
}, Effect.scoped)

/** What the contract says, or else that there is one answer. */
const patternOf = (
  aster: AsterClient["Service"],
  { address, method, requests, timeoutSeconds }: Call,
  contractId: string
): Effect.Effect<Pattern, never, Scope.Scope> =>
  Effect.flatMap(contractReader(aster, address), (read) => read(contractId)).pipe(
    Effect.timeout(timeoutSeconds * 500),
    Effect.map(({ manifest }) => manifest.methods.find(({ name }) => name === method)?.pattern),
    Effect.orElseSucceed(() => undefined),
    Effect.map((pattern) => pattern ?? assumedPattern(requests))
  )

/** Of a method of which nothing is known: there is one answer. */
export const assumedPattern = ({ _tag }: Requests): Pattern => (_tag === "One" ? "unary" : "client_stream")
