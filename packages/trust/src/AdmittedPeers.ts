import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Attributes } from "./Credential.ts"

/** The handshake that let a peer in. @since 0.1.0 */
export type AdmissionPath = "consumer_admission" | "producer_admission" | "aster.admission"

/** What an admission establishes. @since 0.1.0 */
export interface Admission {
  readonly endpointId: EndpointId
  /** The credential's attributes; empty when the gate was open. */
  readonly attributes: Attributes
  /** When the credential expires, in milliseconds since the Unix epoch; absent means never. */
  readonly expiresAt: number | undefined
  readonly path: AdmissionPath
}

/** An admission on record. Times are milliseconds since the Unix epoch. @since 0.1.0 */
export interface AdmittedPeer extends Admission {
  readonly admittedAt: number
  /** The earlier of the credential's expiry and the end of the peer lifetime; the peer is out from this instant. */
  readonly endsAt: number
}

/** Why an admission is over. @since 0.1.0 */
export type EndReason = "expired" | "revoked" | "evicted" | "unknown"

/** The record of admitted peers is full, and this gate refuses rather than forgetting somebody. @since 0.1.0 */
export class AdmittedPeersFull extends Schema.TaggedError<AdmittedPeersFull>()("AdmittedPeersFull", {
  capacity: Schema.Int
}) {
  override get message(): string {
    return `${this.capacity} peers are admitted already; raise the capacity or wait for admissions to expire`
  }
}

/** The peer was put out with `revoke`, and stays out whatever it presents. @since 0.1.0 */
export class PeerRevoked extends Schema.TaggedError<PeerRevoked>()("PeerRevoked", { endpointId: Schema.String }) {
  override get message(): string {
    return `${this.endpointId} was put out; reinstate it to let it in again`
  }
}

/** @since 0.1.0 */
export interface AdmittedPeersOptions {
  /** Most peers on record; default 100 000. */
  readonly capacity?: number | undefined
  /** What a new peer meets when the record is full: `refuse` (default), or `evict` the longest admitted. */
  readonly whenFull?: "refuse" | "evict" | undefined
  /** Longest lifetime of an admission whatever its credential says; default `ASTER_PEER_TTL_S`, else 24 hours. */
  readonly lifetime?: Duration.Input | undefined
}

interface Entry {
  readonly peer: AdmittedPeer
  /** Done when the entry leaves the record other than by time; `undefined` when a later admission replaced it. */
  readonly ended: Deferred.Deferred<EndReason | undefined>
}

/** Wall clocks jump: a wait for an instant is checked again after this many milliseconds. */
const longestSleep = 30_000
const sweepInterval = "300 seconds"

const lifetimeConfig = Config.schema(Schema.Finite.check(Schema.isGreaterThan(0)), "ASTER_PEER_TTL_S").pipe(
  Config.withDefault(86_400),
  Config.map((seconds) => Duration.seconds(seconds))
)

/**
 * Gate 0's memory: who is admitted, with which attributes, until when.
 *
 * An admission ends by time, by `revoke`, or by eviction; whoever holds a connection of that peer learns of it through
 * `awaitEnd`. A later admission of the same peer replaces the earlier one.
 *
 * @since 0.1.0
 */
export class AdmittedPeers extends Context.Service<
  AdmittedPeers,
  {
    /** Records an admission; from the moment this returns, the peer passes Gate 0. */
    readonly admit: (admission: Admission) => Effect.Effect<AdmittedPeer, AdmittedPeersFull | PeerRevoked>
    /** Fails as `admit` would now; for what has to be known before a one-time token is used up. */
    readonly admissible: (id: EndpointId) => Effect.Effect<void, AdmittedPeersFull | PeerRevoked>
    /** The live admission of a peer, if any. */
    readonly get: (id: EndpointId) => Effect.Effect<AdmittedPeer | undefined>
    /** The live attributes of a peer; empty when it is not admitted. */
    readonly attributes: (id: EndpointId) => Effect.Effect<Attributes>
    /** The same at once, for where no effect can run. */
    readonly attributesUnsafe: (id: EndpointId) => Attributes
    /**
     * Takes a peer off the record and keeps it out, whatever it presents, until it is reinstated or the process ends;
     * answers whether it was on the record.
     */
    readonly revoke: (id: EndpointId) => Effect.Effect<boolean>
    /** Lets a revoked peer be admitted again. */
    readonly reinstate: (id: EndpointId) => Effect.Effect<void>
    /** Waits until the peer is admitted no longer (`unknown`: it was not to begin with). */
    readonly awaitEnd: (id: EndpointId) => Effect.Effect<EndReason>
    /** How many peers are on record. */
    readonly size: Effect.Effect<number>
  }
