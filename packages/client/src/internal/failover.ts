/** Calls of one service to any of several producers: another one takes what a producer could not. */
import type { Call } from "@aster-effect/core/interceptor/CallContext"
import type * as Caller from "@aster-effect/core/call/Caller"
import type { Answer, Interceptor, Next } from "@aster-effect/core/interceptor/Interceptor"
import { PUSHBACK } from "@aster-effect/core/interceptor/Retry"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Link, ProducerLinks } from "./producerLinks.ts"

/** For a producer that failed a call to be found lost, before the failure counts as its answer. */
const SETTLE = Duration.millis(500)

/** One attempt at a call: which link it is on, and how far it got. */
interface Attempt {
  readonly link: Link
  /** `unsent`: it has not come to the network. `opening`: nothing of it can have arrived. `opened`: all of it may have. */
  progress: "unsent" | "opening" | "opened"
}

class CurrentAttempt extends Context.Service<CurrentAttempt, Attempt>()("@aster-effect/client/CurrentAttempt") {}

export interface FailoverOptions {
  readonly links: Pick<ProducerLinks<unknown>, "changed" | "choose" | "complete" | "end" | "failures" | "on">
  /** What is called, for errors. */
  readonly service: string
  /** Whether a producer can be called. */
  readonly fits: (link: Link) => boolean
  /** Opens a channel on a link. */
  readonly open: (link: Link) => Caller.CallerOptions["open"]
  /** For a producer to be there again, where a call has no deadline. */
  readonly patience: Duration.Duration
}

/** Opens the channel of the attempt under way. */
export const open =
  (options: FailoverOptions): Caller.CallerOptions["open"] =>
  (pattern, size) =>
    CurrentAttempt.use((attempt) => {
      attempt.progress = "opening"
      return Effect.tap(options.open(attempt.link)(pattern, size), () =>
        Effect.sync(() => {
          attempt.progress = "opened"
        })
      )
    }) as ReturnType<Caller.CallerOptions["open"]>

/**
 * Chooses a producer for each attempt. A call that no producer has begun with goes to another one; one that may have begun
 * does when its method is idempotent, which makes it one of one request and one response.
 */
export const interceptor =
  (options: FailoverOptions): Interceptor =>
  (call, next) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const until = call.deadline ?? now + Duration.toMillis(options.patience)
      const tried = new Set<Link>()
      const again = (failure: RpcError | undefined): Effect.Effect<Answer, RpcError> =>
        Effect.flatMap(free(options, tried, until, failure), (link) => attempt(options, link, call, next, tried, again))
      return again(undefined)
    })

const attempt = (
  { links }: FailoverOptions,
  link: Link,
  call: Call,
  next: Next,
  tried: Set<Link>,
  again: (failure: RpcError) => Effect.Effect<Answer, RpcError>
): Effect.Effect<Answer, RpcError> => {
  const single = call.pattern === "unary" || call.pattern === "server_stream"
  const current: Attempt = { link, progress: "unsent" }
  const made = next({ ...call, peer: link.producer.endpointId })
  const answer = call.idempotent ? Effect.raceFirst(made, Deferred.await(link.silent)) : made
  return Effect.catch(links.on(link, Effect.provideService(answer, CurrentAttempt, current)), (error) => {
    tried.add(link)
    const refused = error.details[RpcConnection.REFUSED] !== undefined
    // A request that cannot be written is no better elsewhere.
    if (current.progress === "unsent") return Effect.fail(error)
    if (current.progress === "opening") {
      // Where there is no room another may have some; where there is no way or no admission the link is of no use.
      const lost = error.is("UNAVAILABLE") || error.is("PERMISSION_DENIED")
      if (!lost && !error.is("RESOURCE_EXHAUSTED")) return Effect.fail(error)
      return lost ? Effect.andThen(links.end(link, error), again(error)) : again(error)
    }
    if (refused && single) return Effect.andThen(links.end(link, error), again(error))
    if (!call.idempotent || !isWorthwhile(error)) return Effect.fail(error)
    return again(error)
  })
}

const isWorthwhile = (error: RpcError): boolean =>
  error.details[PUSHBACK] === undefined ? error.is("UNAVAILABLE") : !error.details[PUSHBACK].startsWith("-")

/**
 * A link that was not tried yet, waited for where there may come one. When there is nobody left to try, the failure stands.
 */
const free = (
  options: FailoverOptions,
  tried: ReadonlySet<Link>,
  until: number,
  failure: RpcError | undefined
): Effect.Effect<Link, RpcError> =>
  Effect.suspend(() => {
    const { fits, links, service } = options
    const { changed } = links
    const link = links.choose((link) => !tried.has(link) && fits(link))
    if (link !== undefined) return Effect.succeed(link)
    const failed = Effect.suspend(() => Effect.fail(failure ?? nobody(links, service)))
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const left =
        failure !== undefined && links.complete ? Math.min(until - now, Duration.toMillis(SETTLE)) : until - now
      if (left <= 0) return failed
      return Effect.flatMap(Effect.timeoutOption(changed, Duration.millis(left)), (changed) =>
        Option.isSome(changed) ? free(options, tried, until, failure) : failed
      )
    })
  })

const nobody = (links: FailoverOptions["links"], service: string): RpcError => {
  const failures = [...links.failures].map(([id, error]) => `${id.slice(0, 10)}: ${messageOf(error)}`)
  const why = failures.length === 0 ? "none of those that are known offers it" : failures.slice(0, 3).join("; ")
  return RpcError.of("UNAVAILABLE", `no producer takes calls of ${service} now: ${why}`)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A link for what stays with one producer. Those that fail before anything has begun are passed over. */
export const onOne = <A, R>(
  options: FailoverOptions,
  use: (link: Link) => Effect.Effect<A, RpcError, R>
): Effect.Effect<A, RpcError, R> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const until = now + Duration.toMillis(options.patience)
    const tried = new Set<Link>()
    const again = (failure: RpcError | undefined): Effect.Effect<A, RpcError, R> =>
      Effect.flatMap(free(options, tried, until, failure), (link) =>
        Effect.flatMap(Effect.exit(use(link)), (exit) => {
          if (Exit.isSuccess(exit)) return exit
          const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
          if (error === undefined || !error.is("UNAVAILABLE")) return exit
          tried.add(link)
          return Effect.andThen(options.links.end(link, error), again(error))
        })
      )
    return again(undefined)
  })
