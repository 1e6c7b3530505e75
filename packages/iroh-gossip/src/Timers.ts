/**
 * A queue by time, for state machines and simulations of them.
 *
 * @since 0.1.0
 */

/** Values by the time they are due, in milliseconds; of the same time the one added first comes first. */
export class Timers<A> {
  readonly #heap: Array<{ readonly at: number; readonly order: number; readonly value: A }> = []
  #order = 0

  get size(): number {
    return this.#heap.length
  }

  /** When the next one is due. */
  get next(): number | undefined {
    return this.#heap[0]?.at
  }

  add(at: number, value: A): void {
    const heap = this.#heap
    let index = heap.length
    const timer = { at, order: this.#order++, value }
    heap.push(timer)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#before(index, parent)) break
      this.#swap(index, parent)
      index = parent
    }
  }

  /** Takes one that is due by `now`. */
  take(now: number): A | undefined {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined || first.at > now) return undefined
    const last = heap.pop()!
    if (heap.length > 0) {
      heap[0] = last
      this.#sink()
    }
    return first.value
  }

  #sink(): void {
    for (let index = 0; ;) {
      let least = index
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < this.#heap.length && this.#before(child, least)) least = child
      }
      if (least === index) return
      this.#swap(index, least)
      index = least
    }
  }

  #before(i: number, j: number): boolean {
    const [a, b] = [this.#heap[i]!, this.#heap[j]!]
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }

  #swap(i: number, j: number): void {
    const heap = this.#heap
    const kept = heap[i]!
    heap[i] = heap[j]!
    heap[j] = kept
  }
}
