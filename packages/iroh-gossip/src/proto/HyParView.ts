/** The membership of one topic: which peers are neighbours, and which others are known (iroh-gossip wire, Membership). */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { PeerInfo, Priority, SwarmMessage } from "../Message.ts"
import type { Random } from "../Random.ts"
import { View } from "./View.ts"

/** Why a peer is a neighbour no longer: it left the topic, one of both made room for another, or it cannot be reached. */
export type DownReason = "left" | "evicted" | "lost"

/** Numbers of the membership; times in milliseconds. */
export interface HyParViewConfig {
  /** Neighbours at most. */
  readonly activeCapacity: number
  /** Other known peers at most. */
  readonly passiveCapacity: number
  /** Hops of a newcomer's random walk. */
  readonly joinTtl: number
  /** What is left of it where the newcomer also becomes known. */
  readonly passiveTtl: number
  /** Hops of a shuffle. */
  readonly shuffleTtl: number
  readonly shuffleActive: number
  readonly shufflePassive: number
  readonly shuffleInterval: number
  /** How long one who was asked to be a neighbour, for want of them, may take before another is asked. */
  readonly neighborTimeout: number
  /** How long to wait after a refusal before another is asked; doubled with each one, up to the shuffle interval. */
  readonly refusalPause: number
  /** After which a Neighbor that nothing was heard about, whyever sent, is forgotten. */
  readonly pendingTimeout: number
  /** Peers that are not neighbours and were asked to be. What would exceed it is not asked. */
  readonly maxPending: number
  /** Without a neighbour, the first attempt to join again comes after this, each next one after twice the time. */
  readonly rejoinMin: number
  readonly rejoinMax: number
  /** Neighbours that were lost and are asked again from time to time. */
  readonly maxLost: number
  readonly lostMin: number
  readonly lostMax: number
  readonly lostAttempts: number
  /**
   * A neighbour that was silent for this long is asked for a sign of life. After half of it again it is asked over a new
   * connection, and then taken for lost: the reference sends nothing any more over one on which it tried to send too much.
   */
  readonly silence: number
  /** Names taken from a Shuffle or ShuffleReply at most. */
  readonly maxNodes: number
  /** Address data of a peer that is longer is not passed on, in bytes. */
  readonly maxData: number
  /** Whether some id is a public key. Names that are none are not kept: the reference takes no message with one. */
  readonly isKey: (id: EndpointId) => boolean
}

export const defaultConfig: Omit<HyParViewConfig, "isKey"> = {
  activeCapacity: 5,
  passiveCapacity: 30,
  joinTtl: 6,
  passiveTtl: 3,
  shuffleTtl: 6,
  shuffleActive: 3,
  shufflePassive: 4,
  shuffleInterval: 60_000,
  neighborTimeout: 500,
  refusalPause: 250,
  pendingTimeout: 15_000,
  maxPending: 16,
  rejoinMin: 1000,
  rejoinMax: 60_000,
  maxLost: 8,
  lostMin: 10_000,
  lostMax: 300_000,
  lostAttempts: 12,
  silence: 60_000,
  maxNodes: 16,
  maxData: 480
}

/** Joins sent by one attempt at most. */
const maxJoins = 16
/** For how long a peer that takes us for its neighbour is not told again that it is mistaken. */
const strangerPause = 2000
/** For how long an answer may be on its way from a peer that had to go meanwhile. */
const answerTime = 2000
const maxRemembered = 64

export type HyParViewTimer =
  | { readonly _tag: "Shuffle" }
  /** A peer that was asked for want of neighbours may have let the time pass. */
  | { readonly _tag: "Pending"; readonly peer: EndpointId; readonly until: number }
  | { readonly _tag: "Refill"; readonly pause: number }
  | { readonly _tag: "Listen" }
  | { readonly _tag: "Rejoin" }
  | { readonly _tag: "Lost"; readonly peer: EndpointId; readonly attempt: number }

