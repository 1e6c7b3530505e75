import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { Random } from "../Random.ts"

/** A set of peers of which one can be drawn at random. */
export class View implements Iterable<EndpointId> {
  readonly #members: Array<EndpointId> = []
  readonly #places = new Map<EndpointId, number>()

  get size(): number {
    return this.#members.length
  }

  has(peer: EndpointId): boolean {
    return this.#places.has(peer)
  }

  /** False when it was there already. */
  add(peer: EndpointId): boolean {
    if (this.#places.has(peer)) return false
    this.#places.set(peer, this.#members.push(peer) - 1)
    return true
  }

  /** False when it was not there. */
  delete(peer: EndpointId): boolean {
    const place = this.#places.get(peer)
    if (place === undefined) return false
    const last = this.#members.pop()!
    this.#places.delete(peer)
    if (last !== peer) {
      this.#members[place] = last
      this.#places.set(last, place)
    }
    return true
  }

  [Symbol.iterator](): IterableIterator<EndpointId> {
    return this.#members.values()
  }

  /** One of those that `fits`, drawn at random. */
  draw(random: Random, fits: (peer: EndpointId) => boolean = () => true): EndpointId | undefined {
    const members = this.#members.filter(fits)
    return members[random.below(members.length)]
  }

  /** Up to `count` of those that `fit`, drawn at random, in random order. */
  sample(random: Random, count: number, fits: (peer: EndpointId) => boolean): Array<EndpointId> {
    const members = this.#members.filter(fits)
    const drawn = Math.min(count, members.length)
    for (let i = 0; i < drawn; i++) {
      const j = i + random.below(members.length - i)
      const kept = members[i]!
      members[i] = members[j]!
      members[j] = kept
    }
    return members.slice(0, drawn)
  }
}
