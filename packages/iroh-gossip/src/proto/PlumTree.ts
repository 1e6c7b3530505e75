/** How broadcasts of one topic spread over its neighbours: a tree, and announcements beside it (iroh-gossip wire, Broadcast). */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Message from "../Message.ts"
import { Fifo } from "./Fifo.ts"
import * as MessageId from "./MessageId.ts"

/** Numbers of the broadcast; times in milliseconds. */
export interface PlumTreeConfig {
  /** How long the tree may take to bring what was announced. */
  readonly graftTimeout: number
  /** How long one who was asked for a broadcast may take, before the next is asked. */
  readonly graftRetry: number
  /** How long until those who were all asked are asked once more; doubled with each time. */
  readonly graftRepeat: number
  /** How often each announcer of a broadcast is asked for it. */
  readonly graftAttempts: number
  /** How long announcements are collected. */
  readonly announceDelay: number
  /** By how many hops an announcer must be closer to take the sender's place in the tree. */
  readonly optimisationThreshold: number
  /** How long contents can be had again. */
  readonly cacheTime: number
  /** How long a broadcast is known, so that it is not taken for new. */
  readonly seenTime: number
  /** Broadcasts known at most; beyond, the oldest are forgotten. */
  readonly maxSeen: number
  /** Contents kept at most, by number and by bytes; beyond, the oldest are dropped. */
  readonly maxCached: number
  readonly maxCachedBytes: number
  /** Announced and missing broadcasts, at most, by announcer. */
  readonly maxMissing: number
  /**
   * How much a peer may announce and not send when asked, while it sends nothing at all. Who announces more is not listened
   * to for a while; a peer that has too much to do looks no different, so nothing worse comes of it.
   */
  readonly maxBroken: number
  readonly distrustTime: number
  /** Announcements that fit in a message. */
  readonly maxAnnouncements: number
}

export const defaultConfig: PlumTreeConfig = {
  graftTimeout: 80,
  graftRetry: 40,
  graftRepeat: 500,
  graftAttempts: 3,
  announceDelay: 5,
  optimisationThreshold: 7,
  cacheTime: 30_000,
  seenTime: 90_000,
  maxSeen: 65_536,
  maxCached: 8192,
  maxCachedBytes: 8 * 2 ** 20,
  maxMissing: 4096,
  maxBroken: 256,
  distrustTime: 10_000,
  maxAnnouncements: Message.announcementsIn(4095)
}

/** After which a neighbour that still sends what is known is told so once more, in milliseconds. */
const pruneRepeat = 1000

/** How often one content is sent to one peer that asks for it, and to how many peers. */
const maxServed = 3
const maxServedPeers = 16

export type PlumTreeTimer =
  | { readonly _tag: "Graft"; readonly id: MessageId.MessageId }
  | { readonly _tag: "Announce" }
  | { readonly _tag: "Expire" }

/** What the broadcast does. */
export interface PlumTreeOutput {
  readonly send: (to: EndpointId, message: Message.BroadcastMessage) => void
  /** A broadcast for the application. */
  readonly deliver: (content: Uint8Array, from: EndpointId, scope: Message.Scope) => void
  readonly schedule: (at: number, timer: PlumTreeTimer) => void
}

interface Announcer {
  readonly peer: EndpointId
  readonly round: number
  asked: number
}

/** Those who announced a broadcast that has not come; the next to be asked comes first. A timer runs for each. */
type Missing = Array<Announcer>

interface Cached {
  readonly message: Message.Gossip
  readonly expires: number
  /** Made with the first one that asks: nearly nobody does. */
  served: Map<EndpointId, number> | undefined
}