/** What the membership does. */
export interface HyParViewOutput {
  readonly send: (to: EndpointId, message: SwarmMessage) => void
  readonly up: (peer: EndpointId) => void
  readonly down: (peer: EndpointId, reason: DownReason) => void
  /** A peer said how another, or itself, can be reached. */
  readonly learn: (info: PeerInfo, from: EndpointId) => void
  /** Use a new connection to this peer. */
  readonly reconnect: (peer: EndpointId) => void
  /** Without neighbours, joining is tried again. */
  readonly rejoin: (attempt: number) => void
  readonly schedule: (at: number, timer: HyParViewTimer) => void
}

/** HyParView as the reference speaks it, and beyond it: rejoining, and looking for lost neighbours. */
export class HyParView {
  readonly #me: EndpointId
  readonly #config: HyParViewConfig
  readonly #random: Random
  readonly #out: HyParViewOutput
  readonly #active = new View()
  readonly #passive = new View()
  /** Those to whom a Neighbor was sent and who have sent none since, and until when it counts. */
  readonly #pending = new Map<EndpointId, number>()
  /** Passive members that did not answer in time once. */
  readonly #late = new Set<EndpointId>()
  /** Passive members that had no place since the last shuffle. */
  readonly #refused = new Set<EndpointId>()
  readonly #data = new Map<EndpointId, Uint8Array>()
  /** Those that go away now but are alive. */
  readonly #aliveLeaving = new Set<EndpointId>()
  /** Neighbours that were lost, and how often they were asked since. */
  readonly #lost = new Map<EndpointId, number>()
  /** Those that were evicted before they had answered, and until when their answer is void. */
  readonly #void = new Map<EndpointId, number>()
  /** Until when peers that are no neighbours are not told so. */
  readonly #strangers = new Map<EndpointId, number>()
  /** Those that were sent a Join, and did not answer. */
  readonly #joining = new Set<EndpointId>()
  /** When each neighbour was heard last, and how often it was asked for a sign of life since. */
  readonly #heard = new Map<EndpointId, { at: number; asked: number }>()
  #bootstrap: ReadonlyArray<EndpointId> = []
  #myData: Uint8Array | undefined
  /** Refusals in a row, and the pause that is kept for them. */
  #refusals = 0
  #pause: number | undefined
  #pauses = 0
  #shuffling = false
  #rejoining = false
  /** Attempts to join since there was a neighbour last. */
  #attempts = 0

  constructor(me: EndpointId, config: HyParViewConfig, random: Random, out: HyParViewOutput) {
    this.#me = me
    this.#config = config
    this.#random = random
    this.#out = out
  }

  /** The neighbours. */
  get active(): Iterable<EndpointId> & { readonly size: number; readonly has: (peer: EndpointId) => boolean } {
    return this.#active
  }

  /** Peers that are known besides. */
  get passive(): Iterable<EndpointId> & { readonly size: number } {
    return this.#passive
  }

  /** Whether a connection to this peer is still of use. */
  needs(now: number, peer: EndpointId): boolean {
    return this.#active.has(peer) || this.#isPending(now, peer)
  }

  /** Whether the topic is to be joined at this peer. */
  isContact(peer: EndpointId): boolean {
    return this.#bootstrap.includes(peer)
  }

  /** Entries held in memory, all bounded by the configuration. */
  get held(): number {
    return [
      this.#pending,
      this.#data,
      this.#aliveLeaving,
      this.#heard,
      this.#late,
      this.#refused,
      this.#lost,
      this.#void,
      this.#strangers
    ].reduce((sum, { size }) => sum + size, 0)
  }

  /** Sets what others are told about how to reach this endpoint, from the next message on. */
  describe(data: Uint8Array | undefined): void {
    this.#myData = data
  }

