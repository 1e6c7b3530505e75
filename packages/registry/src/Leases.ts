/**
 * The leases of a producer: written, refreshed, withdrawn.
 *
 * @since 0.1.0
 */
import type { Document, WriteError } from "@aster-effect/iroh-docs/Document"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Lease from "./Lease.ts"
import * as RegistryKey from "./RegistryKey.ts"

/** What a lease says that stays as it is. @since 0.1.0 */
export type Terms = Pick<
  Lease.Lease,
  "alpn" | "contractId" | "endpointId" | "serializationModes" | "service" | "version"
> &
  Partial<Pick<Lease.Lease, "featureFlags" | "languageRuntime" | "policyRealm" | "tags">>

/** @since 0.1.0 */
export interface LeaseOptions {
  readonly document: Document
  readonly terms: Terms
  /** Where the producer can be reached, asked for with every write. */
  readonly address: Effect.Effect<Pick<Lease.Lease, "directAddrs" | "relayUrl">>
  /** How much it has to do, from 0 to 1. Default: not said. */
  readonly load?: Effect.Effect<number | undefined> | undefined
  /** Between writes. Default 15 seconds. */
  readonly refreshInterval?: Duration.Input | undefined
  /** Between saying that it drains and being gone. Default 5 seconds. */
  readonly drainTime?: Duration.Input | undefined
}

/** Between looks at the producer's address. */
const ADDRESS_INTERVAL = "1 second"

/** A lease that is held. @since 0.1.0 */
export interface HeldLease {
  readonly setHealth: (health: Lease.Health) => Effect.Effect<void, WriteError>
  /**
   * Why consumers find the producer here no more, in words for an operator: undefined until three writes in a row have
   * failed, which is about when the lease runs out, and again from the next that succeeds.
   */
  readonly problem: Effect.Effect<string | undefined>
  /** Says that the producer drains, waits, and takes the lease back. Closing the scope takes it back at once. */
  readonly withdraw: Effect.Effect<void, WriteError>
}

/** Writes that fail in a row before it is said: with the default interval a lease has then run out. */
const MAX_FAILURES = 3

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

/**
 * Holds a lease until the scope closes. A write that fails is made up for by the next one; that several failed, and that
 * they succeed again, is logged once.
 *
 * @since 0.1.0
 */
export const hold = Effect.fn("Leases.hold")(function* (
  options: LeaseOptions
): Effect.fn.Return<HeldLease, never, Scope.Scope> {
  const { document, terms } = options
  const key = RegistryKey.lease(terms.service, terms.contractId, terms.endpointId)
  let health: Lease.Health = "ready"
  let sequence = 0
  let withdrawn = false
  /** The address that was written last. */
  let where = ""

  const write = Effect.gen(function* () {
    if (withdrawn) return
    const now = yield* Clock.currentTimeMillis
    const address = yield* options.address
    where = JSON.stringify(address)
    const lease: Lease.Lease = {
      featureFlags: [],
      languageRuntime: "typescript",
      policyRealm: undefined,
      tags: [],
      asterVersion: "0.2.0",
      ...terms,
      ...address,
      load: yield* options.load ?? Effect.succeed(undefined),
      healthStatus: health,
      leaseSeq: ++sequence,
      leaseExpiresEpochMs: now + Lease.DURATION_MS,
      updatedAtEpochMs: now
    }
    yield* document.set(key, Lease.encode(lease))
  })
  const takeBack = Effect.suspend(() => {
    if (withdrawn) return Effect.void
    withdrawn = true
    return Effect.asVoid(document.set(key, Lease.WITHDRAWN))
  })
  let failures = 0
  let problem: string | undefined
  const failed = (cause: Cause.Cause<unknown>) =>
    Effect.suspend(() => {
      failures++
      if (failures < MAX_FAILURES) return Effect.logDebug(`The lease of ${terms.service} was not written`, cause)
      problem = `the lease of ${terms.service} was not renewed ${failures} times in a row: ${messageOf(cause)}`
      return failures === MAX_FAILURES
        ? Effect.logWarning(`The registry has no lease of ${terms.service} any more, and is tried again`, cause)
        : Effect.void
    })
  const succeeded = Effect.suspend(() => {
    const before = problem
    failures = 0
    problem = undefined
    return before === undefined ? Effect.void : Effect.logInfo(`The registry has the lease of ${terms.service} again`)
  })
  const renew = Effect.matchCauseEffect(write, {
    onFailure: (cause) => (Cause.hasInterruptsOnly(cause) ? Effect.interrupt : failed(cause)),
    onSuccess: () => succeeded
  })
  yield* Effect.addFinalizer(() => Effect.ignore(takeBack, { log: true }))
  yield* renew
  const moved = options.address.pipe(
    Effect.delay(ADDRESS_INTERVAL),
    Effect.repeat({ until: (address) => JSON.stringify(address) !== where }),
    Effect.catchDefect(() => Effect.never)
  )
  // Whoever looks for the producer is not to wait for the next refresh when it is elsewhere.
  const due = Effect.raceFirst(Effect.sleep(options.refreshInterval ?? "15 seconds"), moved)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(due, renew)))
  const setHealth = (next: Lease.Health) =>
    Effect.suspend(() => {
      health = next
      return write
    })
  return {
    setHealth,
    problem: Effect.sync(() => problem),
    withdraw: setHealth("draining").pipe(
      Effect.andThen(Effect.sleep(options.drainTime ?? "5 seconds")),
      Effect.andThen(takeBack)
    )
  }
})
