/**
 * How much memory decoded messages may take.
 *
 * A few hundred bytes can stand for 16 MiB, and those for ten times as much once they are values. So what peers may send is
 * bounded by what it becomes: requests count from before they are decoded until their call is over, or, in streams, until
 * the handler has taken them. Who finds no room waits; the bytes wait with him, on the peer's side of the network.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/** What decoded messages may take at one server, in bytes. @since 0.1.0 */
export const DEFAULT_TOTAL = 512 * 1024 * 1024

/** Messages of at least this many decoded bytes are decoded one at a time. @since 0.1.0 */
export const LARGE = 128 * 1024

/** Up to this weight a peer that holds nothing is let in, however much the others hold. */
const ALWAYS = 1024 * 1024

/**
 * What a message of this many decoded bytes may take in memory, in bytes: small values weigh many times their bytes, and
 * the number of values in a message is limited.
 *
 * @since 0.1.0
 */
export const weightOf = (size: number): number => Math.min(24 * size, size + 64 * 1024 * 1024) + 256

interface Waiter {
  readonly weight: number
  readonly resume: () => void
}

/** The memory of all requests at one server. @since 0.1.0 */
export class DecodeBudget {
  readonly total: number
  readonly #perPeer: number
  /** Peers of which a message waits. */
  readonly #waiting = new Set<PeerBudget>()
  readonly #peers = new Map<string, { readonly share: PeerBudget; connections: number }>()
  /** Large messages take turns. */
  readonly turn = Semaphore.makeUnsafe(1)
  used = 0

  /** @param total bytes; a quarter of them may be one peer's */
  constructor(total: number = DEFAULT_TOTAL) {
    this.total = total
    this.#perPeer = total / 4
  }

  /** The share of a peer, for one more connection of it. Given back with `leave`. */
  join(peer: string): PeerBudget {
    const known = this.#peers.get(peer)
    if (known !== undefined) {
      known.connections++
      return known.share
    }
    const share = new PeerBudget(this, this.#perPeer)
    this.#peers.set(peer, { share, connections: 1 })
    return share
  }

  /** A connection of the peer has ended. */
  leave(peer: string): void {
    const known = this.#peers.get(peer)
    if (known !== undefined && --known.connections === 0) this.#peers.delete(peer)
  }

  /** @internal Whether a message of a peer waits. */
  waits(peer: PeerBudget, whether: boolean): void {
    if (whether) this.#waiting.add(peer)
    else this.#waiting.delete(peer)
  }

  /** @internal Memory has become free. */
  freed(): void {
    for (const peer of this.#waiting) peer.wake()
  }
}

/** The memory of one peer's requests. @since 0.1.0 */
export class PeerBudget {
  readonly #all: DecodeBudget
  readonly #limit: number
  readonly #turn = Semaphore.makeUnsafe(1)
  readonly #waiting: Array<Waiter> = []
  #used = 0

  constructor(all: DecodeBudget, limit: number) {
    this.#all = all
    this.#limit = limit
  }

  /** What this peer's requests take now. */
  get used(): number {
    return this.#used
  }

  /** Whether a message of this weight may be decoded now. */
  hasRoom(weight: number): boolean {
    if (this.#used === 0 && weight <= ALWAYS) return true
    return (
      (this.#used === 0 || this.#used + weight <= this.#limit) &&
      (this.#all.used === 0 || this.#all.used + weight <= this.#all.total)
    )
  }

  /** Counts a message. */
  take(weight: number): void {
    this.#used += weight
    this.#all.used += weight
  }

  /** Messages are not held any more. */
  give(weight: number): void {
    if (weight === 0) return
    this.#used -= weight
    this.#all.used -= weight
    this.#all.freed()
  }

  /** Waits until there may be room for a message of this weight: ask again, others may have been faster. */
  room(weight: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.#waiting.length === 0 && this.hasRoom(weight)) return resume(Effect.void)
      const waiter: Waiter = { weight, resume: () => resume(Effect.void) }
      this.#waiting.push(waiter)
      this.#all.waits(this, true)
      return Effect.sync(() => {
        const index = this.#waiting.indexOf(waiter)
        if (index >= 0) this.#waiting.splice(index, 1)
        this.#all.waits(this, this.#waiting.length > 0)
      })
    })
  }

  /**
   * Runs what holds the thread for a while: one of a peer, and one of all, at a time, and the event loop in between, so
   * that a peer which sends many large messages holds up others by no more than one of them.
   */
  inTurn<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.#turn.withPermit(this.#all.turn.withPermit(Effect.andThen(Effect.yieldNow, effect)))
  }

  /** Lets those go on for whom there is room, in the order they came. */
  wake(): void {
    let promised = 0
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (!this.hasRoom(promised + first.weight)) return
      promised += first.weight
      this.#waiting.shift()
      first.resume()
    }
    this.#all.waits(this, false)
  }
}

/**
 * What a decoded value takes in memory, roughly and in bytes; no more than `limit` is counted.
 *
 * @since 0.1.0
 */
export const sizeOf = (value: unknown, limit: number): number => {
  let size = 0
  const rest: Array<unknown> = [value]
  while (rest.length > 0 && size < limit) {
    const next = rest.pop()
    if (typeof next === "string") size += 16 + next.length
    else if (typeof next !== "object" || next === null) size += 8
    else if (ArrayBuffer.isView(next)) size += 96 + next.byteLength
    else if (Array.isArray(next)) {
      size += 32 + 8 * next.length
      for (const element of next) if (typeof element !== "number") rest.push(element)
    } else if (next instanceof Map) {
      size += 64 + 48 * next.size
      for (const [key, element] of next) rest.push(key, element)
    } else if (next instanceof Set) {
      size += 64 + 32 * next.size
      for (const element of next) rest.push(element)
    } else {
      size += 56
      for (const element of Object.values(next)) {
        size += 8
        if (typeof element !== "number") rest.push(element)
      }
    }
  }
  return Math.min(size, limit)
}
