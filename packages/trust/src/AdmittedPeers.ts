import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { supervise } from "@aster-effect/iroh/Supervisor"
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

/**
 * What a peer has shown: a credential of its own (bound to its node, or good once), or one that any node may show, here
 * known by its signature.
 *
 * @since 0.1.0
 */
export type Proof = { readonly _tag: "Own" } | { readonly _tag: "Shared"; readonly credential: string }

/** What an admission establishes. @since 0.1.0 */
export interface Admission {
  readonly endpointId: EndpointId
  /** The credential's attributes; empty when the gate was open. */
  readonly attributes: Attributes
  /** When the credential expires, in milliseconds since the Unix epoch; absent means never. */
  readonly expiresAt: number | undefined
  readonly path: AdmissionPath
  /** Absent: it has shown nothing, and is the first to go when the record is full. */
  readonly proof?: Proof | undefined
}

/** An admission on record. Times are milliseconds since the Unix epoch. @since 0.1.0 */
export interface AdmittedPeer extends Admission {
  readonly admittedAt: number
  /** The earlier of the credential's expiry and the end of the peer lifetime; the peer is out from this instant. */
  readonly endsAt: number
}

/** Why an admission is over. @since 0.1.0 */
export type EndReason = "expired" | "revoked" | "evicted" | "unknown"

/**
 * The record of admitted peers is full, and nobody on it gives way to this one; or as many are on it as one credential may
 * let in that is bound to no node.
 *
 * @since 0.1.0
 */
