/**
 * One producer's part in the mesh, as a state machine: broadcasts, orders and the time go in, commands come out (Aster
 * admission, producer mesh). It does no IO and keeps no clock.
 */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { Random } from "@aster-effect/iroh-gossip/Random"
import type { EnrollmentCredential } from "@aster-effect/trust/Credential"
import type { Member } from "../Member.ts"
import * as MeshMessage from "../MeshMessage.ts"
import { Drift, type DriftConfig } from "./Drift.ts"
import type { Moment } from "./Moment.ts"
import { ReplayGuard } from "./ReplayGuard.ts"
import { type Entry, Roster, type RosterConfig, type RosterOptions, values } from "./Roster.ts"
import { type OwnState, Speaker, type SpeakerOptions } from "./Speaker.ts"

/** Numbers of the mesh; times in milliseconds. */
export interface MemberConfig extends DriftConfig, RosterConfig {
  /** How old, or how early, a message may be. */
  readonly replayWindow: number
  readonly heartbeat: number
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
  | { readonly _tag: "Prove"; readonly credential: EnrollmentCredential; readonly isNew: boolean }
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

export interface MemberOptions extends Omit<SpeakerOptions, "send">, RosterOptions {
  readonly random: Random
  readonly config?: Partial<MemberConfig> | undefined
}

export class MemberState {
  readonly #options: MemberOptions
  readonly #config: MemberConfig
  readonly #roster: Roster
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
    this.#roster = new Roster(options, this.#config)
    this.#drift = new Drift(this.#config, now.monotonic)
    this.#guard = new ReplayGuard(this.#config.replayWindow)
    this.#speaker = new Speaker({
      ...options,
      send: (message) => void this.#commands.push({ _tag: "Send", message })
    })
    this.#rotatedAt = options.rotatedAt ?? 0
    this.#sweepAt = now.monotonic + SWEEP
  }

  /** Whether a producer belongs here. */
  has(id: EndpointId): boolean {
    return this.#roster.has(id)
  }

  /** Everybody, in ascending order. */
  get members(): ReadonlyArray<Member> {
    const { me } = this.#options
    return this.#roster.entries.map(([endpointId, entry]) => ({
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
    return this.#roster.held + this.#isolated.size + this.#drift.offsets.size + this.#guard.size + this.#handed.size
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
    this.#change()
    return this.#taken()
  }

  /** Producers that a trusted list has. */
  listed(
    now: Moment,
    ids: ReadonlyArray<EndpointId>,
    expiry?: ReadonlyMap<EndpointId, number>
  ): ReadonlyArray<Command> {
    if (this.#roster.list(now, ids, expiry)) this.#change()
    return this.#taken()
  }

  /** A producer has shown its credential to this one, which lets the others know. */
  admitted(now: Moment, credential: EnrollmentCredential): ReadonlyArray<Command> {
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
      this.#change()
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
    // Only a newcomer's own credential speaks for one that does not belong here yet.
    const isStranger = !this.#roster.speaks(now, sender)
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
    const entry = this.#roster.get(sender)
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
        if (this.#roster.keepContract(now, entry, { service, version, collectionHash })) this.#change()
        return
      }
      case "LeaseUpdate": {
        if (this.#isolated.has(sender)) return this.#drop("isolated", sender, from)
        const { contractId, health, service, version } = body
        const address = addressIn(body.addressing, sender)
        if (this.#roster.keepLease(now, entry, { service, version, contractId, health, address })) this.#change()
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

  #heard(now: Moment, sender: EndpointId, entry: Entry, epochMs: number): void {
    if (this.#roster.heard(now, entry, epochMs)) this.#change()
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

  /** Takes a producer in by its credential; false when that admits nobody. */
  #prove(now: Moment, credential: EnrollmentCredential, isShown = false): boolean {
    const verdict = this.#roster.prove(now, credential, isShown)
    switch (verdict) {
      case "refused":
        return false
      case "older":
        return true
      case "same":
        this.#commands.push({ _tag: "Prove", credential, isNew: false })
        return true
      case "new":
      case "renewed":
        this.#commands.push({ _tag: "Prove", credential, isNew: verdict === "new" })
        this.#change()
        return true
    }
  }

  #forget(id: EndpointId): void {
    if (!this.#roster.forget(id)) return
    this.#isolated.delete(id)
    this.#drift.forget(id)
    this.#change()
  }

  #sweep(now: Moment): void {
    this.#guard.expire(now.monotonic)
    const { changed, over } = this.#roster.sweep(now)
    for (const id of over) this.#forget(id)
    if (changed) this.#change()
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

  #change(): void {
    this.#commands.push({ _tag: "Changed" })
  }

  #drop(reason: DropReason, sender: EndpointId | undefined, from: EndpointId): void {
    this.#commands.push({ _tag: "Dropped", reason, sender, from })
  }

  /** Not all at once, and not for each of many that come together. */
  #planAnswer({ monotonic }: Moment): void {
    const spread = ANSWER_SPREAD + ANSWER_SPREAD_PER_MEMBER * this.#roster.size
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
