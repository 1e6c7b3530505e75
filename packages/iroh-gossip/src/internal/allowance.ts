/** How much somebody may do: `rate` per second on average, and up to `burst` at once. */
export class Allowance {
  readonly #rate: number
  readonly #burst: number
  #left: number
  #at: number

  constructor(rate: number, burst: number, now: number) {
    this.#rate = rate
    this.#burst = burst
    this.#left = burst
    this.#at = now
  }

  /** Takes `cost`, or nothing when there is not enough left. `now` in milliseconds. */
  take(now: number, cost = 1): boolean {
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1000) * this.#rate)
    this.#at = now
    if (this.#left < cost) return false
    this.#left -= cost
    return true
  }
}