export class AdmittedPeersFull extends Schema.TaggedError<AdmittedPeersFull>()("AdmittedPeersFull", {
  of: Schema.Literals(["record", "credential"]),
  capacity: Schema.Int
}) {
  override get message(): string {
    return this.of === "record"
      ? `${this.capacity} peers are admitted already; raise the capacity or wait for admissions to expire`
      : `${this.capacity} peers are admitted by this credential already; issue credentials that are bound to their nodes`
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
  /**
   * What a new peer meets when the record is full: `refuse` (default), or `evict` the longest admitted. Either way peers
   * that have shown nothing give way to those that have shown a credential, and those with a credential that any node may
   * show to those with one of their own; never the other way round.
   */
  readonly whenFull?: "refuse" | "evict" | undefined
  /** Most peers on record that one credential has let in which is bound to no node; default 1 000. */
  readonly perCredential?: number | undefined
  /** Longest lifetime of an admission whatever its credential says; default `ASTER_PEER_TTL_S`, else 24 hours. */
  readonly lifetime?: Duration.Input | undefined
}

interface Entry {
  readonly peer: AdmittedPeer
  /** Of the clock that is never set, in milliseconds: a wall clock that goes back prolongs nothing. */
  readonly deadline: number
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
    readonly admissible: (
      admission: Pick<Admission, "endpointId" | "proof">
    ) => Effect.Effect<void, AdmittedPeersFull | PeerRevoked>
    /** Whether a peer is admitted, and that by a credential. */
    readonly isKnown: (id: EndpointId) => Effect.Effect<boolean>
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
    /** Whether a peer was put out and not reinstated. */
    readonly isRevoked: (id: EndpointId) => Effect.Effect<boolean>
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

/** Who goes first when there is no room. */
const ranks = ["nameless", "shared", "own"] as const
type Rank = (typeof ranks)[number]

const rankOf = ({ proof }: Pick<Admission, "proof">): Rank =>
  proof === undefined ? "nameless" : proof._tag === "Shared" ? "shared" : "own"

const make = Effect.fnUntraced(function* ({
  capacity = 100_000,
  lifetime,
  perCredential = 1_000,
  whenFull = "refuse"
}: AdmittedPeersOptions) {
  const clock = yield* Clock.Clock
  const longest = Duration.toMillis(lifetime ?? (yield* lifetimeConfig))
  const entries = new Map<EndpointId, Entry>()
  /** The same by rank, each in order of admission, so that the first is the longest admitted. */
  const byRank: Readonly<Record<Rank, Set<EndpointId>>> = { nameless: new Set(), shared: new Set(), own: new Set() }
  /** How many each shared credential has let in. */
  const sharing = new Map<string, number>()
  const monotonicMillis = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const revoked = new Set<EndpointId>()

  const count = ({ proof }: Admission, change: 1 | -1): void => {
    if (proof?._tag !== "Shared") return
    const left = (sharing.get(proof.credential) ?? 0) + change
    if (left > 0) sharing.set(proof.credential, left)
    else sharing.delete(proof.credential)
  }

  const add = (entry: Entry): void => {
    entries.set(entry.peer.endpointId, entry)
    byRank[rankOf(entry.peer)].add(entry.peer.endpointId)
    count(entry.peer, 1)
  }

  const remove = ({ peer }: Entry): void => {
    entries.delete(peer.endpointId)
    byRank[rankOf(peer)].delete(peer.endpointId)
    count(peer, -1)
  }

  const end = (entry: Entry, reason: EndReason | undefined): void => {
    if (reason !== undefined) remove(entry)
    Deferred.doneUnsafe(entry.ended, Effect.succeed(reason))
  }

  const liveAt = (id: EndpointId, now: number): Entry | undefined => {
    const entry = entries.get(id)
    if (entry === undefined || (now < entry.peer.endsAt && monotonicMillis() < entry.deadline)) return entry
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

  /** Who gives way to a newcomer of this rank: the longest admitted of the lowest rank below it, or of its own. */
  const victimOf = (rank: Rank): Entry | undefined => {
    const below = ranks.slice(0, ranks.indexOf(rank))
    const candidates = whenFull === "evict" ? [...below, rank] : below
    for (const candidate of candidates) {
      const [first] = byRank[candidate]
      if (first !== undefined) return entries.get(first)
    }
    return undefined
  }

  const refusal = (
    admission: Pick<Admission, "endpointId" | "proof">,
    now: number
  ): AdmittedPeersFull | PeerRevoked | undefined => {
    const { endpointId, proof } = admission
    if (revoked.has(endpointId)) return new PeerRevoked({ endpointId })
    const earlier = entries.get(endpointId)?.peer.proof
    const isCounted = proof?._tag === "Shared" && earlier?._tag === "Shared" && earlier.credential === proof.credential
    if (proof?._tag === "Shared" && !isCounted && (sharing.get(proof.credential) ?? 0) >= perCredential) {
      sweep(now)
      if ((sharing.get(proof.credential) ?? 0) >= perCredential) {
        return new AdmittedPeersFull({ of: "credential", capacity: perCredential })
      }
    }
    const hasRoom = entries.has(endpointId) || !isFull(now) || victimOf(rankOf(admission)) !== undefined
    return hasRoom ? undefined : new AdmittedPeersFull({ of: "record", capacity })
  }

  const admit = (admission: Admission) =>
    Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<AdmittedPeer, AdmittedPeersFull | PeerRevoked> => {
      const refused = refusal(admission, now)
      if (refused !== undefined) return Effect.fail(refused)
      const earlier = entries.get(admission.endpointId)
      const victim = earlier === undefined && isFull(now) ? victimOf(rankOf(admission)) : undefined
      if (victim !== undefined) end(victim, "evicted")
      const endsAt = Math.min(admission.expiresAt ?? Infinity, now + longest)
      const peer: AdmittedPeer = { ...admission, admittedAt: now, endsAt }
      if (earlier !== undefined) remove(earlier)
      add({ peer, deadline: monotonicMillis() + endsAt - now, ended: Deferred.makeUnsafe() })
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

  const sweeping = Clock.currentTimeMillis.pipe(Effect.map(sweep), Effect.delay(sweepInterval), Effect.forever)
  yield* Effect.forkScoped(supervise("the sweep of admitted peers", sweeping))

  return AdmittedPeers.of({
    admit,
    isKnown: (id) => Effect.map(get(id), (peer) => peer?.proof !== undefined),
    admissible: (admission) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const refused = refusal(admission, now)
        return refused === undefined ? Effect.void : Effect.fail(refused)
      }),
    get,
    attributes: (id) => Effect.sync(() => attributesUnsafe(id)),
    attributesUnsafe,
    revoke,
    isRevoked: (id) => Effect.sync(() => revoked.has(id)),
    reinstate: (id) => Effect.sync(() => revoked.delete(id)),
    awaitEnd,
    size: Effect.sync(() => entries.size)
  })
})