/** PlumTree as the reference speaks it. Only neighbours have a place in the tree. */
export class PlumTree {
  readonly #config: PlumTreeConfig
  readonly #out: PlumTreeOutput
  readonly #eager = new Set<EndpointId>()
  readonly #lazy = new Set<EndpointId>()
  readonly #announcements = new Map<EndpointId, Array<Message.Announcement>>()
  /** In the order in which they were announced. */
  readonly #missing = new Map<MessageId.MessageId, Missing>()
  /** How many places of `#missing` a neighbour takes. */
  readonly #announced = new Map<EndpointId, number>()
  /** How many broadcasts a neighbour announced and did not send, since it sent any. */
  readonly #broken = new Map<EndpointId, number>()
  /** Until when the announcements of a neighbour are not listened to. */
  readonly #distrusted = new Map<EndpointId, number>()
  /** Broadcasts that were asked for in vain, of which as many are remembered as may be missing. */
  readonly #lost = new Set<MessageId.MessageId>()
  #losses = 0
  #overlooked = 0
  /** When each neighbour was told last that what it sends is known. */
  readonly #pruned = new Map<EndpointId, number>()
  readonly #seen = new Set<MessageId.MessageId>()
  /** The known ones in the order in which they came, and until when they are. */
  readonly #seenOrder = new Fifo<{ readonly id: MessageId.MessageId; readonly until: number }>()
  readonly #cache = new Map<MessageId.MessageId, Cached>()
  readonly #cacheOrder = new Fifo<Cached>()
  #cachedBytes = 0
  #announcing = false
  #expiring = false

  constructor(config: PlumTreeConfig, out: PlumTreeOutput) {
    this.#config = config
    this.#out = out
  }

  /** Neighbours that broadcasts are sent to. */
  get eager(): ReadonlySet<EndpointId> {
    return this.#eager
  }

  /** Neighbours that broadcasts are announced to. */
  get lazy(): ReadonlySet<EndpointId> {
    return this.#lazy
  }

  /** Entries held in memory, all bounded by the configuration. */
  get held(): {
    readonly seen: number
    readonly cached: number
    readonly cachedBytes: number
    readonly missing: number
    readonly lost: number
  } {
    return {
      seen: this.#seen.size,
      cached: this.#cache.size,
      cachedBytes: this.#cachedBytes,
      missing: this.#missing.size,
      lost: this.#lost.size
    }
  }

  /** Broadcasts that were announced, asked for of all who announced them, and have not come. */
  get losses(): number {
    return this.#losses
  }

  /** Announcements that were not listened to: too many were open, or their sender is not believed for a while. */
  get overlooked(): number {
    return this.#overlooked
  }

  up(peer: EndpointId): void {
    this.#lazy.delete(peer)
    this.#eager.add(peer)
  }

  down(peer: EndpointId): void {
    this.#eager.delete(peer)
    this.#lazy.delete(peer)
    this.#announcements.delete(peer)
    this.#pruned.delete(peer)
    this.#announced.delete(peer)
    this.#broken.delete(peer)
    this.#distrusted.delete(peer)
    for (const [id, announcers] of this.#missing) {
      const index = announcers.findIndex((announcer) => announcer.peer === peer)
      if (index >= 0) announcers.splice(index, 1)
      if (announcers.length === 0) this.#missing.delete(id)
    }
  }

