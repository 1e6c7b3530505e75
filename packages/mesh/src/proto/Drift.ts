/** Whose clock is wrong: each producer's against the median of all (Aster admission, producer mesh, drift). */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"

/** Times in milliseconds. */
export interface DriftConfig {
  /** How far a clock may be from the median. */
  readonly tolerance: number
  /** How long after joining nothing is decided. */
  readonly grace: number
  /** With fewer offsets nothing is decided. */
  readonly minPeers: number
}

/** Offsets are our time less the sender's, and include what a message takes on its way. */
export class Drift {
  readonly #config: DriftConfig
  readonly #offsets = new Map<EndpointId, number>()
  #joinedAt: number

  constructor(config: DriftConfig, joinedAt: number) {
    this.#config = config
    this.#joinedAt = joinedAt
  }

  get offsets(): ReadonlyMap<EndpointId, number> {
    return this.#offsets
  }

  /** Begins the grace anew. */
  joined(now: number): void {
    this.#joinedAt = now
  }

  track(peer: EndpointId, offset: number): void {
    this.#offsets.set(peer, offset)
  }

  forget(peer: EndpointId): void {
    this.#offsets.delete(peer)
  }

  /** The upper median of all offsets; undefined while nothing is decided. */
  median(now: number): number | undefined {
    const { grace, minPeers } = this.#config
    if (now - this.#joinedAt < grace || this.#offsets.size < minPeers) return undefined
    const sorted = [...this.#offsets.values()].toSorted((a, b) => a - b)
    return sorted[sorted.length >> 1]
  }

  /** Whether an offset is too far from the median; our own is 0. */
  isOut(offset: number, median: number): boolean {
    return Math.abs(offset - median) > this.#config.tolerance
  }
}
