/**
 * Which of several producers is called: without IO, clock or chance of its own.
 *
 * A producer is listed by its source and, apart from that, linked or not: admitted here and reachable, as far as is known.
 * Calls go to linked ones. One that cannot be linked, or whose link is lost, is left alone for a time that doubles.
 */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { MAX_PRODUCERS, type Producer } from "@aster-effect/transport/Producers"

/** How one is chosen among producers that are as ready. */
export type Strategy = "round_robin" | "least_load" | "random"

export interface PoolOptions {
  readonly strategy: Strategy
  /** Producers that are linked at a time, at most. */
  readonly maxLinks: number
  /** Wait before the second attempt at a producer, in milliseconds; the first comes at once. */
  readonly minBackoff: number
  readonly maxBackoff: number
  /** From 0 to 1. */
  readonly random: () => number
}

type State =
  /** Not tried, or to be tried again from `at` on. */
  { readonly _tag: "Waiting"; readonly at: number } | { readonly _tag: "Linking" } | { readonly _tag: "Linked" }

interface Member {
  producer: Producer
  state: State
  /** Attempts in a row that failed. */
  failures: number
  /** Calls that run there. */
  running: number
  /** When it was chosen last, in choices; 0 for never. */
  turn: number
}

export class ProducerPool {
  readonly #options: PoolOptions
  readonly #members = new Map<EndpointId, Member>()
  #turn = 0

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /**
   * Takes a list of the source. One that says something else of a producer than the list before makes it worth another
   * attempt at once. Answers who is listed no more.
   */
  list(producers: ReadonlyArray<Producer>, now: number): ReadonlyArray<EndpointId> {
    const listed = new Set<EndpointId>()
    for (const producer of producers.slice(0, MAX_PRODUCERS)) {
      const { endpointId } = producer.address
      if (listed.has(endpointId)) continue
      listed.add(endpointId)
      const known = this.#members.get(endpointId)
      if (known === undefined) {
        this.#members.set(endpointId, {
          producer,
          state: { _tag: "Waiting", at: now },
          failures: 0,
          running: 0,
          turn: 0
        })
        continue
      }
      if (known.state._tag === "Waiting" && isOther(known.producer, producer)) {
        known.state = { _tag: "Waiting", at: now }
        known.failures = 0
      }
      known.producer = producer
    }
    const gone = [...this.#members.keys()].filter((id) => !listed.has(id))
    for (const id of gone) this.#members.delete(id)
    return gone
  }

  /** Producers to be linked now; from here on an attempt at each is under way. */
  begin(now: number): ReadonlyArray<Producer> {
    let room = this.#options.maxLinks - this.#count("Linking", "Linked")
    const due = [...this.#members.values()].filter(
      ({ producer, state }) => state._tag === "Waiting" && state.at <= now && producer.health !== "draining"
    )
    // Whoever failed least is most likely to answer; among those chance spreads the clients.
    const order = due
      .map((member) => ({ member, chance: this.#options.random() }))
      .toSorted(
        (a, b) => rank(a.member) - rank(b.member) || a.member.failures - b.member.failures || a.chance - b.chance
      )
    const begun: Array<Producer> = []
    for (const { member } of order) {
      if (room-- <= 0) break
      member.state = { _tag: "Linking" }
      begun.push(member.producer)
    }
    return begun
  }

  /** When `begin` is worth asking next, if nothing else happens. */
  get nextAt(): number | undefined {
    if (this.#count("Linking", "Linked") >= this.#options.maxLinks) return undefined
    let next: number | undefined
    for (const { producer, state } of this.#members.values()) {
      if (state._tag === "Waiting" && producer.health !== "draining") next = Math.min(next ?? Infinity, state.at)
    }
    return next
  }

  /** A producer let us in. Answers whether it is listed still. */
  linked(id: EndpointId): boolean {
    const member = this.#members.get(id)
    if (member === undefined) return false
    member.state = { _tag: "Linked" }
    member.failures = 0
    return true
  }

  /**
   * A producer could not be linked, its link is lost, or it takes no more calls.
   *
   * @param again milliseconds until the next attempt; default: at once after a link, then doubled each time and jittered
   */
  failed(id: EndpointId, now: number, again?: number): void {
    const member = this.#members.get(id)
    if (member === undefined || member.state._tag === "Waiting") return
    const wait = again ?? this.#backoff(member.state._tag === "Linked" ? 0 : ++member.failures)
    member.state = { _tag: "Waiting", at: now + wait }
  }

  /**
   * The producer for a call; undefined when there is none now.
   *
   * @param fits whether a linked producer can take the call
   */
  choose(fits: (id: EndpointId) => boolean): EndpointId | undefined {
    const fitting = [...this.#members].filter(
      ([id, { producer, state }]) => state._tag === "Linked" && producer.health !== "draining" && fits(id)
    )
    const best = Math.min(...fitting.map(([, member]) => rank(member)))
    const candidates = fitting.filter(([, member]) => rank(member) === best)
    const chosen =
      this.#options.strategy === "random"
        ? candidates[Math.floor(this.#options.random() * candidates.length)]
        : candidates.toSorted(([, a], [, b]) => this.#compare(a, b))[0]
    if (chosen === undefined) return undefined
    chosen[1].turn = ++this.#turn
    return chosen[0]
  }

  isListed(id: EndpointId): boolean {
    return this.#members.has(id)
  }

  /** A call begins at a producer. */
  called(id: EndpointId): void {
    const member = this.#members.get(id)
    if (member !== undefined) member.running++
  }

  /** A call at a producer is over. */
  answered(id: EndpointId): void {
    const member = this.#members.get(id)
    if (member !== undefined && member.running > 0) member.running--
  }

  /** Producers that are listed, and of these, those to which a link is there or under way. */
  get counts(): { readonly listed: number; readonly linking: number; readonly linked: number } {
    return { listed: this.#members.size, linking: this.#count("Linking"), linked: this.#count("Linked") }
  }

  /** What a producer says of its load is some seconds old, so among those about as busy our own calls decide. */
  #compare(a: Member, b: Member): number {
    if (this.#options.strategy === "least_load") {
      const difference = tenths(a) - tenths(b) || a.running - b.running
      if (difference !== 0 && !Number.isNaN(difference)) return difference
    }
    return a.turn - b.turn
  }

  #backoff(failures: number): number {
    if (failures === 0) return 0
    const { maxBackoff, minBackoff, random } = this.#options
    return Math.ceil(Math.min(maxBackoff, minBackoff * 2 ** (failures - 1)) * (0.5 + random() / 2))
  }

  #count(...tags: ReadonlyArray<State["_tag"]>): number {
    let count = 0
    for (const { state } of this.#members.values()) if (tags.includes(state._tag)) count++
    return count
  }
}

const rank = ({ producer }: Member): number => (producer.health === "degraded" ? 1 : 0)

/** Those that do not say come last. */
const tenths = ({ producer }: Member): number => (producer.load === undefined ? 11 : Math.round(producer.load * 10))

/** Whether it may be worth an attempt though the last one failed: it says that it is ready, or is somewhere else. */
const isOther = (a: Producer, b: Producer): boolean =>
  (a.health !== b.health && b.health !== "draining") ||
  a.address.relayUrl !== b.address.relayUrl ||
  a.address.directAddresses.join() !== b.address.directAddresses.join()