  /** Sends a broadcast of this member's own. The content is kept: it must not change. */
  broadcast(now: number, content: Uint8Array, scope: "Swarm" | "Neighbors"): void {
    const id = MessageId.of(content)
    if (scope === "Neighbors") return this.#push({ _tag: "Gossip", id, content, scope: Message.NEIGHBORS }, undefined)
    if (this.#seen.has(id)) return
    this.#spread(now, { _tag: "Gossip", id, content, scope: { _tag: "Swarm", round: 0 } }, undefined)
  }

  received(now: number, from: EndpointId, message: Message.BroadcastMessage): void {
    switch (message._tag) {
      case "Gossip":
        return this.#onGossip(now, from, message)
      case "Prune":
        return this.#makeLazy(from)
      case "IHave":
        return this.#onIHave(now, from, message.announcements)
      case "Graft":
        this.#makeEager(from)
        return message.id === undefined ? undefined : this.#serve(from, message.id)
    }
  }

  fired(now: number, timer: PlumTreeTimer): void {
    switch (timer._tag) {
      case "Graft":
        return this.#graft(now, timer.id)
      case "Announce":
        return this.#announce()
      case "Expire":
        this.#expiring = false
        return this.#expire(now)
    }
  }

  #onGossip(now: number, from: EndpointId, { content, id, scope }: Message.Gossip): void {
    this.#broken.delete(from)
    const known = scope._tag === "Swarm" && this.#seen.has(id)
    // What is known needs no second look at its content, but who sends it does: it must not be believed to be the tree.
    if (known) return this.#prune(now, from)
    if (MessageId.of(content) !== id) return
    // Views of a stream's buffer must not stay.
    const kept = new Uint8Array(content)
    if (scope._tag === "Neighbors") return this.#out.deliver(kept, from, scope)
    const round = Math.min(scope.round + 1, 0xffff)
    this.#spread(now, { _tag: "Gossip", id, content: kept, scope: { _tag: "Swarm", round } }, from)
    if (this.#lost.delete(id)) this.#losses--
    const missing = this.#missing.get(id)
    if (missing !== undefined) {
      this.#missing.delete(id)
      this.#release(missing)
      this.#optimise(from, missing, round)
    }
    this.#out.deliver(kept, from, scope)
  }

  /**
   * Somebody sent what is known: it is to be a leaf. Telling it once will do for all that is under way; a neighbour that
   * goes on is told again, because what it was told may have been lost with a connection.
   */
  #prune(now: number, from: EndpointId): void {
    if (this.#isNeighbor(from)) {
      if (this.#lazy.has(from) && now - (this.#pruned.get(from) ?? -Infinity) < pruneRepeat) return
      this.#pruned.set(from, now)
    }
    this.#makeLazy(from)
    this.#out.send(from, Message.PRUNE)
  }

  /** Makes an announcer that is much closer to the author a branch, and the one who sent this a leaf. */
  #optimise(from: EndpointId, announcers: ReadonlyArray<Announcer>, round: number): void {
    const closest = announcers.reduce<Announcer | undefined>(
      (best, one) => (best === undefined || one.round < best.round ? one : best),
      undefined
    )
    if (closest === undefined || round - closest.round < this.#config.optimisationThreshold) return
    if (!this.#eager.has(closest.peer)) {
      this.#makeEager(closest.peer)
      this.#out.send(closest.peer, { _tag: "Graft", id: undefined, round: closest.round })
    }
    this.#makeLazy(from)
    this.#out.send(from, Message.PRUNE)
  }

  #spread(now: number, message: Message.Gossip, from: EndpointId | undefined): void {
    const round = message.scope._tag === "Swarm" ? message.scope.round : 0
    this.#remember(now, message)
    this.#push(message, from)
    for (const peer of this.#lazy) {
      if (peer === from) continue
      const queue = this.#announcements.get(peer)
      if (queue === undefined) this.#announcements.set(peer, [{ id: message.id, round }])
      else queue.push({ id: message.id, round })
    }
    if (this.#announcements.size > 0 && !this.#announcing) {
      this.#announcing = true
      this.#out.schedule(now + this.#config.announceDelay, { _tag: "Announce" })
    }
  }

  #push(message: Message.Gossip, from: EndpointId | undefined): void {
    for (const peer of this.#eager) if (peer !== from) this.#out.send(peer, message)
  }

