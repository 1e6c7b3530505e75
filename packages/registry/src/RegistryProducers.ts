/**
 * The producers of a service, as a registry document knows them and as they come and go.
 *
 * @since 0.1.0
 */
import type { ReadError } from "@aster-effect/iroh-docs/Document"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { Producer, Producers } from "@aster-effect/transport/Producers"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type * as Lease from "./Lease.ts"
import * as Resolver from "./Resolver.ts"

/** Between looks whether leases have expired. */
const LOOK = "5 seconds"
/** For changes that come together. */
const GATHER = "50 millis"

/**
 * Follows a registry document until the scope closes. Fails when it knows no producer at first.
 *
 * A producer whose lease is taken back or says that it drains is left out, and so is one whose lease has expired, while
 * another one holds. When none holds any more it may be the registry that is gone: then those whose leases have only
 * expired stay, and calls find out whether they are there.
 *
 * @since 0.1.0
 */
export const make = Effect.fn("RegistryProducers.make")(function* (
  options: Resolver.ResolverOptions & { readonly wanted: Resolver.Wanted }
): Effect.fn.Return<Producers, Resolver.ServiceNotFound | ReadError, Scope.Scope> {
  const { document, wanted } = options
  const resolver = Resolver.make(options)
  // First of all, so that nothing is missed.
  const events = yield* document.subscribe()
  let holding: ReadonlySet<string> = new Set()
  const look = Effect.gen(function* () {
    const all = yield* resolver.leases(wanted)
    const now = yield* Clock.currentTimeMillis
    const usable = all.filter((lease) => Resolver.isUsable(lease, wanted, now))
    const expired = all.filter(
      ({ endpointId, ...lease }) =>
        holding.has(endpointId) &&
        Resolver.isUsable({ endpointId, ...lease }, wanted, Math.min(now, lease.updatedAtEpochMs))
    )
    const found = usable.length > 0 ? usable : expired
    holding = new Set(found.map(({ endpointId }) => endpointId))
    return found.map(producerOf)
  })
  const first = yield* look
  if (first.length === 0) {
    return yield* new Resolver.ServiceNotFound({ service: wanted.service, detail: "no lease of it holds" })
  }
  const known = yield* SubscriptionRef.make(first)
  const refresh = Effect.flatMap(look, (found) => SubscriptionRef.set(known, found)).pipe(
    // What was known is better than nothing.
    Effect.catch((error) => Effect.logDebug("The registry could not be read", error))
  )
  const changes = events.pipe(
    Stream.filter(
      (event) => event._tag === "InsertRemote" || event._tag === "InsertLocal" || event._tag === "ContentReady"
    ),
    Stream.debounce(GATHER)
  )
  yield* Stream.merge(changes, Stream.tick(LOOK)).pipe(
    Stream.runForEach(() => refresh),
    Effect.forkScoped
  )
  return { get: SubscriptionRef.get(known), changes: SubscriptionRef.changes(known) }
})

const producerOf = ({ directAddrs, endpointId, healthStatus, load, relayUrl }: Lease.Lease): Producer => ({
  address: NodeAddr.make(EndpointId.parse(endpointId), directAddrs, relayUrl),
  health: healthStatus === "degraded" ? "degraded" : "ready",
  load
})
