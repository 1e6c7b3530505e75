/** Who belongs to the mesh, how long, and what each says of itself (Aster admission, producer mesh). */
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Credential from "@aster-effect/trust/Credential"
import type { MeshLease, PublishedContract } from "../Member.ts"
import { MAX_PRODUCERS } from "../MeshState.ts"
import type { Moment } from "./Moment.ts"

/** Times in milliseconds. */
export interface RosterConfig {
  /** After which what was not said again no longer holds. */
  readonly staleAfter: number
  /** For how long a producer without a credential belongs here after it was listed or heard. */
  readonly listedFor: number
}

export interface RosterOptions {
  readonly me: EndpointId
  readonly root: RootPublicKey
  /** What shows that this member belongs here. */
  readonly credential: Credential.EnrollmentCredential | undefined
  /** Whom nobody lets in, whatever it shows. */
  readonly isRefused: (id: EndpointId) => boolean
}

/**
 * What a credential did for the producer it is for.
 *
 * | verdict | |
 * |---|---|
 * | `new` | it belongs here, by its credential, as it did not before |
 * | `renewed` | its credential is another one now |
 * | `same` | it was shown before |
 * | `older` | the one that is known lasts longer, and stays |
 * | `refused` | it admits nobody |
 */
export type Verdict = "new" | "renewed" | "same" | "older" | "refused"

/** Services and contracts that are kept of one member. */
const MAX_SERVICES = 64
/** For how long a credential that has expired is looked at once more: a wall clock may be ahead for a moment. */
const EXPIRY_PAUSE = 30_000

interface Timed<A> {
  readonly value: A
  /** Monotonic. */
  readonly at: number
}

/** A member as it is kept. */
export interface Entry {
  proof: "credential" | "listed"
  attributes: Credential.Attributes
  /** By its credential, on the wall clock. */
  expiresAt: number | undefined
  /** Without a credential, on the monotonic clock. */
  listedUntil: number
  /** Since when its credential has expired, on the monotonic clock. */
  expiredSince: number | undefined
  /** The credential that was verified last, so that the same is not verified again. */
  signature: string | undefined
  heardAt: number | undefined
  /** The latest time in its messages. */
  latest: number
  readonly contracts: Map<string, Timed<PublishedContract>>
  readonly leases: Map<string, Timed<MeshLease>>
}

const nothing: Credential.Attributes = new Map()

/** Roles that are admitted without becoming part of the mesh (Aster admission, producer admission handshake). */
const guests: ReadonlySet<string | undefined> = new Set(["gateway", "consumer"])

export class Roster {
  readonly #options: RosterOptions
  readonly #config: RosterConfig
  readonly #members = new Map<EndpointId, Entry>()

