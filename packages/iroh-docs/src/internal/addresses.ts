/** Where peers are, as far as they were told: the rest is the node's to find out. */
import type { AddressBook } from "@aster-effect/iroh-gossip/AddressBook"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"

const MAX = 1024

export class Addresses {
  readonly #known = new Map<EndpointId, NodeAddr.NodeAddr>()
  readonly #book: AddressBook["Service"] | undefined

  /** With the book that the node's gossip keeps, if there is one: members say where they are when they come back. */
  constructor(book: AddressBook["Service"] | undefined) {
    this.#book = book
  }

  /** Adds what an address says to what is known of its node. The node learnt of longest ago is forgotten first. */
  learn(address: NodeAddr.NodeAddr): void {
    const known = this.#known.get(address.endpointId)
    this.#known.delete(address.endpointId)
    this.#known.set(address.endpointId, known === undefined ? address : NodeAddr.union(address, known))
    if (this.#known.size > MAX) this.#known.delete(this.#known.keys().next().value!)
  }

  get(peer: EndpointId): NodeAddr.NodeAddr {
    const heard = this.#book?.find(peer) ?? NodeAddr.make(peer)
    const known = this.#known.get(peer)
    return known === undefined ? heard : NodeAddr.union(heard, known)
  }
}
