import type { AsterClient, ServiceNotOffered } from "@aster-effect/client/AsterClient"
import type { JsonMessage } from "@aster-effect/client/DynamicClient"
import type { ServiceSummary } from "@aster-effect/core/contract/ServiceSummary"
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

/** One call. */
export interface Call {
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
  const { pattern } = aster.services
    .filter(({ name }) => name === options.service)
    .reduce<Partial<ServiceSummary>>((a, b) => (a.version === undefined || b.version > a.version ? b : a), {})
  const proxy = yield* (
    pattern === "session" ? aster.sessionProxy(options.service) : aster.proxy(options.service)
  ).pipe(
    Effect.catchTag("ServiceScopeMismatch", (error) => refused(error.message)),
    Effect.catchTag("RpcError", (error) => Effect.fail(explained(options, error)))
  )
  const timeout = Math.max(1, options.deadline - (yield* Clock.currentTimeMillis))
  const answers = proxy
    .call(options.method, inputOf(options.requests), { timeout, metadata: options.metadata })
    .pipe(Stream.mapError((error) => (error instanceof CliFailure ? error : explained(options, error))))
  yield* Progress.during(`Calling ${options.service}.${options.method}`, print(answers, options.lines))
}, Effect.scoped)

/** What a proxy takes for requests. */
export const inputOf = (requests: Requests): JsonMessage | Stream.Stream<JsonMessage, CliFailure> =>
  requests._tag === "One" ? requests.request : requests.requests
