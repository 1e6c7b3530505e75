/**
 * The leases of a producer: written, refreshed, withdrawn.
 *
 * @since 0.1.0
 */
import type { Document, WriteError } from "@aster-effect/iroh-docs/Document"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
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

/** A lease that is held. @since 0.1.0 */
export interface HeldLease {
  readonly setHealth: (health: Lease.Health) => Effect.Effect<void, WriteError>
  /** Says that the producer drains, waits, and takes the lease back. Closing the scope takes it back at once. */
  readonly withdraw: Effect.Effect<void, WriteError>
}

/**
 * Holds a lease until the scope closes. A write that fails is logged, and made up for by the next one.
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

  const write = Effect.gen(function* () {
    if (withdrawn) return
    const now = yield* Clock.currentTimeMillis
    const lease: Lease.Lease = {
      featureFlags: [],
      languageRuntime: "typescript",
      policyRealm: undefined,
      tags: [],
      asterVersion: "0.2.0",
      ...terms,
      ...(yield* options.address),
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
  const logged = Effect.catchCause(write, (cause) =>
    Effect.logWarning(`The lease of ${terms.service} was not written`, cause)
  )
  yield* Effect.addFinalizer(() => Effect.ignore(takeBack, { log: true }))
  yield* logged
  yield* logged.pipe(Effect.schedule(Schedule.spaced(options.refreshInterval ?? "15 seconds")), Effect.forkScoped)
  const setHealth = (next: Lease.Health) =>
    Effect.suspend(() => {
      health = next
      return write
    })
  return {
    setHealth,
    withdraw: setHealth("draining").pipe(
      Effect.andThen(Effect.sleep(options.drainTime ?? "5 seconds")),
      Effect.andThen(takeBack)
    )
  }
})
