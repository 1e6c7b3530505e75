import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { Member } from "../Member.ts"
import type { MeshState } from "../MeshState.ts"

/** Addresses of members that are kept for the next start. */
const MAX_ADDRESSES = 64
/** Ids of former members that are remembered, so that another process's file does not bring them back. */
const MAX_SEEN = 10_000

/** What is kept of the members between two runs, and what was kept of the last. */
export class SavedMembers {
  readonly #addresses = new Map<EndpointId.EndpointId, NodeAddr.NodeAddr>()
  #seen: Set<string>

  constructor({ accepted_producers, producer_addresses }: MeshState) {
    this.#seen = new Set(accepted_producers)
    for (const [id, text] of Object.entries(producer_addresses).slice(0, MAX_ADDRESSES)) {
      const address = addressOf(text)
      if (address?.endpointId === id) this.#addresses.set(address.endpointId, address)
    }
  }

  /** Where members were reached. */
  get addresses(): ReadonlyMap<EndpointId.EndpointId, NodeAddr.NodeAddr> {
    return this.#addresses
  }

  /** Those of a state that this process has never heard of. */
  newIn({ accepted_producers }: MeshState): ReadonlyArray<EndpointId.EndpointId> {
    const news = accepted_producers.filter((id) => !this.#seen.has(id))
    for (const id of news) this.#seen.add(id)
    return news.map(EndpointId.parse)
  }

  /** Keeps where members say they are; of too many, those who said so longest ago go. */
  learn(members: ReadonlyArray<Member>): void {
    const there = new Set<string>()
    for (const { endpointId, isSelf, leases } of members) {
      there.add(endpointId)
      const address = leases.find(({ address }) => address !== undefined)?.address
      if (isSelf || address === undefined) continue
      this.#addresses.delete(endpointId)
      this.#addresses.set(endpointId, address)
    }
    for (const id of this.#addresses.keys()) {
      if (!there.has(id) || this.#addresses.size > MAX_ADDRESSES) this.#addresses.delete(id)
    }
  }

  /**
   * The state with these members. Others that use the same file may have let in some; whom this process has let go is
   * gone.
   */
  into(saved: MeshState, members: ReadonlyArray<Member>, lastHeartbeat: number): MeshState {
    const known = new Set<string>(members.map(({ endpointId }) => endpointId))
    const accepted = new Set([...saved.accepted_producers.filter((id) => !this.#seen.has(id)), ...known])
    if (this.#seen.size > MAX_SEEN) this.#seen = new Set(accepted)
    for (const id of known) this.#seen.add(id)
    const numbers = (of: (member: Member) => number | undefined): Record<string, number> =>
      Object.fromEntries(
        members.flatMap((member) => {
          const value = of(member)
          return value === undefined ? [] : [[member.endpointId, Math.round(value)]]
        })
      )
    return {
      ...saved,
      accepted_producers: [...accepted].toSorted(),
      peer_offsets: numbers(({ offset }) => offset),
      drift_isolated: members.flatMap(({ endpointId, isolated }) => (isolated ? [endpointId] : [])),
      last_heartbeat_epoch_ms: Math.max(lastHeartbeat, saved.last_heartbeat_epoch_ms),
      producer_expiry: { ...onlyOf(accepted, saved.producer_expiry), ...numbers(({ expiresAt }) => expiresAt) },
      producer_addresses: Object.fromEntries(
        [...this.#addresses].flatMap(([id, address]) => (accepted.has(id) ? [[id, NodeAddr.toBase64(address)]] : []))
      )
    }
  }
}

/** Until when each producer's credential holds, by id. */
export const expiryIn = ({ producer_expiry }: MeshState): ReadonlyMap<EndpointId.EndpointId, number> =>
  new Map(
    Object.entries(producer_expiry).flatMap(([id, at]) => (EndpointId.isHex(id) ? [[EndpointId.parse(id), at]] : []))
  )

const onlyOf = <A>(kept: ReadonlySet<string>, record: Readonly<Record<string, A>>): Record<string, A> =>
  Object.fromEntries(Object.entries(record).filter(([id]) => kept.has(id)))

const addressOf = (text: string): NodeAddr.NodeAddr | undefined => {
  try {
    return NodeAddr.parse(text)
  } catch {
    return undefined
  }
}
