/**
 * One producer's part in the mesh, as a state machine: broadcasts, orders and the time go in, commands come out (Aster
 * admission, producer mesh). It does no IO and keeps no clock.
 */
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { Random } from "@aster-effect/iroh-gossip/Random"
import * as Credential from "@aster-effect/trust/Credential"
import type { Member, MeshLease, PublishedContract } from "../Member.ts"
import * as MeshMessage from "../MeshMessage.ts"
import { MAX_PRODUCERS } from "../MeshState.ts"
import { Drift, type DriftConfig } from "./Drift.ts"
import { ReplayGuard } from "./ReplayGuard.ts"
import { type OwnState, Speaker, type SpeakerOptions } from "./Speaker.ts"

/** The same moment on two clocks, in milliseconds: since the Unix epoch, and of one that never goes back. */
export interface Moment {
  readonly wall: number
  readonly monotonic: number
}

/** Numbers of the mesh; times in milliseconds. */
export interface MemberConfig extends DriftConfig {
  /** How old, or how early, a message may be. */
  readonly replayWindow: number
  readonly heartbeat: number
  /** After which what was not said again no longer holds. */
  readonly staleAfter: number
  /** For how long a producer without a credential belongs here after it was listed or heard. */
  readonly listedFor: number
  /** Between two times that this member says everything about itself because others came. */
  readonly announcePause: number
  /** Messages per second that are looked at, of what one neighbour hands on. */
  readonly maxRate: number
}

export const defaultConfig: MemberConfig = {
  replayWindow: 30_000,
  tolerance: 5000,
  grace: 60_000,
  minPeers: 3,
  heartbeat: 900_000,
  staleAfter: 5_400_000,
  listedFor: 86_400_000,
  announcePause: 10_000,
  maxRate: 500
}

/** Services and contracts that are kept of one member. */
const MAX_SERVICES = 64
const SWEEP = 30_000
/** Up to how long a member waits before it answers a newcomer, and by how much longer for each member. */
const ANSWER_SPREAD = 500
const ANSWER_SPREAD_PER_MEMBER = 10

/**
 * Why a message was dropped.
 *
 * | reason | |
 * |---|---|
 * | `malformed` | it is none |
 * | `late` | its time is not within the replay window of ours |
 * | `stranger` | its sender does not belong here |
 * | `forged` | its sender did not sign it |
 * | `replayed` | it came before |
 * | `excess` | more than is looked at or remembered |
 * | `isolated` | its sender's clock is wrong |
 * | `refused` | a credential that admits nobody, or a word that counts only from producers with one |
 * | `unknown` | nobody here knows its type |
 */
export type DropReason =
  | "malformed"
  | "late"
  | "stranger"
  | "forged"
  | "replayed"
  | "excess"
  | "isolated"
  | "refused"
  | "unknown"

/** What is to be done. */
export type Command =
  /** Broadcast this on the topic. */
  | { readonly _tag: "Send"; readonly message: MeshMessage.MeshMessage }
  /** A producer showed, or was introduced with, its own credential. Where Gate 0 has no room for it: `remove` it. */
  | { readonly _tag: "Prove"; readonly credential: Credential.EnrollmentCredential; readonly isNew: boolean }
  /** Who belongs here, or what is known of them, is not what it was. */
  | { readonly _tag: "Changed" }
  | {
      readonly _tag: "Dropped"
      readonly reason: DropReason
      readonly sender: EndpointId | undefined
      readonly from: EndpointId
    }
  /** Another producer has left; `reason` is its own. */
  | { readonly _tag: "Departed"; readonly peer: EndpointId; readonly reason: string }
  /** A producer's clock is wrong, or right again. */
  | { readonly _tag: "Isolation"; readonly peer: EndpointId; readonly isolated: boolean; readonly offset: number }
  /** Our own clock is wrong, or right again. While it is wrong nothing is sent. */
  | { readonly _tag: "SelfOut"; readonly out: boolean; readonly median: number }
  /** The mesh has a new salt: `by` tells it to whoever it admits. */
  | {
      readonly _tag: "Follow"
      readonly by: EndpointId
      readonly at: number
      readonly removed: ReadonlyArray<EndpointId>
    }

interface Timed<A> {
  readonly value: A
  /** Monotonic. */
  readonly at: number
}

