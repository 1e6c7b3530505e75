import type { AsterClient } from "@aster-effect/client/AsterClient"
import type { DynamicClient, JsonMessage } from "@aster-effect/client/DynamicClient"
import type { Manifest, ManifestMethod } from "@aster-effect/core/contract/Manifest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { CliFailure, refused } from "../../CliFailure.ts"
import * as Lifetime from "../../Lifetime.ts"
import { explained, inputOf, print, type Requests } from "../call.ts"
import { linesOfMethod, serviceLines } from "../contractText.ts"
import { printable } from "../printable.ts"
import * as Catalogue from "./catalogue.ts"
import { complete, splitTarget } from "./completion.ts"
import * as LineInput from "./lineInput.ts"
import { type RequestField, requestsOf, valueOf } from "./request.ts"
import { words } from "./words.ts"

/** What a shell is started with. */
export interface ShellOptions {
  /** For each call of a method that has one answer, for opening a session, and for reading the contracts. */
  readonly timeoutSeconds: number
}

const HELP = `services                        what the producer offers
describe [Service[.method]]     its methods, fields and what they are for
Service.method key=value ...    calls a method; or with JSON: Service.method {"key":"value"}
                                a stream of requests: several JSON objects, or lines until one with a dot alone
use [Service]                   from now on its methods need no service in front; without a name, none
session Service                 opens a session; its methods are called in it until \`end\`
timeout [duration]              how long a call with one answer may take
exit                            leaves; so do Ctrl+D and Ctrl+C twice. While a call runs, Ctrl+C ends the call

Tab completes commands, services, methods and fields. ./method is a method whatever its name.`

/** The session that calls of its service go to. */
interface OpenSession {
  readonly service: string
  readonly proxy: DynamicClient
  readonly scope: Scope.Closeable
}

/**
 * Reads commands until they end. What fails is printed, and ends a script with that failure; somebody who types goes on.
 */
export const shell = Effect.fnUntraced(function* (
  aster: AsterClient["Service"],
  options: ShellOptions
): Effect.fn.Return<void, CliFailure, Scope.Scope | Stdio.Stdio> {
  const catalogue = yield* Catalogue.make(aster, options.timeoutSeconds)
  const state = new Shell(aster, catalogue, options.timeoutSeconds, yield* Effect.scope)
  const input = yield* LineInput.make((line) => complete(line, catalogue, state.current))
  if (input.interactive) yield* Console.log("`help` lists the commands, Tab completes, `exit` leaves.")
  while (true) {
    const line = yield* input.next(state.prompt)
    const [command, ...rest] = words(line ?? "exit")
    if (command === undefined || command.startsWith("#")) continue
    if (rest.length === 0 && (command === "exit" || command === "quit")) return
    const interrupted = Effect.andThen(input.interrupted, refused("interrupted"))
    const outcome = yield* Effect.result(Effect.raceFirst(state.run(command, rest, input), interrupted))
    if (Result.isSuccess(outcome)) continue
    const { message } = outcome.failure
    if (!input.interactive) return yield* refused(`line ${input.count()}: ${message}`)
    yield* Console.error(`Error: ${printable(message)}`)
  }
})

class Shell {
  readonly #aster: AsterClient["Service"]
  readonly #catalogue: Catalogue.Catalogue
  readonly #scope: Scope.Scope
  #timeoutSeconds: number
  #used: string | undefined
  #session: OpenSession | undefined

  constructor(
    aster: AsterClient["Service"],
    catalogue: Catalogue.Catalogue,
    timeoutSeconds: number,
    scope: Scope.Scope
  ) {
    this.#aster = aster
    this.#catalogue = catalogue
    this.#timeoutSeconds = timeoutSeconds
    this.#scope = scope
  }

  /** The service whose methods need no service in front. */
  get current(): string | undefined {
    return this.#session?.service ?? this.#used
  }

  get prompt(): string {
    const mark = this.#session === undefined ? "" : " (session)"
    return printable(`${this.current ?? "aster"}${mark}> `)
  }

