/**
 * Keeps contracts published: written again when they are damaged or deleted, when the producer has another address, and when
 * writing them has failed.
 *
 * @since 0.1.0
 */
import type * as Service from "@aster-effect/core/service/Service"
import type { DocEvent } from "@aster-effect/iroh-docs/DocEvent"
import type { ReadError } from "@aster-effect/iroh-docs/Document"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Publication from "./Publication.ts"
import * as RegistryKey from "./RegistryKey.ts"

/** @since 0.1.0 */
export interface PublisherOptions extends Publication.Place {
  readonly services: ReadonlyArray<Service.Any>
  /** Where the producer is, which the entries say. */
  readonly address: Effect.Effect<NodeAddr>
  /** Between looks whether everything is as it should be. Default 1 minute. */
  readonly interval?: Duration.Input | undefined
}

/** @since 0.1.0 */
export interface Publisher {
  /** Why services are not published, by name and version; empty when all are. */
  readonly problems: () => ReadonlyMap<string, string>
  /** Completes when the document is no more. */
  readonly ended: Effect.Effect<void>
}

/** Between looks at the address, and after a failure. */
const SOON = "5 seconds"
/** For changes that come together; also bounds how often somebody who keeps deleting is answered. */
const GATHER = "1 second"

/**
 * Publishes the contracts of services, and keeps them published until the scope closes. Answers when everything was tried
 * once. What fails is logged when it begins to fail and when it is over, and tried again.
 *
 * @since 0.1.0
 */
export const make = Effect.fn("Publisher.make")(function* (
  options: PublisherOptions
): Effect.fn.Return<Publisher, ReadError, Scope.Scope> {
  const { address, document, services } = options
  const interval = Duration.toNanosUnsafe(Duration.fromInputUnsafe(options.interval ?? "1 minute"))
  const published = new Map<string, Publication.Published>()
  const problems = new Map<string, string>()

  const publish = Effect.fnUntraced(function* (service: Service.Any) {
    const name = `${service.name} v${service.version}`
    const problem = problems.get(name)
    const outcome = yield* Publication.publish(options, service, published.get(name)).pipe(
      // Whatever it is, it is no reason for the producer to end.
      Effect.catchDefect((defect) => Effect.fail({ message: String(defect) })),
      Effect.result
    )
    if (Result.isFailure(outcome)) {
      const { message } = outcome.failure
      problems.set(name, message)
      if (problem !== message) {
        yield* Effect.logWarning(`The contract of ${name} is not published; it is tried again`, outcome.failure)
      }
      return
    }
    const again = published.has(name) && outcome.success.changed
    published.set(name, outcome.success)
    problems.delete(name)
    if (problem !== undefined) yield* Effect.logInfo(`The contract of ${name} is published now`)
    else if (again) yield* Effect.logInfo(`The contract of ${name} is published again`)
  })

  let lookedAt = 0n
  let where = ""
  const look = Effect.gen(function* () {
    lookedAt = yield* Clock.monotonicTimeNanos
    where = JSON.stringify(yield* address)
    yield* Effect.forEach(services, publish, { discard: true })
  })
  const isDue = Effect.gen(function* () {
    if (problems.size > 0 || (yield* Clock.monotonicTimeNanos) - lookedAt >= interval) return true
    return JSON.stringify(yield* address) !== where
  })

  const keys = services.flatMap(({ contract: { contractId }, name, version }) => [
    RegistryKey.contract(contractId),
    RegistryKey.manifest(contractId),
    RegistryKey.version(name, version)
  ])
  /** What others have done to our keys, and what was deleted here. What we write ourselves is no news. */
  const concerns = (event: DocEvent): boolean =>
    (event._tag === "InsertRemote" || (event._tag === "InsertLocal" && event.entry.size === 0)) &&
    keys.some((key) => (event.entry.size === 0 ? key.startsWith(event.entry.keyText) : key === event.entry.keyText))

  // First of all, so that nothing is missed.
  const events = yield* document.subscribe()
  const news = yield* Queue.sliding<void>(1)
  const following = yield* Effect.forkScoped(
    Stream.runForEach(events, (event) =>
      concerns(event) || event._tag === "Lagged" ? Queue.offer(news, undefined) : Effect.void
    )
  )
  yield* look
  const next = Effect.raceFirst(
    Effect.delay(Queue.take(news), GATHER),
    Effect.sleep(SOON).pipe(Effect.andThen(isDue), Effect.repeat({ until: (due) => due }))
  )
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(next, look)))
  return { problems: () => problems, ended: Effect.asVoid(Fiber.await(following)) }
})