  /** Asks to be let in. The peers are remembered, to be asked again when there is no neighbour left. */
  join(now: number, peers: ReadonlyArray<EndpointId>): void {
    const others = peers.filter((peer) => peer !== this.#me)
    this.#bootstrap = [...new Set([...others, ...this.#bootstrap])].slice(0, 4 * maxJoins)
    this.#begin(now)
    for (const peer of others.slice(0, maxJoins)) if (!this.#active.has(peer)) this.#sendJoin(peer)
    this.#planRejoin(now)
  }

  /** Something came from this peer. */
  heard(now: number, from: EndpointId): void {
    const heard = this.#heard.get(from)
    if (heard === undefined) return
    heard.at = now
    heard.asked = 0
  }

  received(now: number, from: EndpointId, message: SwarmMessage): void {
    if (from === this.#me) return
    this.#begin(now)
    switch (message._tag) {
      case "Join":
        return this.#onJoin(now, from, message.data)
      case "ForwardJoin":
        this.strangerActs(now, from)
        return this.#onForwardJoin(now, from, message.peer, message.ttl)
      case "Shuffle":
        this.strangerActs(now, from)
        return this.#onShuffle(now, from, message.origin, message.nodes, message.ttl)
      case "ShuffleReply":
        this.#addAllPassive(message.nodes, from)
        return this.#refill(now)
      case "Neighbor": {
        if (this.#isVoid(now, from)) return
        const replies = this.#pending.delete(from)
        if (this.#addActive(now, from, message.data, message.priority, !replies)) {
          if (replies) this.#refill(now)
          return
        }
        this.#send(from, { _tag: "ShuffleReply", nodes: this.#someNodes(this.#nodesGivenAway, from) })
        return this.#disconnect(now, from)
      }
      case "Disconnect":
        return this.#onDisconnect(now, from, message.alive)
    }
  }

  /**
   * A peer that is no neighbour behaves as one. It is told, so that its place is free again; not while a request of ours
   * is on its way, and not right after it was told before.
   */
  strangerActs(now: number, peer: EndpointId): void {
    if (this.#active.has(peer) || this.#isPending(now, peer) || (this.#strangers.get(peer) ?? 0) > now) return
    this.#disconnect(now, peer)
  }

  /** The peer cannot be reached, or went without a goodbye. */
  connectionLost(now: number, peer: EndpointId): void {
    this.#joining.delete(peer)
    this.#pending.delete(peer)
    const leaving = this.#aliveLeaving.delete(peer)
    if (this.#removeActive(peer)) {
      if (leaving) this.#addPassive(peer, undefined)
      else this.#rememberLost(now, peer)
      this.#out.down(peer, "lost")
      this.#forgetUnknown(peer)
      this.#replace(now)
      return this.#planRejoin(now)
    }
    if (leaving) return
    this.#removePassive(peer)
    this.#forgetUnknown(peer)
    // The next one is asked at once: who does not answer a dial will not answer in time either.
    this.#refill(now)
  }

  /** Says goodbye to all neighbours, and to those who may become some. Nothing may be done with this afterwards. */
  quit(): void {
    for (const peer of this.#active)
      this.#send(peer, { _tag: "ShuffleReply", nodes: this.#someNodes(this.#nodesGivenAway, peer) })
    for (const peer of new Set([...this.#active, ...this.#pending.keys(), ...this.#joining]))
      this.#send(peer, { _tag: "Disconnect", alive: false })
  }

  fired(now: number, timer: HyParViewTimer): void {
    switch (timer._tag) {
      case "Shuffle":
        this.#refused.clear()
        this.#shuffle()
        return this.#planShuffle(now)
      case "Pending":
        return this.#onPendingTimeout(now, timer.peer, timer.until)
      case "Refill":
        if (this.#pause !== timer.pause) return
        this.#pause = undefined
        return this.#refill(now)
      case "Listen":
        return this.#listen(now)
      case "Rejoin":
        return this.#rejoin(now)
      case "Lost":
        return this.#seek(now, timer.peer, timer.attempt)
    }
  }

  /** Whether this answers a request made before its sender was evicted. Taken, it would evict another, and so on. */
  #isVoid(now: number, from: EndpointId): boolean {
    const until = this.#void.get(from)
    return until !== undefined && this.#void.delete(from) && until > now
  }

  #onJoin(now: number, from: EndpointId, data: Uint8Array | undefined): void {
    // A newcomer knows of no request that was made of its former self.
    this.#pending.delete(from)
    this.#void.delete(from)
    this.#addActive(now, from, data, "High", true)
    const peer = this.#infoOf(from)
    for (const other of this.#active) {
      if (other !== from) this.#send(other, { _tag: "ForwardJoin", peer, ttl: this.#config.joinTtl })
    }
  }

  #onForwardJoin(now: number, from: EndpointId, info: PeerInfo, ttl: number): void {
    const peer = info.id
    if (peer === this.#me || !this.#isKey(peer)) return
    if (this.#active.has(peer) || ttl === 0 || this.#active.size <= 1) {
      this.#learn(info, from)
      return this.#ask(now, peer, "High", false)
    }
    if (ttl === this.#config.passiveTtl) this.#addPassive(peer, info, from)
    if (this.#isPending(now, peer)) return
    const next = this.#active.draw(this.#random, (other) => other !== from && other !== peer)
    // A peer's figure is not to make a walk longer than it should be.
    const left = Math.min(ttl, this.#config.joinTtl) - 1
    if (next !== undefined) this.#send(next, { _tag: "ForwardJoin", peer: this.#bounded(info), ttl: left })
  }

  #onShuffle(now: number, from: EndpointId, origin: EndpointId, nodes: ReadonlyArray<PeerInfo>, ttl: number): void {
    if (origin === this.#me) return
    if (ttl > 0 && this.#active.size > 1) {
      const next = this.#active.draw(this.#random, (peer) => peer !== origin && peer !== from)
      if (next === undefined) return
      const kept = nodes.slice(0, this.#config.maxNodes).filter(({ id }) => this.#isKey(id))
      const left = Math.min(ttl, this.#config.shuffleTtl) - 1
      return this.#send(next, { _tag: "Shuffle", origin, nodes: kept.map((info) => this.#bounded(info)), ttl: left })
    }
    this.#addAllPassive(nodes, from)
    if (!this.#isKey(origin)) return
    const count = Math.min(nodes.length, this.#config.maxNodes)
    this.#send(origin, { _tag: "ShuffleReply", nodes: this.#someNodes(count, origin) })
    this.#refill(now)
  }

  #onDisconnect(now: number, from: EndpointId, alive: boolean): void {
    const refuses = this.#pending.delete(from)
    if (this.#removeActive(from)) {
      this.#out.down(from, alive ? "evicted" : "left")
      if (alive) {
        this.#addPassive(from, undefined)
        this.#aliveLeaving.add(from)
      }
      this.#forgetUnknown(from)
      this.#replace(now, from)
      return this.#planRejoin(now)
    }
    if (!alive) {
      this.#removePassive(from)
      this.#lost.delete(from)
    } else if (this.#passive.has(from)) {
      this.#aliveLeaving.add(from)
      if (refuses) this.#onRefusal(now, from)
    }
    this.#forgetUnknown(from)
  }

  /** Where most have no place, asking one after the other at once would be a flood. */
  #onRefusal(now: number, peer: EndpointId): void {
    this.#refused.add(peer)
    const { refusalPause, shuffleInterval } = this.#config
    const pause = Math.min(shuffleInterval, refusalPause * 2 ** Math.min(this.#refusals++, 20))
    this.#pause = ++this.#pauses
    this.#out.schedule(now + pause / 2 + this.#random.below(pause), { _tag: "Refill", pause: this.#pause })
  }

  #onPendingTimeout(now: number, peer: EndpointId, until: number): void {
    if (this.#pending.get(peer) !== until) return
    this.#pending.delete(peer)
    // The first time the dial may only have been slow.
    if (this.#late.has(peer)) this.#removePassive(peer)
    else if (this.#passive.has(peer)) this.#late.add(peer)
    this.#forgetUnknown(peer)
    this.#refill(now)
  }

  /** Sends Neighbor, unless one is on its way. */
  #ask(now: number, peer: EndpointId, priority: Priority, refill: boolean): void {
    if (this.#isPending(now, peer)) return
    if (!this.#active.has(peer) && this.#pendingOutside(now) >= this.#config.maxPending) return
    const { neighborTimeout, pendingTimeout } = this.#config
    const until = now + (refill ? neighborTimeout : pendingTimeout)
    remember(this.#pending, peer, until)
    this.#send(peer, { _tag: "Neighbor", priority, data: this.#myData })
    if (refill) this.#out.schedule(until, { _tag: "Pending", peer, until })
  }

  #isPending(now: number, peer: EndpointId): boolean {
    return (this.#pending.get(peer) ?? 0) > now
  }

  /** Requests to peers that are no neighbours. */
  #pendingOutside(now: number): number {
    let count = 0
    for (const [peer, until] of this.#pending) if (until > now && !this.#active.has(peer)) count++
    return count
  }

  #addActive(now: number, peer: EndpointId, data: Uint8Array | undefined, priority: Priority, reply: boolean): boolean {
    const accepted = this.#active.has(peer) || priority === "High" || this.#active.size < this.#config.activeCapacity
    if (accepted && !this.#active.has(peer)) {
      if (this.#active.size >= this.#config.activeCapacity) this.#evict(now)
      this.#removePassive(peer)
      this.#aliveLeaving.delete(peer)
      this.#lost.delete(peer)
      this.#joining.delete(peer)
      this.#strangers.delete(peer)
      this.#active.add(peer)
      this.#heard.set(peer, { at: now, asked: 0 })
      this.#attempts = 0
      this.#learn({ id: peer, data }, peer)
      this.#out.up(peer)
    } else if (data !== undefined) this.#learn({ id: peer, data }, peer)
    if (accepted && reply) this.#ask(now, peer, priority, false)
    return accepted
  }

  #evict(now: number): void {
    const peer = this.#active.draw(this.#random)
    if (peer === undefined) return
    this.#removeActive(peer)
    if (this.#isPending(now, peer)) remember(this.#void, peer, now + answerTime)
    this.#out.down(peer, "evicted")
    this.#send(peer, { _tag: "ShuffleReply", nodes: this.#someNodes(this.#nodesGivenAway, peer) })
    this.#disconnect(now, peer)
    this.#addPassive(peer, undefined)
    this.#aliveLeaving.add(peer)
  }

  #disconnect(now: number, peer: EndpointId): void {
    this.#send(peer, { _tag: "Disconnect", alive: true })
    this.#pending.delete(peer)
    remember(this.#strangers, peer, now + strangerPause)
    this.#forgetUnknown(peer)
  }

  #removeActive(peer: EndpointId): boolean {
    this.#heard.delete(peer)
    return this.#active.delete(peer)
  }

  /** Asks silent neighbours for a sign of life: a Shuffle that goes no further is always answered. */
  #listen(now: number): void {
    const { silence } = this.#config
    this.#out.schedule(now + silence / 2, { _tag: "Listen" })
    for (const [peer, heard] of this.#heard) {
      if (now - heard.at < silence) continue
      if (heard.asked === 2) {
        this.connectionLost(now, peer)
        continue
      }
      if (heard.asked === 1) this.#out.reconnect(peer)
      heard.asked++
      const nodes = [{ id: this.#me, data: this.#myData }]
      this.#send(peer, { _tag: "Shuffle", origin: this.#me, nodes, ttl: 0 })
    }
  }

  /** Looks for a neighbour in place of one that is no more. */
  #replace(now: number, except?: EndpointId): void {
    this.#refusals = 0
    this.#pause = undefined
    this.#refill(now, except)
  }

  /** Looks for a neighbour among the known peers while there are too few. */
  #refill(now: number, except?: EndpointId): void {
    if (this.#pause !== undefined) return
    if (this.#active.size + this.#pendingOutside(now) >= this.#config.activeCapacity) return
    const fits = (peer: EndpointId) => peer !== except && !this.#isPending(now, peer) && !this.#refused.has(peer)
    const peer =
      this.#passive.draw(this.#random, (peer) => fits(peer) && !this.#late.has(peer)) ??
      this.#passive.draw(this.#random, fits)
    if (peer !== undefined) this.#ask(now, peer, this.#hasFew ? "High" : "Low", true)
  }

  #shuffle(): void {
    const to = this.#active.draw(this.#random)
    if (to === undefined) return
    const { shuffleActive, shufflePassive } = this.#config
    const others = (peer: EndpointId) => peer !== to
    const nodes = [
      ...this.#active.sample(this.#random, shuffleActive, others),
      ...this.#passive.sample(this.#random, shufflePassive, others)
    ].map((peer) => this.#infoOf(peer))
    nodes.push({ id: this.#me, data: this.#myData })
    this.#send(to, { _tag: "Shuffle", origin: this.#me, nodes, ttl: this.#config.shuffleTtl })
  }

  /** As many as a Shuffle carries without its sender. */
  get #nodesGivenAway(): number {
    return this.#config.shuffleActive + this.#config.shufflePassive
  }

  #someNodes(count: number, receiver: EndpointId): Array<PeerInfo> {
    const others = (peer: EndpointId) => peer !== receiver
    const nodes = this.#passive.sample(this.#random, count, others)
    nodes.push(...this.#active.sample(this.#random, count - nodes.length, others))
    return nodes.map((peer) => this.#infoOf(peer))
  }

  /** A first message on the topic sets the shuffles going. */
  #begin(now: number): void {
    if (this.#shuffling) return
    this.#shuffling = true
    this.#planShuffle(now)
    this.#out.schedule(now + this.#config.silence / 2, { _tag: "Listen" })
  }

  /** Who has few neighbours shuffles more often: by it they learn whether they are neighbours of each other still. */
  #planShuffle(now: number): void {
    const { shuffleInterval } = this.#config
    this.#out.schedule(now + (this.#hasFew ? shuffleInterval / 4 : shuffleInterval), { _tag: "Shuffle" })
  }

  /** Whether the loss of one or two more neighbours would cut this member off. */
  get #hasFew(): boolean {
    return this.#active.size <= this.#config.activeCapacity / 2
  }

  #planRejoin(now: number): void {
    if (this.#active.size > 0 || this.#rejoining) return
    if (this.#bootstrap.length === 0 && this.#passive.size === 0) return
    this.#rejoining = true
    const { rejoinMax, rejoinMin } = this.#config
    const delay = Math.min(rejoinMax, rejoinMin * 2 ** Math.min(this.#attempts, 20))
    // Members that lost each other together shall not come back all at the same time.
    this.#out.schedule(now + delay / 2 + this.#random.below(delay), { _tag: "Rejoin" })
  }

  #rejoin(now: number): void {
    this.#rejoining = false
    if (this.#active.size > 0) return
    this.#out.rejoin(++this.#attempts)
    for (const peer of this.#drawBootstrap()) {
      // A peer that still takes us for its neighbour answers no Join, unless a Neighbor has set it right before.
      this.#pending.delete(peer)
      this.#ask(now, peer, "High", false)
      this.#sendJoin(peer)
    }
    for (const peer of this.#passive.sample(this.#random, 2, (peer) => !this.#isPending(now, peer)))
      this.#ask(now, peer, "High", true)
    this.#planRejoin(now)
  }

  #drawBootstrap(): ReadonlyArray<EndpointId> {
    const view = new View()
    for (const peer of this.#bootstrap) view.add(peer)
    return view.sample(this.#random, maxJoins, () => true)
  }

  #sendJoin(peer: EndpointId): void {
    if (this.#joining.size < maxRemembered) this.#joining.add(peer)
    this.#send(peer, { _tag: "Join", data: this.#myData })
  }

  #rememberLost(now: number, peer: EndpointId): void {
    if (this.#lost.size >= this.#config.maxLost) this.#lost.delete(this.#lost.keys().next().value!)
    this.#lost.set(peer, 0)
    this.#planSeek(now, peer, 0)
  }

  #planSeek(now: number, peer: EndpointId, attempt: number): void {
    const { lostMax, lostMin } = this.#config
    const delay = Math.min(lostMax, lostMin * 2 ** attempt)
    this.#out.schedule(now + delay / 2 + this.#random.below(delay), { _tag: "Lost", peer, attempt })
  }

  /**
   * Asks a lost neighbour to be one again: two halves of a network that was torn know each other by nothing else once all
   * places are taken.
   */
  #seek(now: number, peer: EndpointId, attempt: number): void {
    if (this.#lost.get(peer) !== attempt) return
    if (attempt >= this.#config.lostAttempts) {
      this.#lost.delete(peer)
      return this.#forgetUnknown(peer)
    }
    this.#ask(now, peer, "High", false)
    this.#lost.set(peer, attempt + 1)
    this.#planSeek(now, peer, attempt + 1)
  }

  #addAllPassive(nodes: ReadonlyArray<PeerInfo>, from: EndpointId): void {
    for (const info of nodes.slice(0, this.#config.maxNodes)) this.#addPassive(info.id, info, from)
  }

  #addPassive(peer: EndpointId, info: PeerInfo | undefined, from?: EndpointId): void {
    if (peer === this.#me || !this.#isKey(peer)) return
    if (!this.#active.has(peer) && !this.#passive.has(peer)) {
      if (this.#passive.size >= this.#config.passiveCapacity) {
        const dropped = this.#passive.draw(this.#random)
        if (dropped !== undefined) {
          this.#removePassive(dropped)
          this.#forgetUnknown(dropped)
        }
      }
      this.#passive.add(peer)
    }
    if (info !== undefined && from !== undefined) this.#learn(info, from)
  }

  #removePassive(peer: EndpointId): void {
    this.#passive.delete(peer)
    this.#late.delete(peer)
    this.#refused.delete(peer)
    this.#aliveLeaving.delete(peer)
  }

  #learn(info: PeerInfo, from: EndpointId): void {
    if (info.data === undefined || info.id === this.#me) return
    // What a peer says about itself stands.
    if (from !== info.id && this.#active.has(info.id) && this.#data.has(info.id)) return
    this.#out.learn(info, from)
    if (info.data.length <= this.#config.maxData && this.#isKnown(info.id))
      this.#data.set(info.id, new Uint8Array(info.data))
  }

  #isKnown(peer: EndpointId): boolean {
    return this.#active.has(peer) || this.#passive.has(peer) || this.#lost.has(peer)
  }

  #forgetUnknown(peer: EndpointId): void {
    if (!this.#isKnown(peer)) this.#data.delete(peer)
  }

  #infoOf(peer: EndpointId): PeerInfo {
    return { id: peer, data: this.#data.get(peer) }
  }

  #bounded({ data, id }: PeerInfo): PeerInfo {
    return { id, data: data !== undefined && data.length > this.#config.maxData ? undefined : data }
  }

  #isKey(peer: EndpointId): boolean {
    return this.#isKnown(peer) || this.#config.isKey(peer)
  }

  #send(to: EndpointId, message: SwarmMessage): void {
    this.#out.send(to, message)
  }
}

/** Sets an entry and, of too many, drops the oldest. */
const remember = (entries: Map<EndpointId, number>, peer: EndpointId, until: number): void => {
  entries.delete(peer)
  if (entries.size >= maxRemembered) entries.delete(entries.keys().next().value!)
  entries.set(peer, until)
}