  run(command: string, rest: ReadonlyArray<string>, input: LineInput.LineInput): Effect.Effect<void, CliFailure> {
    switch (command) {
      case "help":
        return Console.log(HELP)
      case "services":
      case "ls":
        return this.#services
      case "describe":
        return this.#describe(rest[0])
      case "use":
        return this.#use(rest[0])
      case "session":
        return rest[0] === undefined ? Effect.fail(refused("session Service: which one?")) : this.#open(rest[0])
      case "end":
        return this.#end
      case "timeout":
        return this.#timeout(rest[0])
      case "call":
        return rest[0] === undefined
          ? Effect.fail(refused("call Service.method: which one?"))
          : this.#call(rest[0], rest.slice(1), input)
      default:
        return this.#call(command, rest, input)
    }
  }

  get #services(): Effect.Effect<void> {
    const lines = Array.from(this.#catalogue.services.values(), ({ name, pattern, version }) => {
      const manifest = this.#catalogue.known.get(name)
      const more = [
        ...(pattern === "session" ? ["session"] : []),
        ...(manifest === undefined ? [] : [`${manifest.methods.length} methods`]),
        ...(manifest?.description === undefined ? [] : [manifest.description.split("\n")[0]!])
      ]
      return [`${name} v${version}`, ...more].join("  ")
    })
    return Console.log(lines.length === 0 ? "The producer offers no services." : printable(lines.toSorted().join("\n")))
  }

  #describe(target: string | undefined): Effect.Effect<void, CliFailure> {
    const { services } = this.#catalogue
    const whole = target ?? this.current
    if (whole === undefined) return this.#services
    const [service, method] = services.has(whole) ? [whole, undefined] : splitTarget(whole, this.current)
    if (service === undefined || !services.has(service)) return Effect.fail(this.#notOffered(service ?? whole))
    return Effect.flatMap(this.#catalogue.contract(service), (manifest) => {
      const lines = method === undefined ? serviceLines(manifest) : linesOfMethod(manifest, method)
      return lines.length === 0
        ? Effect.fail(this.#noMethod(manifest, method!))
        : Console.log(printable(lines.join("\n")))
    })
  }

  #use(service: string | undefined): Effect.Effect<void, CliFailure> {
    if (this.#session !== undefined) {
      return Effect.fail(refused(`a session of ${this.#session.service} is open; \`end\` ends it`))
    }
    if (service !== undefined && !this.#catalogue.services.has(service)) return Effect.fail(this.#notOffered(service))
    this.#used = service
    return Effect.void
  }

  #open(service: string): Effect.Effect<void, CliFailure> {
    if (this.#session !== undefined) {
      return Effect.fail(refused(`a session of ${this.#session.service} is open; \`end\` ends it`))
    }
    if (!this.#catalogue.services.has(service)) return Effect.fail(this.#notOffered(service))
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.fork(this.#scope)
      const opened = this.#aster.sessionProxy(service).pipe(
        Scope.provide(scope),
        Effect.timeoutOrElse({
          duration: this.#timeoutSeconds * 1000,
          orElse: () => refused(`no session within ${this.#timeoutSeconds} s`)
        }),
        Effect.mapError(({ message }) => refused(message)),
        Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void))
      )
      this.#session = { service, proxy: yield* opened, scope }
    })
  }

  get #end(): Effect.Effect<void, CliFailure> {
    const session = this.#session
    if (session === undefined) return Effect.fail(refused("no session is open"))
    this.#session = undefined
    return Scope.close(session.scope, Exit.void)
  }

  #timeout(text: string | undefined): Effect.Effect<void, CliFailure> {
    if (text === undefined) return Console.log(`${this.#timeoutSeconds} s`)
    const seconds = Lifetime.parseTimeout(text)
    if (Result.isFailure(seconds)) return Effect.fail(refused(seconds.failure))
    this.#timeoutSeconds = seconds.success
    return Effect.void
  }

  #call(target: string, given: ReadonlyArray<string>, input: LineInput.LineInput): Effect.Effect<void, CliFailure> {
    const [service, method] = splitTarget(target, this.current)
    if (service === undefined) {
      return Effect.fail(refused(`${target}: neither a command (\`help\` lists them) nor Service.method`))
    }
    const summary = this.#catalogue.services.get(service)
    if (summary === undefined) return Effect.fail(this.#notOffered(service))
    return Effect.gen({ self: this }, function* () {
      // A producer need not publish its contracts to be called.
      const manifest = yield* Effect.orElseSucceed(this.#catalogue.contract(service), () => undefined)
      const described = manifest?.methods.find(({ name }) => name === method)
      if (manifest !== undefined && described === undefined) return yield* this.#noMethod(manifest, method)
      const fields =
        manifest === undefined || described === undefined ? undefined : Catalogue.fieldsOf(manifest, described)
      const requests = yield* this.#requests(given, described, fields, input)
      const proxy = yield* this.#session?.service === service
        ? Effect.succeed(this.#session.proxy)
        : summary.pattern === "session"
          ? this.#aster.sessionProxy(service)
          : this.#aster.proxy(service)
      const call = { service, method, requests, timeoutSeconds: this.#timeoutSeconds }
      const streams = described?.pattern === "server_stream" || described?.pattern === "bidi_stream"
      const options = streams ? {} : { timeout: this.#timeoutSeconds * 1000 }
      const answers = proxy
        .call(method, inputOf(requests), options)
        .pipe(Stream.mapError((error) => (error instanceof CliFailure ? error : explained(call, error))))
      yield* print(answers, streams)
      if (requests.rest !== undefined) yield* requests.rest
    }).pipe(
      Effect.scoped,
      Effect.mapError((error) => (error instanceof CliFailure ? error : refused(error.message)))
    )
  }

  #requests(
    given: ReadonlyArray<string>,
    method: ManifestMethod | undefined,
    fields: ReadonlyArray<RequestField> | undefined,
    input: LineInput.LineInput
  ): Effect.Effect<Requests & { readonly rest?: Effect.Effect<void, CliFailure> }, CliFailure> {
    const taking = method?.pattern === "client_stream" || method?.pattern === "bidi_stream"
    return Effect.gen(function* () {
      if ((taking && given.length === 0) || (given.length === 1 && given[0] === "-")) {
        return { _tag: "Many", ...typed(fields, input) } as const
      }
      const asked = given.length === 0 && input.interactive ? yield* ask(fields, input) : undefined
      const made = requestsOf(given, fields)
      if (Result.isFailure(made)) return yield* refused(made.failure)
      const requests = asked === undefined ? made.success : [asked]
      if (taking || requests.length > 1) {
        if (method !== undefined && !taking) return yield* refused(`${method.name} takes one request`)
        return { _tag: "Many", requests: Stream.fromIterable(requests) } as const
      }
      return { _tag: "One", request: requests[0] ?? {} } as const
    })
  }

  #notOffered(service: string): CliFailure {
    return refused(
      `the producer does not offer ${service}; it offers ${[...this.#catalogue.services.keys()].join(", ") || "nothing"}`
    )
  }

  #noMethod({ methods, service }: Manifest, method: string): CliFailure {
    return refused(`${service} has no method ${method}; it has ${methods.map(({ name }) => name).join(", ") || "none"}`)
  }
}

