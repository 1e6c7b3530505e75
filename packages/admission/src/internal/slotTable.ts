import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

/** How often and how many at once (Aster admission, limits). */
const limits = { perNode: 64, perPeer: 4, attempts: 10, windowMillis: 60_000 }

/** Peers remembered for the sake of their rate; past this, those quiet for longest are forgotten early. */
const maxPeers = 100_000

/** Peers that were answered and have not closed yet. */
const maxLingering = 64

/** Why there is no slot: this peer tries too often or too much at once, or all slots are taken. */
export type SlotRefusal = "PeerLimit" | "NodeLimit"

/** A handshake under way. */
export interface Slot {
  readonly peer: string
  /** Done when a newcomer has got this slot. */
  readonly lost: Deferred.Deferred<void>
}

interface Attempts {
  /** Times of the attempts within the window, in milliseconds, oldest first. */
  recent: ReadonlyArray<number>
  unfinished: number
}

/**
 * Who has a slot, who still may lose it, and how often each peer has asked for one. Times are milliseconds of a clock that
 * is never set: one that went back would keep peers out until it has caught up.
 */
export class SlotTable {
  readonly #held = new Set<Slot>()
  /** Those whose request has not come yet, longest waiting first: of peers that were let in before, and of others. */
  readonly #waiting = { known: new Set<Slot>(), unknown: new Set<Slot>() }
  readonly #lingering = new Set<Deferred.Deferred<void>>()
  /** In the order of the latest attempt, so that the first has been quiet for longest. */
  readonly #peers = new Map<string, Attempts>()

  /**
   * A slot for an attempt, which `release` has to follow, or which limit stands against it.
   *
   * @param known whether the peer has shown a credential before: then it loses its slot after all others
   */
  acquire(peer: string, now: number, known = false): Result.Result<Slot, SlotRefusal> {
    this.#forget(now)
    const attempts = this.#peers.get(peer)
    const recent = attempts?.recent.filter((at) => now - at < limits.windowMillis) ?? []
    if (recent.length >= limits.attempts || (attempts?.unfinished ?? 0) >= limits.perPeer) {
      return Result.fail("PeerLimit")
    }
    if (this.#held.size >= limits.perNode && !this.#evict(known)) return Result.fail("NodeLimit")
    this.#peers.delete(peer)
    // Evicting may have changed what is unfinished, if it was this peer's own.
    this.#peers.set(peer, { recent: [...recent, now], unfinished: (attempts?.unfinished ?? 0) + 1 })
    const slot: Slot = { peer, lost: Deferred.makeUnsafe() }
    this.#held.add(slot)
    this.#waiting[known ? "known" : "unknown"].add(slot)
    return Result.succeed(slot)
  }

  /** The request has come: the slot is taken away no longer. */
  commit(slot: Slot): void {
    this.#waiting.known.delete(slot)
    this.#waiting.unknown.delete(slot)
  }

  release(slot: Slot): void {
    this.commit(slot)
    const attempts = this.#peers.get(slot.peer)
    if (this.#held.delete(slot) && attempts !== undefined) attempts.unfinished--
  }

  /** The peer's latest attempt does not count towards its rate. */
  refund(peer: string): void {
    const known = this.#peers.get(peer)
    if (known !== undefined) known.recent = known.recent.slice(0, -1)
  }

  /** Runs what a peer is left with after its answer; when too many linger, the first is interrupted. */
  linger<E, R>(telling: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const [first] = this.#lingering
        if (first !== undefined && this.#lingering.size >= maxLingering) {
          this.#lingering.delete(first)
          Deferred.doneUnsafe(first, Effect.void)
        }
        const hurry = Deferred.makeUnsafe<void>()
        this.#lingering.add(hurry)
        return hurry
      }),
      (hurry) => Effect.raceFirst(telling, Deferred.await(hurry)),
      (hurry) => Effect.sync(() => this.#lingering.delete(hurry))
    )
  }

  /** Who lost its slot tried nothing, so that does not count. A newcomer takes none from a peer that was let in before. */
  #evict(forKnown: boolean): boolean {
    const [longest] = this.#waiting.unknown.size > 0 || !forKnown ? this.#waiting.unknown : this.#waiting.known
    if (longest === undefined) return false
    this.release(longest)
    this.refund(longest.peer)
    Deferred.doneUnsafe(longest.lost, Effect.void)
    return true
  }

  #forget(now: number): void {
    for (const [peer, { recent, unfinished }] of this.#peers) {
      const quiet = now - (recent.at(-1) ?? 0) >= limits.windowMillis
      if (!quiet && this.#peers.size < maxPeers) return
      if (unfinished === 0) this.#peers.delete(peer)
    }
  }
}