  constructor(options: RosterOptions, config: RosterConfig) {
    this.#options = options
    this.#config = config
    const { credential, me } = options
    this.#members.set(me, {
      ...newEntry(),
      ...(credential === undefined ? {} : { proof: "credential", attributes: credential.attributes }),
      expiresAt: credential === undefined ? undefined : Number(credential.expiresAt) * 1000
    })
  }

  get size(): number {
    return this.#members.size
  }

  /** Entries held in memory, all bounded. */
  get held(): number {
    let held = this.#members.size
    for (const { contracts, leases } of this.#members.values()) held += contracts.size + leases.size
    return held
  }

  has(id: EndpointId): boolean {
    return this.#members.has(id)
  }

  get(id: EndpointId): Entry | undefined {
    return this.#members.get(id)
  }

  /** Everybody, in ascending order. */
  get entries(): ReadonlyArray<readonly [EndpointId, Entry]> {
    return [...this.#members].toSorted(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Whether what a producer says counts: it belongs here, its credential holds, and nobody has put it out. */
  speaks({ wall }: Moment, id: EndpointId): boolean {
    const entry = this.#members.get(id)
    return entry !== undefined && !isExpired(wall, entry) && !this.#options.isRefused(id)
  }

  /** Takes in producers that a trusted list has; whether there were any. */
  list(
    { monotonic }: Moment,
    ids: ReadonlyArray<EndpointId>,
    expiry: ReadonlyMap<EndpointId, number> | undefined
  ): boolean {
    const before = this.#members.size
    const listedUntil = monotonic + this.#config.listedFor
    for (const id of ids) {
      if (this.#members.has(id) || this.#options.isRefused(id) || this.#isFull()) continue
      this.#members.set(id, { ...newEntry(), expiresAt: expiry?.get(id), listedUntil })
    }
    return this.#members.size > before
  }

  /**
   * Takes a producer in by its credential. One that is tied to an instance has to be shown with the instance's proof, and so
   * to each producer itself: `isShown`.
   */
  prove(now: Moment, credential: Credential.EnrollmentCredential, isShown: boolean): Verdict {
    const { isRefused, me, root } = this.#options
    const { attributes } = credential
    const id = credential.endpointId as EndpointId
    if (id === me || isRefused(id) || guests.has(attributes.get("aster.role"))) return "refused"
    if (!isShown && attributes.has("aster.iid_provider")) return "refused"
    const known = this.#members.get(id)
    const isProven = known?.proof === "credential"
    const expiresAt = Number(credential.expiresAt) * 1000
    if (isProven && known.signature === credential.signature && expiresAt > now.wall) return "same"
    if (!/^[0-9a-f]{64}$/.test(id) || (known === undefined && this.#isFull())) return "refused"
    if (Credential.check(credential, { root, peer: id, nowMillis: now.wall }) !== undefined) return "refused"
    // The one that lasts longest counts, whatever is shown again.
    if (isProven && (known.expiresAt ?? 0) > expiresAt) return "older"
    this.#members.set(id, {
      ...(known ?? newEntry()),
      proof: "credential",
      attributes,
      expiresAt,
      signature: credential.signature
    })
    return isProven ? "renewed" : "new"
  }

  /** A message of a member was taken; whether it is the first one. */
  heard({ monotonic, wall }: Moment, entry: Entry, epochMs: number): boolean {
    const isFirst = entry.heardAt === undefined
    entry.heardAt = wall
    entry.latest = Math.max(entry.latest, epochMs)
    entry.listedUntil = monotonic + this.#config.listedFor
    return isFirst
  }

  keepContract({ monotonic }: Moment, entry: Entry, contract: PublishedContract): boolean {
    return keep(entry.contracts, contract, monotonic)
  }

  keepLease({ monotonic }: Moment, entry: Entry, lease: MeshLease): boolean {
    return keep(entry.leases, lease, monotonic)
  }

  /** False when it did not belong here, or is this member itself. */
  forget(id: EndpointId): boolean {
    return id !== this.#options.me && this.#members.delete(id)
  }

  /** Drops what was not said again; answers whether there was any, and who does not belong here any longer. */
  sweep(now: Moment): { readonly changed: boolean; readonly over: ReadonlyArray<EndpointId> } {
    const over: Array<EndpointId> = []
    const since = now.monotonic - this.#config.staleAfter
    let changed = false
    for (const [id, entry] of this.#members) {
      if (this.#isOver(now, id, entry)) over.push(id)
      for (const kept of [entry.contracts, entry.leases]) {
        for (const [key, { at }] of kept) if (at <= since) changed = kept.delete(key)
      }
    }
    return { changed, over }
  }

  #isOver({ monotonic, wall }: Moment, id: EndpointId, entry: Entry): boolean {
    entry.expiredSince = isExpired(wall, entry) ? (entry.expiredSince ?? monotonic) : undefined
    const hasExpired = entry.expiredSince !== undefined && monotonic - entry.expiredSince >= EXPIRY_PAUSE
    const isUnlisted = entry.proof === "listed" && entry.listedUntil <= monotonic
    return hasExpired || isUnlisted || this.#options.isRefused(id)
  }

  #isFull(): boolean {
    return this.#members.size >= MAX_PRODUCERS
  }
}

const newEntry = (): Entry => ({
  proof: "listed",
  attributes: nothing,
  expiresAt: undefined,
  listedUntil: Infinity,
  expiredSince: undefined,
  signature: undefined,
  heardAt: undefined,
  latest: 0,
  contracts: new Map(),
  leases: new Map()
})

const isExpired = (wall: number, { expiresAt }: Entry): boolean => (expiresAt ?? Infinity) <= wall

/** False when a member says more than is kept of one. */
const keep = <A extends { readonly service: string; readonly version: number }>(
  kept: Map<string, Timed<A>>,
  value: A,
  at: number
): boolean => {
  const key = `${value.service} ${value.version}`
  if (!kept.has(key) && kept.size >= MAX_SERVICES) return false
  kept.set(key, { value, at })
  return true
}

export const values = <A>(kept: ReadonlyMap<string, Timed<A>>): ReadonlyArray<A> =>
  [...kept.values()].map(({ value }) => value)
