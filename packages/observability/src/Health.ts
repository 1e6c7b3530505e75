/**
 * Whether a server lives, and whether it should be sent work: the same two answers for probes over HTTP (`HealthServer`),
 * for peers (`HealthService`), and for the program itself.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** Where a server is in its life. @since 0.1.0 */
export type Phase = "starting" | "serving" | "draining" | "closed"

/** What a server says of itself. @since 0.1.0 */
export interface Status {
  readonly phase: Phase
  /** Started, and not closed. */
  readonly live: boolean
  /** Serves, has services, and nothing stands against it. */
  readonly ready: boolean
  /** Why it is not ready, a sentence each. */
  readonly problems: ReadonlyArray<string>
  /** Names of the services it serves. */
  readonly services: ReadonlyArray<string>
  /** Whether its contracts are published. */
  readonly registry: boolean
  /** Seconds since it was started. */
  readonly uptime: number
}

/**
 * Something that a server has to have to be ready: answers what is wrong, in words for an operator, or undefined. It is
 * asked with every probe, so it should be cheap and must not wait.
 *
 * @since 0.1.0
 */
export type Check = Effect.Effect<string | undefined>

/** What `make` is told. @since 0.1.0 */
export interface HealthOptions {
  readonly phase: Effect.Effect<Phase>
  readonly services: ReadonlyArray<string>
  /** Whether the contracts are published. */
  readonly registry: Effect.Effect<boolean>
  readonly checks: ReadonlyArray<Check>
}

/**
 * The health of one server.
 *
 * @since 0.1.0
 */
export class Health extends Context.Service<
  Health,
  {
    readonly status: Effect.Effect<Status>
    /** The status now and after every change, looked at once a second. The uptime alone is no change. */
    readonly changes: Stream.Stream<Status>
    /** A check of the program's own, until the scope closes: a database that has to be reached, for example. */
    readonly addCheck: (check: Check) => Effect.Effect<void, never, Scope.Scope>
  }
>()("@aster-effect/observability/Health") {
  /** Begins to count the uptime. */
  static readonly make = (options: HealthOptions): Effect.Effect<Health["Service"]> => make(options)
}

const make = Effect.fnUntraced(function* ({
  checks: given,
  phase: current,
  registry,
  services
}: HealthOptions): Effect.fn.Return<Health["Service"]> {
  const begun = yield* Clock.monotonicTimeNanos
  const checks = new Set(given)

  const problemOf = (check: Check): Check =>
    Effect.catchCause(check, (cause) => Effect.as(Effect.logError("A health check failed", cause), "a check failed"))

  const status = Effect.gen(function* () {
    const phase = yield* current
    const live = phase === "serving" || phase === "draining"
    const found = live ? yield* Effect.forEach([...checks], problemOf) : []
    const problems = [
      ...(phase === "serving" ? [] : [`the server is ${phase}`]),
      ...(services.length === 0 ? ["there are no services"] : []),
      ...found.filter((problem) => problem !== undefined)
    ]
    const now = yield* Clock.monotonicTimeNanos
    return {
      phase,
      live,
      ready: problems.length === 0,
      problems,
      services,
      registry: yield* registry,
      uptime: Number(now - begun) / 1e9
    }
  })

  const same = (a: Status, b: Status): boolean => Equal.equals({ ...a, uptime: 0 }, { ...b, uptime: 0 })

  return {
    status,
    changes: Stream.changesWith(Stream.fromEffectSchedule(status, Schedule.spaced("1 second")), same),
    addCheck: (check) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => checks.add(check)),
          () => Effect.sync(() => checks.delete(check))
        )
      )
  }
})
