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
  /** A session of the peer's was taken since ours was begun. */
  served: boolean
}

/** How a session came to its end. `Refused`: the peer says that another one with us is under way. */
export type Ending = "Done" | "Refused" | "Failed"

/** How often in a row a session is tried again that a peer has refused. */
const MAX_REFUSALS = 5

/** The sessions of one document: with each peer at most one, but for the moment in which both have dialled. */
export class SessionTable {
  readonly #own: EndpointId
  readonly #peers = new Map<EndpointId, Peer>()
  /** How often each peer has refused sessions in a row. */
  readonly #refusals = new Map<EndpointId, number>()

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
    state.served = false
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
    state.served = true
    return true
  }

  /**
   * A session that was let begin has ended. Answers whether another one is due. What a peer means that calls another one
   * under way may for us be over for long, and know nothing of the latest news.
   */
  ended(peer: EndpointId, role: "dial" | "accept", ending: Ending): boolean {
    const state = this.#state(peer)
    const refusals = ending === "Refused" && !state.served ? (this.#refusals.get(peer) ?? 0) + 1 : 0
    if (ending === "Done") this.#refusals.delete(peer)
    else if (refusals > 0) {
      if (refusals > MAX_REFUSALS) this.#refusals.delete(peer)
      else {
        this.#refusals.set(peer, refusals)
        state.news = true
      }
    }
    if (role === "dial") state.dialing = false
    else state.accepting = false
    if (state.dialing !== false || state.accepting) return false
    this.#peers.delete(peer)
    return state.news || (state.owed && ending !== "Done")
  }

  /** Sessions that run. */
  get running(): number {
    return this.#peers.size
  }

  #state(peer: EndpointId): Peer {
    let state = this.#peers.get(peer)
    if (state === undefined) {
      state = { dialing: false, accepting: false, news: false, owed: false, served: false }
      this.#peers.set(peer, state)
    }
    return state
  }
}
