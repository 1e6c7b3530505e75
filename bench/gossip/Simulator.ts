/**
 * A swarm in one process: every member is a `TopicState`, the network between them is a queue of events. A run is decided
 * by its seed alone, so that one that fails can be had again.
 */
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as Frame from "@aster-effect/iroh-gossip/Frame"
import type { Message } from "@aster-effect/iroh-gossip/Message"
import { type Random, xoshiro } from "@aster-effect/iroh-gossip/Random"
import { Timers } from "@aster-effect/iroh-gossip/Timers"
import { type Command, type TopicConfig, TopicState } from "@aster-effect/iroh-gossip/TopicState"

export interface SimulatorOptions {
  readonly seed: number
  /** Milliseconds from one member to another; each pair has its own between the two. Default: 10 and 50. */
  readonly latency?: readonly [number, number] | undefined
  readonly config?: TopicConfig | undefined
  /** Counts bytes as they would be on the wire, which takes time. Default: false. */
  readonly countBytes?: boolean | undefined
}

/** When a connection to nobody is given up, in milliseconds: dialled, and up but silent. */
const DIAL_TIMEOUT = 5000
const IDLE_TIMEOUT = 30_000

class Member {
  readonly index: number
  readonly id: EndpointId.EndpointId
  readonly state: TopicState
  readonly joinedAt: number
  alive = true
  /** The side of a torn network that the member is on. */
  side = 0
  /** Those it has a connection to. */
  readonly connections = new Set<Member>()
  wakeAt = Infinity

  constructor(index: number, id: EndpointId.EndpointId, state: TopicState, joinedAt: number) {
    this.index = index
    this.id = id
    this.state = state
    this.joinedAt = joinedAt
  }
}

/** What became of a broadcast. */
export interface Outcome {
  readonly sentAt: number
  readonly author: number
  /** When each member got it. */
  readonly deliveries: Map<number, number>
  /** The most hops it took. */
  lastHop: number
  /** Times that its content travelled. */
  payloads: number
}

export class Simulator {
  readonly members: Array<Member> = []
  readonly outcomes: Array<Outcome> = []
  readonly random: Random
  now = 0
  /** Of a thousand messages, those that are lost. */
  lossPerMille = 0
  messages = 0
  bytes = 0
  readonly #events = new Timers<() => void>()
  readonly #byId = new Map<EndpointId.EndpointId, Member>()
  readonly #options: SimulatorOptions
  #current: Array<Outcome> = []
  #torn = 0

  constructor(options: SimulatorOptions) {
    this.#options = options
    this.random = xoshiro([options.seed, 0x9e3779b9, 0x243f6a88, 0xb7e15162])
    for (let i = 0; i < 16; i++) this.random.below(2)
  }

  get live(): Array<Member> {
    return this.members.filter(({ alive }) => alive)
  }

  at(time: number, event: () => void): void {
    this.#events.add(time, event)
  }

  /** Lets time pass. */
  run(until: number): void {
    for (;;) {
      const next = this.#events.next
      if (next === undefined || next > until) break
      this.now = Math.max(this.now, next)
      this.#events.take(next)!()
    }
    this.now = until
  }

  /** A new member that knows these others. */
  join(contacts: ReadonlyArray<Member>): Member {
    const index = this.members.length
    const id = EndpointId.parse(index.toString(16).padStart(64, "0"))
    const seed = [this.random.below(2 ** 32), this.random.below(2 ** 32), index, 1] as const
    const state = new TopicState(id, xoshiro(seed), {
      membership: { isKey: () => true, ...this.#options.config?.membership },
      broadcast: this.#options.config?.broadcast
    })
    const member = new Member(index, id, state, this.now)
    this.members.push(member)
    this.#byId.set(id, member)
    this.#do(
      member,
      state.join(
        this.now,
        contacts.map((contact) => contact.id)
      )
    )
    return member
  }

  /** Says goodbye. */
  leave(member: Member): void {
    this.#do(member, member.state.quit())
    this.#stop(member)
  }

