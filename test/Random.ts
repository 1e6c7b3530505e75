/** A small generator of numbers (mulberry32), seeded, so that a failing run can be repeated. Its functions need no `this`. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to, not including, 1. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 up to, not including, `limit`. */
  readonly below = (limit: number): number => Math.floor(this.next() * limit)

  readonly chance = (probability: number): boolean => this.next() < probability

  readonly pick = <A>(from: ReadonlyArray<A>): A => from[this.below(from.length)]!

  /** At most so many. */
  readonly list = <A>(most: number, make: (index: number) => A): Array<A> =>
    Array.from({ length: this.below(most + 1) }, (_, index) => make(index))

  /** A double with any bit pattern that is a finite number. */
  readonly double = (): number => {
    const view = new DataView(new ArrayBuffer(8))
    view.setUint32(0, this.below(2 ** 32))
    view.setUint32(4, this.below(2 ** 32))
    const value = view.getFloat64(0)
    return Number.isFinite(value) ? value : this.double()
  }
}