interface Entry {
  proof: "credential" | "listed"
  attributes: Credential.Attributes
  /** By its credential, on the wall clock. */
  expiresAt: number | undefined
  /** Without a credential, on the monotonic clock. */
  listedUntil: number
  /** Since when its credential has expired, on the monotonic clock: a wall clock may be ahead for a moment. */
  expiredSince: number | undefined
  /** The credential that was verified last, so that the same is not verified again. */
  signature: string | undefined
  heardAt: number | undefined
  /** The latest time in its messages. */
  latest: number
  readonly contracts: Map<string, Timed<PublishedContract>>
  readonly leases: Map<string, Timed<MeshLease>>
}

export interface MemberOptions extends Omit<SpeakerOptions, "send"> {
  readonly root: RootPublicKey
  /** Whom nobody lets in, whatever it shows. */
  readonly isRefused: (id: EndpointId) => boolean
  readonly random: Random
  readonly config?: Partial<MemberConfig> | undefined
}

const nothing: Credential.Attributes = new Map()

/** Roles that are admitted without becoming part of the mesh (Aster admission, producer admission handshake). */
const guests: ReadonlySet<string | undefined> = new Set(["gateway", "consumer"])

export class MemberState {
  readonly #options: MemberOptions
  readonly #config: MemberConfig
  readonly #members = new Map<EndpointId, Entry>()
  readonly #isolated = new Set<EndpointId>()
  readonly #drift: Drift
  readonly #guard: ReplayGuard
  readonly #speaker: Speaker
  /** Messages that each neighbour handed on within this second. */
  readonly #handed = new Map<EndpointId, number>()
  #second = -1
  #neighbors = 0
  #rotatedAt: number
  #lastHeartbeat = 0
  #heartbeatAt = Infinity
  #announceAt = Infinity
  #announcedAt = -Infinity
  /** Whether the next announcement asks the others for theirs. */
  #asks = false
  #sweepAt: number
  #commands: Array<Command> = []

