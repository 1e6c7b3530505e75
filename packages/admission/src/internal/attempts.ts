/** How often and how many at once (Aster admission, limits). */
const limits = { perNode: 64, perPeer: 4, attempts: 10, windowMillis: 60_000 }

/** Peers remembered for the sake of their rate; past this, those quiet for longest are forgotten early. */
const maxPeers = 100_000

interface Attempts {
  /** Times of the attempts within the window, in milliseconds, oldest first. */
  recent: ReadonlyArray<number>
  unfinished: number
}

/** Why an attempt is turned away: this peer tries too often or too much at once, or all places are taken. */
export type Excess = "Peer" | "Node"

/** Counts admission attempts, finished or not. */
export class AttemptCounter {
  /** In the order of the latest attempt, so that the first has been quiet for longest. */
  readonly #peers = new Map<string, Attempts>()
  #unfinished = 0

  /** Takes a place for an attempt; undefined when it may go on, and then `end` has to follow. */
  begin(peer: string, now: number): Excess | undefined {
    this.#forget(now)
    const known = this.#peers.get(peer)
    const recent = known?.recent.filter((at) => now - at < limits.windowMillis) ?? []
    const unfinished = known?.unfinished ?? 0
    if (recent.length >= limits.attempts || unfinished >= limits.perPeer) return "Peer"
    if (this.#unfinished >= limits.perNode) return "Node"
    this.#peers.delete(peer)
    this.#peers.set(peer, { recent: [...recent, now], unfinished: unfinished + 1 })
    this.#unfinished++
    return undefined
  }

  end(peer: string): void {
    const known = this.#peers.get(peer)
    if (known === undefined) return
    known.unfinished--
    this.#unfinished--
  }

  /** The peer's latest attempt does not count towards its rate. */
  forgive(peer: string): void {
    const known = this.#peers.get(peer)
    if (known !== undefined) known.recent = known.recent.slice(0, -1)
  }

  /** Peers remembered. */
  get size(): number {
    return this.#peers.size
  }

  #forget(now: number): void {
    for (const [peer, { recent, unfinished }] of this.#peers) {
      const quiet = now - (recent.at(-1) ?? 0) >= limits.windowMillis
      if (!quiet && this.#peers.size < maxPeers) return
      if (unfinished === 0) this.#peers.delete(peer)
    }
  }
}