/** Requests from lines, until one that is a dot alone. */
const typed = (
  fields: ReadonlyArray<RequestField> | undefined,
  input: LineInput.LineInput
): { readonly requests: Stream.Stream<JsonMessage, CliFailure>; readonly rest: Effect.Effect<void, CliFailure> } => {
  let ended = false
  const next = Effect.map(input.next("... ", true), (line) => {
    ended = line === undefined || line.trim() === "."
    return line ?? ""
  })
  const requests = Stream.fromEffectRepeat(next).pipe(
    Stream.takeWhile(() => !ended),
    Stream.flatMap((line) => {
      const made = requestsOf(words(line), fields)
      return Result.isFailure(made) ? Stream.fail(refused(made.failure)) : Stream.fromIterable(made.success)
    })
  )
  // Where a method wants no more requests, those that a script still has for it are no commands.
  const rest = Effect.whileLoop({ while: () => !input.interactive && !ended, body: () => next, step: () => {} })
  return { requests, rest }
}

/** Asks for every field that has to have a value. */
const ask = (
  fields: ReadonlyArray<RequestField> | undefined,
  input: LineInput.LineInput
): Effect.Effect<JsonMessage | undefined, CliFailure> =>
  Effect.gen(function* () {
    const missing = fields?.filter(({ required }) => required) ?? []
    if (missing.length === 0) return undefined
    const message: Record<string, unknown> = Object.create(null)
    for (const field of missing) {
      const choice = field.values.length === 0 ? field.kind : field.values.join(" | ")
      const word = yield* input.next(printable(`  ${field.name} (${choice}): `), true)
      if (word === undefined) return yield* refused("interrupted")
      const value = valueOf(word, field)
      if (Result.isFailure(value)) return yield* refused(value.failure)
      message[field.name] = value.success
    }
    return message
  })