  constructor(now: Moment, options: MemberOptions & { readonly rotatedAt?: number | undefined }) {
    this.#options = options
    this.#config = { ...defaultConfig, ...options.config }
    this.#drift = new Drift(this.#config, now.monotonic)
    this.#guard = new ReplayGuard(this.#config.replayWindow)
    this.#speaker = new Speaker({
      ...options,
      send: (message) => void this.#commands.push({ _tag: "Send", message })
    })
    this.#rotatedAt = options.rotatedAt ?? 0
    this.#sweepAt = now.monotonic + SWEEP
    const { credential } = options
    this.#members.set(options.me, {
      ...newEntry(),
      ...(credential === undefined ? {} : { proof: "credential", attributes: credential.attributes }),
      expiresAt: credential === undefined ? undefined : Number(credential.expiresAt) * 1000
    })
  }

  /** Whether a producer belongs here. */
  has(id: EndpointId): boolean {
    return this.#members.has(id)
  }

  /** Everybody, in ascending order. */
  get members(): ReadonlyArray<Member> {
    const { me } = this.#options
    return [...this.#members]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([endpointId, entry]) => ({
        endpointId,
        isSelf: endpointId === me,
        proof: entry.proof,
        attributes: entry.attributes,
        expiresAt: entry.expiresAt,
        heardAt: entry.heardAt,
        offset: this.#drift.offsets.get(endpointId),
        isolated: this.#isolated.has(endpointId),
        contracts: endpointId === me ? this.#speaker.contracts : values(entry.contracts),
        leases: endpointId === me ? this.#speaker.leases : values(entry.leases)
      }))
  }

  /** Whether this member's own clock is wrong. */
  get isOut(): boolean {
    return this.#speaker.silent
  }

  get lastHeartbeat(): number {
    return this.#lastHeartbeat
  }

  /** When {@link advance} has to be called next, by the monotonic clock. */
  get deadline(): number {
    return Math.min(this.#heartbeatAt, this.#announceAt, this.#sweepAt)
  }

  /** Entries held in memory, all bounded. */
  get held(): number {
    let held = this.#members.size + this.#isolated.size + this.#drift.offsets.size + this.#guard.size
    for (const { contracts, leases } of this.#members.values()) held += contracts.size + leases.size
    return held + this.#handed.size
  }

  /** The topic was joined: a first one, or another after a rotation. The heartbeat sleeps first. */
  joined(now: Moment, rotatedAt = this.#rotatedAt): ReadonlyArray<Command> {
    this.#rotatedAt = rotatedAt
    this.#neighbors = 0
    this.#drift.joined(now.monotonic)
    if (this.#heartbeatAt === Infinity) this.#heartbeatAt = now.monotonic + this.#config.heartbeat
    return this.#taken()
  }

  /** How many neighbours there are on the topic. Coming among others, this member says who it is. */
  neighbors(now: Moment, count: number): ReadonlyArray<Command> {
    if (this.#neighbors === 0 && count > 0) {
      this.#announceAt = now.monotonic
      this.#asks = true
    }
    this.#neighbors = count
    return this.#taken()
  }

  /** Where this member can be reached, to be said with the next lease. */
  at(address: NodeAddr.NodeAddr): void {
    this.#speaker.at(address)
  }

  /** What this member serves, and how it is; what is left out stays. Others are told at once. */
  serve({ wall }: Moment, own: OwnState): ReadonlyArray<Command> {
    this.#speaker.set(own)
    if (this.#neighbors > 0) {
      if (own.contracts !== undefined) this.#speaker.sayContracts(wall)
      if (own.services !== undefined || own.health !== undefined) this.#speaker.sayLeases(wall)
    }
    this.#commands.push({ _tag: "Changed" })
    return this.#taken()
  }

  /** Producers that a trusted list has. */
  listed(
    now: Moment,
    ids: ReadonlyArray<EndpointId>,
    expiry?: ReadonlyMap<EndpointId, number>
  ): ReadonlyArray<Command> {
    for (const id of ids) {
      const known = this.#members.get(id)
      if (known !== undefined || this.#options.isRefused(id) || this.#isFull()) continue
      const listedUntil = now.monotonic + this.#config.listedFor
      this.#members.set(id, { ...newEntry(), expiresAt: expiry?.get(id), listedUntil })
      this.#commands.push({ _tag: "Changed" })
    }
    return this.#taken()
  }

  /** A producer has shown its credential to this one, which lets the others know. */
  admitted(now: Moment, credential: Credential.EnrollmentCredential): ReadonlyArray<Command> {
    if (this.#prove(now, credential, true)) this.#speaker.say(now.wall, { _tag: "Credential", credential, asks: false })
    return this.#taken()
  }

  /** These are out: not admitted any longer, or removed from the mesh. */
  remove(ids: ReadonlyArray<EndpointId>): ReadonlyArray<Command> {
    for (const id of ids) this.#forget(id)
    return this.#taken()
  }

  /** Says that these are out and that the salt is another one. To be said on the topic of the old one. */
  rotated(now: Moment, removed: ReadonlyArray<EndpointId>): ReadonlyArray<Command> {
    this.#speaker.say(now.wall, { _tag: "Rotated", removed })
    this.#rotatedAt = now.wall
    for (const id of removed) this.#forget(id)
    return this.#taken()
  }

  /** Says goodbye to everybody, once; nothing is said afterwards. */
  depart({ wall }: Moment, reason: string): ReadonlyArray<Command> {
    this.#speaker.depart(wall, reason)
    return this.#taken()
  }

  /** A broadcast that a neighbour handed on. */
  received(now: Moment, from: EndpointId, content: Uint8Array): ReadonlyArray<Command> {
    this.#receive(now, from, content)
    return this.#taken()
  }

  /** Does what is due. */
  advance(now: Moment): ReadonlyArray<Command> {
    const { monotonic } = now
    if (this.#sweepAt <= monotonic) {
      this.#sweepAt = monotonic + SWEEP
      this.#sweep(now)
    }
    if (this.#announceAt <= monotonic) this.#announce(now)
    if (this.#heartbeatAt <= monotonic) {
      this.#heartbeatAt = monotonic + this.#config.heartbeat
      this.#lastHeartbeat = now.wall
      this.#speaker.introduceSelf(now.wall, false)
      this.#speaker.sayLeases(now.wall)
      this.#commands.push({ _tag: "Changed" })
    }
    return this.#taken()
  }

  #receive(now: Moment, from: EndpointId, content: Uint8Array): void {
    if (!this.#mayHandOn(now, from)) return this.#drop("excess", undefined, from)
    const message = MeshMessage.decode(content)
    if (message === undefined) return this.#drop("malformed", undefined, from)
    const { epochMs, sender } = message
    if (sender === this.#options.me) return
    if (Math.abs(now.wall - epochMs) > this.#config.replayWindow) return this.#drop("late", sender, from)
    const known = this.#members.get(sender)
    // Only a newcomer's own credential speaks for one that does not belong here yet.
    const isStranger = known === undefined || isExpired(now, known) || this.#options.isRefused(sender)
    const body = isStranger && message.type !== MeshMessage.typeOf(CREDENTIAL) ? undefined : MeshMessage.bodyOf(message)
    const introducesItself =
      typeof body === "object" && body._tag === "Credential" && body.credential.endpointId === sender
    if (isStranger && !introducesItself) return this.#drop("stranger", sender, from)
    if (!MeshMessage.isSigned(message)) return this.#drop("forged", sender, from)
    const verdict = this.#guard.check(now.monotonic, message)
    if (verdict !== "new") return this.#drop(verdict, sender, from)
    if (isStranger && introducesItself && !this.#prove(now, body.credential)) {
      return this.#drop("refused", sender, from)
    }
    const entry = this.#members.get(sender)
    if (entry === undefined) return
    const { latest } = entry
    this.#heard(now, sender, entry, epochMs)
    if (this.#judge(now, sender)) return
    if (body === undefined) return this.#drop("unknown", sender, from)
    if (body === "malformed") return this.#drop("malformed", sender, from)
    this.#dispatch(now, from, message, body, { entry, latest, isProven: isStranger })
  }

  #dispatch(
    now: Moment,
    from: EndpointId,
    { epochMs, sender }: MeshMessage.MeshMessage,
    body: MeshMessage.Body,
    context: {
      readonly entry: Entry
      readonly latest: number
      readonly isProven: boolean
    }
  ): void {
    const { entry, isProven, latest } = context
    switch (body._tag) {
      case "Introduce":
        return
      case "Depart":
        // A clock that was set back would make an old goodbye good again.
        if (epochMs < latest - this.#config.replayWindow) return this.#drop("replayed", sender, from)
        this.#forget(sender)
        this.#commands.push({ _tag: "Departed", peer: sender, reason: body.reason })
        return
      case "ContractPublished": {
        if (this.#isolated.has(sender)) return this.#drop("isolated", sender, from)
        const { collectionHash, service, version } = body
        this.#keep(now, entry.contracts, `${service} ${version}`, { service, version, collectionHash })
        return
      }
      case "LeaseUpdate": {
        if (this.#isolated.has(sender)) return this.#drop("isolated", sender, from)
        const { contractId, health, service, version } = body
        const address = addressIn(body.addressing, sender)
        this.#keep(now, entry.leases, `${service} ${version}`, { service, version, contractId, health, address })
        return
      }
      case "Credential": {
        const { endpointId } = body.credential
        if (endpointId === this.#options.me) return
        if (!isProven && !this.#prove(now, body.credential)) return this.#drop("refused", sender, from)
        if (endpointId === sender && body.asks) this.#planAnswer(now)
        return
      }
      case "Rotated": {
        const isNewer = epochMs > this.#rotatedAt && epochMs >= latest - this.#config.replayWindow
        if (entry.proof !== "credential" || this.#isolated.has(sender) || !isNewer)
          return this.#drop("refused", sender, from)
        const removed = body.removed.filter((id) => id !== sender && id !== this.#options.me)
        for (const id of removed) this.#forget(id)
        this.#rotatedAt = epochMs
        this.#commands.push({ _tag: "Follow", by: sender, at: epochMs, removed })
      }
    }
  }

  #keep<A>(now: Moment, kept: Map<string, Timed<A>>, key: string, value: A): void {
    if (!kept.has(key) && kept.size >= MAX_SERVICES) return
    kept.set(key, { value, at: now.monotonic })
    this.#commands.push({ _tag: "Changed" })
  }

  #heard(now: Moment, sender: EndpointId, entry: Entry, epochMs: number): void {
    if (entry.heardAt === undefined) this.#commands.push({ _tag: "Changed" })
    entry.heardAt = now.wall
    entry.latest = Math.max(entry.latest, epochMs)
    entry.listedUntil = now.monotonic + this.#config.listedFor
    this.#drift.track(sender, now.wall - epochMs)
  }

  /** The drift rules; answers whether it was this member's own clock that turned out wrong. */
  #judge(now: Moment, sender: EndpointId): boolean {
    const median = this.#drift.median(now.monotonic)
    if (median === undefined) return false
    const offset = this.#drift.offsets.get(sender) ?? 0
    const isolated = this.#drift.isOut(offset, median)
    if (isolated !== this.#isolated.has(sender)) {
      if (isolated) this.#isolated.add(sender)
      else this.#isolated.delete(sender)
      this.#commands.push({ _tag: "Isolation", peer: sender, isolated, offset }, { _tag: "Changed" })
    }
    const out = this.#drift.isOut(0, median)
    if (out === this.#speaker.silent) return false
    if (out) this.#speaker.say(now.wall, { _tag: "Depart", reason: "clock drift" })
    this.#speaker.silent = out
    this.#commands.push({ _tag: "SelfOut", out, median })
    // Others have let this member go, and take it back by its credential.
    if (!out) this.#announceAt = now.monotonic
    return out
  }

  /**
   * Takes a producer in by its credential; false when that admits nobody. One that is tied to an instance has to be shown
   * with the instance's proof, and so to each producer itself.
   */
  #prove(now: Moment, credential: Credential.EnrollmentCredential, isShown = false): boolean {
    const { isRefused, me, root } = this.#options
    const { attributes } = credential
    const id = credential.endpointId as EndpointId
    if (id === me) return false
    if (isRefused(id) || guests.has(attributes.get("aster.role"))) return false
    if (!isShown && attributes.has("aster.iid_provider")) return false
    const known = this.#members.get(id)
    const expiresAt = Number(credential.expiresAt) * 1000
    if (known?.signature === credential.signature && known.proof === "credential" && expiresAt > now.wall) {
      this.#commands.push({ _tag: "Prove", credential, isNew: false })
      return true
    }
    if (!/^[0-9a-f]{64}$/.test(id) || (known === undefined && this.#isFull())) return false
    if (Credential.check(credential, { root, peer: id, nowMillis: now.wall }) !== undefined) return false
    // The one that lasts longest counts, whatever is shown again.
    if (known?.proof === "credential" && (known.expiresAt ?? 0) > expiresAt) return true
    this.#members.set(id, {
      ...(known ?? newEntry()),
      proof: "credential",
      attributes,
      expiresAt,
      signature: credential.signature
    })
    this.#commands.push({ _tag: "Prove", credential, isNew: known?.proof !== "credential" }, { _tag: "Changed" })
    return true
  }

  #isFull(): boolean {
    return this.#members.size >= MAX_PRODUCERS
  }

  #forget(id: EndpointId): void {
    if (id === this.#options.me || !this.#members.delete(id)) return
    this.#isolated.delete(id)
    this.#drift.forget(id)
    this.#commands.push({ _tag: "Changed" })
  }

  #sweep(now: Moment): void {
    this.#guard.expire(now.monotonic)
    const since = now.monotonic - this.#config.staleAfter
    for (const [id, entry] of this.#members) {
      entry.expiredSince = isExpired(now, entry) ? (entry.expiredSince ?? now.monotonic) : undefined
      const isOver = now.monotonic - (entry.expiredSince ?? now.monotonic) >= SWEEP
      const isUnlisted = entry.proof === "listed" && entry.listedUntil <= now.monotonic
      if (isOver || isUnlisted || this.#options.isRefused(id)) this.#forget(id)
      for (const kept of [entry.contracts, entry.leases]) {
        for (const [key, { at }] of kept) {
          if (at > since) continue
          kept.delete(key)
          this.#commands.push({ _tag: "Changed" })
        }
      }
    }
  }

  #mayHandOn({ monotonic }: Moment, from: EndpointId): boolean {
    const second = Math.floor(monotonic / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#handed.clear()
    }
    const count = this.#handed.get(from) ?? 0
    if (count >= this.#config.maxRate) return false
    this.#handed.set(from, count + 1)
    return true
  }

  #drop(reason: DropReason, sender: EndpointId | undefined, from: EndpointId): void {
    this.#commands.push({ _tag: "Dropped", reason, sender, from })
  }

  /** Not all at once, and not for each of many that come together. */
  #planAnswer({ monotonic }: Moment): void {
    const spread = ANSWER_SPREAD + ANSWER_SPREAD_PER_MEMBER * this.#members.size
    const earliest = Math.max(monotonic, this.#announcedAt + this.#config.announcePause)
    this.#announceAt = Math.min(this.#announceAt, earliest + this.#options.random.below(spread))
  }

  #announce({ monotonic, wall }: Moment): void {
    this.#announceAt = Infinity
    this.#announcedAt = monotonic
    this.#speaker.introduceSelf(wall, this.#asks)
    this.#asks = false
    this.#speaker.sayContracts(wall)
    this.#speaker.sayLeases(wall)
  }

  #taken(): ReadonlyArray<Command> {
    const commands = this.#commands
    this.#commands = []
    return commands
  }
}

const CREDENTIAL = { _tag: "Credential" } as const

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

const isExpired = ({ wall }: Moment, { expiresAt }: Entry): boolean => (expiresAt ?? Infinity) <= wall

const values = <A>(kept: ReadonlyMap<string, Timed<A>>): ReadonlyArray<A> =>
  [...kept.values()].map(({ value }) => value)

/** An address counts for the one who signed it. */
const addressIn = (
  { address }: Readonly<Record<string, string>>,
  sender: EndpointId
): NodeAddr.NodeAddr | undefined => {
  if (address === undefined) return undefined
  try {
    const parsed = NodeAddr.parse(address)
    return parsed.endpointId === sender ? parsed : undefined
  } catch {
    return undefined
  }
}