  /** Is gone without a word; others learn it from the silence. */
  crash(member: Member): void {
    this.#stop(member)
  }

  /** Two halves that nothing passes between. */
  tear(): void {
    for (const member of this.live) member.side = this.random.below(2)
    const tear = ++this.#torn
    this.at(this.now + IDLE_TIMEOUT, () => {
      if (this.#torn !== tear) return
      for (const member of this.live)
        for (const other of member.connections) if (other.side !== member.side) this.#break(member, other)
    })
  }

  heal(): void {
    this.#torn++
    for (const member of this.members) member.side = 0
  }

  broadcast(member: Member, size = 100): Outcome {
    const number = this.outcomes.length
    const content = new Uint8Array(size)
    new DataView(content.buffer).setUint32(0, number)
    const outcome = { sentAt: this.now, author: member.index, deliveries: new Map(), lastHop: 0, payloads: 0 }
    this.outcomes.push(outcome)
    this.#current.push(outcome)
    outcome.deliveries.set(member.index, this.now)
    this.#do(member, member.state.broadcast(this.now, content, "Swarm"))
    return outcome
  }

  #stop(member: Member): void {
    member.alive = false
    this.at(this.now + IDLE_TIMEOUT, () => {
      for (const other of member.connections) this.#break(member, other)
    })
  }

  #break(a: Member, b: Member): void {
    a.connections.delete(b)
    b.connections.delete(a)
    for (const [one, other] of [
      [a, b],
      [b, a]
    ] as const)
      if (one.alive) this.#do(one, one.state.connectionLost(this.now, other.id))
  }

  #do(member: Member, commands: ReadonlyArray<Command>): void {
    for (const command of commands) {
      if (command._tag === "Send") this.#send(member, this.#byId.get(command.to)!, command.message)
      else if (command._tag === "Deliver") {
        const outcome = this.outcomes[new DataView(command.content.buffer).getUint32(0)]!
        outcome.deliveries.set(member.index, this.now)
        if (command.scope._tag === "Swarm") outcome.lastHop = Math.max(outcome.lastHop, command.scope.round + 1)
      }
    }
    this.#plan(member)
  }

  #plan(member: Member): void {
    const deadline = member.state.deadline ?? Infinity
    if (!member.alive || deadline >= member.wakeAt) return
    member.wakeAt = deadline
    this.at(deadline, () => {
      if (member.wakeAt !== deadline) return
      member.wakeAt = Infinity
      if (member.alive) this.#do(member, member.state.advance(this.now))
    })
  }

  #send(from: Member, to: Member, message: Message): void {
    this.messages++
    if (this.#options.countBytes === true) this.bytes += Frame.encode(message).length
    if (message._tag === "Gossip") {
      const { buffer, byteOffset } = message.content
      this.outcomes[new DataView(buffer, byteOffset).getUint32(0)]!.payloads++
    }
    const there = this.#latency(from, to)
    if (!from.connections.has(to)) {
      if (!to.alive || from.side !== to.side) {
        this.at(this.now + DIAL_TIMEOUT, () => {
          if (from.alive && !from.connections.has(to)) this.#do(from, from.state.connectionLost(this.now, to.id))
        })
        return
      }
      from.connections.add(to)
      to.connections.add(from)
    }
    if (this.random.below(1000) < this.lossPerMille) return
    this.at(this.now + there, () => {
      if (to.alive && from.side === to.side) this.#do(to, to.state.received(this.now, from.id, message))
    })
  }

  /** Always the same between two members. */
  #latency(a: Member, b: Member): number {
    const [least, most] = this.#options.latency ?? [10, 50]
    let hash =
      Math.imul(Math.min(a.index, b.index) + 1, 0x9e3779b1) ^ Math.imul(Math.max(a.index, b.index) + 1, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ this.#options.seed, 0x2c1b3c6d)
    hash = (hash ^ (hash >>> 13)) >>> 0
    return least + (hash / 2 ** 32) * (most - least)
  }
}
