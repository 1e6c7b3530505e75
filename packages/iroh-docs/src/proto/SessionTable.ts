/** Which sessions of a document run, and which may begin. iroh-docs wire, acceptance. */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"

interface Peer {
  /** From the decision to dial until there is a connection, and from then on. */
  dialing: false | "connecting" | "talking"
  accepting: boolean
  /** There was news while a session ran, which may have come too late for it. */
  news: boolean
  /** A session of the peer's was refused because of our own, which has to do its work. */
  owed: boolean
}

/** The sessions of one document: with each peer at most one, but for the moment in which both have dialled. */
export class SessionTable {
  readonly #own: EndpointId
  readonly #peers = new Map<EndpointId, Peer>()

  constructor(own: EndpointId) {
    this.#own = own
  }

  /** Whether a session may be begun now; if not, one is due when the running one has ended. */
  dial(peer: EndpointId): boolean {
    const state = this.#state(peer)
    if (state.dialing !== false || state.accepting) {
      state.news = true
      return false
    }
    state.dialing = "connecting"
    return true
  }

  /** There is a connection to a peer that was dialled. Answers whether the session goes on: the peer may have begun one. */
  connected(peer: EndpointId): boolean {
    const state = this.#state(peer)
    if (state.accepting) return false
    state.dialing = "talking"
    return true
  }

  /** Whether a session that a peer begins is taken. Of two that have begun one with each other the greater id accepts. */
  accept(peer: EndpointId): boolean {
    const state = this.#state(peer)
    if (state.accepting) return false
    if (state.dialing === "talking" && this.#own < peer) {
      state.owed = true
      return false
    }
    state.accepting = true
    return true
  }

  /** A session that was let begin has ended. Answers whether another one is due. */
  ended(peer: EndpointId, role: "dial" | "accept", succeeded: boolean): boolean {
    const state = this.#state(peer)
    if (role === "dial") state.dialing = false
    else state.accepting = false
    if (state.dialing !== false || state.accepting) return false
    this.#peers.delete(peer)
    return state.news || (state.owed && !succeeded)
  }

  /** Sessions that run. */
  get running(): number {
    return this.#peers.size
  }

  #state(peer: EndpointId): Peer {
    let state = this.#peers.get(peer)
    if (state === undefined) {
      state = { dialing: false, accepting: false, news: false, owed: false }
      this.#peers.set(peer, state)
    }
    return state
  }
}