  #announce(): void {
    this.#announcing = false
    const { maxAnnouncements } = this.#config
    for (const [peer, queue] of this.#announcements) {
      for (let i = 0; i < queue.length; i += maxAnnouncements)
        this.#out.send(peer, { _tag: "IHave", announcements: queue.slice(i, i + maxAnnouncements) })
    }
    this.#announcements.clear()
  }

  #onIHave(now: number, from: EndpointId, announcements: ReadonlyArray<Message.Announcement>): void {
    if (!this.#isNeighbor(from)) return
    const isDistrusted = (this.#distrusted.get(from) ?? 0) > now
    for (const { id, round } of announcements) {
      if (this.#seen.has(id)) continue
      const taken = this.#announced.get(from) ?? 0
      if (isDistrusted || taken >= this.#config.maxMissing) {
        this.#overlooked++
        continue
      }
      const missing = this.#missing.get(id)
      if (missing === undefined) {
        this.#missing.set(id, [{ peer: from, round, asked: 0 }])
        this.#out.schedule(now + this.#config.graftTimeout, { _tag: "Graft", id })
      } else if (missing.some(({ peer }) => peer === from)) continue
      else missing.push({ peer: from, round, asked: 0 })
      this.#announced.set(from, taken + 1)
    }
  }

  #graft(now: number, id: MessageId.MessageId): void {
    const missing = this.#missing.get(id)
    const next = missing?.shift()
    if (missing === undefined || next === undefined) return
    const { graftAttempts, graftRepeat, graftRetry } = this.#config
    if (next.asked >= graftAttempts) {
      this.#release([next])
      this.#break(now, next.peer)
      if (missing.length === 0) this.#giveUp(id)
      else this.#graft(now, id)
      return
    }
    this.#makeEager(next.peer)
    this.#out.send(next.peer, { _tag: "Graft", id, round: next.round })
    next.asked++
    missing.push(next)
    const { asked } = missing[0]!
    // One who was asked before gets time: the way there may be long. Only a connection that broke loses messages.
    this.#out.schedule(now + (asked === 0 ? graftRetry : graftRepeat * 2 ** (asked - 1)), { _tag: "Graft", id })
  }

  #giveUp(id: MessageId.MessageId): void {
    this.#missing.delete(id)
    this.#losses++
    this.#lost.add(id)
    if (this.#lost.size > this.#config.maxMissing) this.#lost.delete(this.#lost.values().next().value!)
  }

  #serve(to: EndpointId, id: MessageId.MessageId): void {
    const cached = this.#cache.get(id)
    if (cached === undefined) return
    const asked = (cached.served ??= new Map())
    const served = asked.get(to) ?? 0
    if (served >= maxServed || (served === 0 && asked.size >= maxServedPeers)) return
    asked.set(to, served + 1)
    this.#out.send(to, cached.message)
  }

  #remember(now: number, message: Message.Gossip): void {
    const { cacheTime, maxCached, maxCachedBytes, maxSeen, seenTime } = this.#config
    this.#seen.add(message.id)
    this.#seenOrder.push({ id: message.id, until: now + seenTime })
    const cached = { message, expires: now + cacheTime, served: undefined }
    this.#cache.set(message.id, cached)
    this.#cacheOrder.push(cached)
    this.#cachedBytes += message.content.length
    if (this.#seen.size > maxSeen) this.#forgetOldest()
    while (this.#cache.size > maxCached || this.#cachedBytes > maxCachedBytes) this.#dropOldest()
    if (!this.#expiring) this.#planExpiry(now)
  }

  #expire(now: number): void {
    while ((this.#cacheOrder.oldest?.expires ?? Infinity) <= now) this.#dropOldest()
    while ((this.#seenOrder.oldest?.until ?? Infinity) <= now) this.#forgetOldest()
    if (this.#seen.size > 0) this.#planExpiry(now)
  }

  /** The caches are swept at most every second, and when there is something to sweep. */
  #planExpiry(now: number): void {
    this.#expiring = true
    const oldest = this.#cacheOrder.oldest?.expires ?? this.#seenOrder.oldest?.until ?? now
    this.#out.schedule(Math.max(oldest, now + 1000), { _tag: "Expire" })
  }

  #forgetOldest(): void {
    const oldest = this.#seenOrder.shift()
    if (oldest !== undefined) this.#seen.delete(oldest.id)
  }

  #dropOldest(): void {
    const oldest = this.#cacheOrder.shift()
    if (oldest === undefined) return
    // A content that came again after it was forgotten is kept once more.
    if (this.#cache.get(oldest.message.id) === oldest) this.#cache.delete(oldest.message.id)
    this.#cachedBytes -= oldest.message.content.length
  }

  #release(announcers: ReadonlyArray<Announcer>): void {
    for (const { peer } of announcers) {
      const taken = this.#announced.get(peer)
      if (taken !== undefined) this.#announced.set(peer, taken - 1)
    }
  }

  #break(now: number, peer: EndpointId): void {
    if (!this.#isNeighbor(peer)) return
    const broken = (this.#broken.get(peer) ?? 0) + 1
    this.#broken.set(peer, broken)
    if (broken < this.#config.maxBroken) return
    this.#broken.delete(peer)
    this.#distrusted.set(peer, now + this.#config.distrustTime)
  }

  #isNeighbor(peer: EndpointId): boolean {
    return this.#eager.has(peer) || this.#lazy.has(peer)
  }

  #makeEager(peer: EndpointId): void {
    if (this.#lazy.delete(peer)) this.#eager.add(peer)
  }

  #makeLazy(peer: EndpointId): void {
    if (this.#eager.delete(peer)) this.#lazy.add(peer)
  }
}