>()("./AdmittedPeers.ts") {
  /** Fails when `ASTER_PEER_TTL_S` is set to something that is no number of seconds. */
  static readonly layer = (options: AdmittedPeersOptions = {}): Layer.Layer<AdmittedPeers, Config.ConfigError> =>
    Layer.effect(this, make(options))
}

const nothing: Attributes = new Map()

const make = Effect.fnUntraced(function* ({ capacity = 100_000, lifetime, whenFull = "refuse" }: AdmittedPeersOptions) {
  const clock = yield* Clock.Clock
  const longest = Duration.toMillis(lifetime ?? (yield* lifetimeConfig))
  /** In order of admission, so that the first is the longest admitted. */
  const entries = new Map<EndpointId, Entry>()
  const revoked = new Set<EndpointId>()

  const end = (entry: Entry, reason: EndReason | undefined): void => {
    if (reason !== undefined) entries.delete(entry.peer.endpointId)
    Deferred.doneUnsafe(entry.ended, Effect.succeed(reason))
  }

  const liveAt = (id: EndpointId, now: number): Entry | undefined => {
    const entry = entries.get(id)
    if (entry === undefined || now < entry.peer.endsAt) return entry
    end(entry, "expired")
    return undefined
  }

  const sweep = (now: number): void => {
    for (const id of entries.keys()) liveAt(id, now)
  }

  const isFull = (now: number): boolean => {
    if (entries.size < capacity) return false
    sweep(now)
    return entries.size >= capacity
  }

  const refusal = (id: EndpointId, now: number): AdmittedPeersFull | PeerRevoked | undefined => {
    if (revoked.has(id)) return new PeerRevoked({ endpointId: id })
    const full = !entries.has(id) && whenFull === "refuse" && isFull(now)
    return full ? new AdmittedPeersFull({ capacity }) : undefined
  }

  const admit = (admission: Admission) =>
    Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<AdmittedPeer, AdmittedPeersFull | PeerRevoked> => {
      const refused = refusal(admission.endpointId, now)
      if (refused !== undefined) return Effect.fail(refused)
      const earlier = entries.get(admission.endpointId)
      const oldest = earlier === undefined && isFull(now) ? entries.values().next().value : undefined
      if (oldest !== undefined) end(oldest, "evicted")
      const endsAt = Math.min(admission.expiresAt ?? Infinity, now + longest)
      const peer: AdmittedPeer = { ...admission, admittedAt: now, endsAt }
      entries.delete(admission.endpointId)
      entries.set(admission.endpointId, { peer, ended: Deferred.makeUnsafe() })
      if (earlier !== undefined) end(earlier, undefined)
      return Effect.succeed(peer)
    })

  const get = (id: EndpointId) => Effect.map(Clock.currentTimeMillis, (now) => liveAt(id, now)?.peer)

  const revoke = (id: EndpointId) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      revoked.add(id)
      const entry = liveAt(id, now)
      if (entry !== undefined) end(entry, "revoked")
      return entry !== undefined
    })

  const attributesUnsafe = (id: EndpointId): Attributes =>
    liveAt(id, clock.currentTimeMillisUnsafe())?.peer.attributes ?? nothing

  const awaitEnd = Effect.fnUntraced(function* (id: EndpointId) {
    let reason: EndReason = "unknown"
    while (true) {
      const now = yield* Clock.currentTimeMillis
      const entry = liveAt(id, now)
      if (entry === undefined) return reason
      const sleep = Effect.sleep(Math.min(entry.peer.endsAt - now, longestSleep))
      const ended = yield* Effect.raceFirst(Deferred.await(entry.ended), Effect.as(sleep, undefined))
      if (ended !== undefined) return ended
      reason = "expired"
    }
  })

  yield* Clock.currentTimeMillis.pipe(Effect.map(sweep), Effect.delay(sweepInterval), Effect.forever, Effect.forkScoped)

  return AdmittedPeers.of({
    admit,
    admissible: (id) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const refused = refusal(id, now)
        return refused === undefined ? Effect.void : Effect.fail(refused)
      }),
    get,
    attributes: (id) => Effect.sync(() => attributesUnsafe(id)),
    attributesUnsafe,
    revoke,
    reinstate: (id) => Effect.sync(() => revoked.delete(id)),
    awaitEnd,
    size: Effect.sync(() => entries.size)
  })
})
