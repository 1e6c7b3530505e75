import * as Effect from "effect/Effect"
import type { Connection } from "../Connection.ts"
import type { EndpointId } from "../EndpointId.ts"
import type { NodeAddr } from "../NodeAddr.ts"

/** How long a peer that is dialled at new addresses may be silent on the connections it had before. */
const SILENCE = "2 seconds"

/**
 * The connections that a node has dialled, so that none holds up others.
 *
 * A peer that died is given up after half a minute. Until then the transport sends all that is for this peer where that
 * connection goes, also the handshake of another one, whatever addresses were given for it. So when a peer is dialled at
 * addresses that are all new, does not answer, and is not heard of where it was either, it has moved: what was left there
 * is closed. Without new addresses nothing is: that may be a network that is down for a moment.
 */
export class Dialled {
  readonly #peers = new Map<EndpointId, Map<string, Place>>()

  /** Remembers a connection, until it is closed. */
  readonly remember = (connection: Connection, { directAddresses, endpointId }: NodeAddr): Effect.Effect<void> =>
    Effect.suspend(() => {
      const places = this.#peers.get(endpointId) ?? new Map<string, Place>()
      this.#peers.set(endpointId, places)
      const key = directAddresses.join()
      const place = places.get(key) ?? { directAddresses, connections: new Set() }
      places.set(key, place)
      place.connections.add(connection)
      return Effect.ensuring(
        connection.closed,
        Effect.sync(() => {
          place.connections.delete(connection)
          if (place.connections.size === 0 && places.get(key) === place) places.delete(key)
          if (places.size === 0 && this.#peers.get(endpointId) === places) this.#peers.delete(endpointId)
        })
      )
    })

  /** Dials, and closes meanwhile what a peer that has moved has left behind. */
  readonly unheld = <E>(addr: NodeAddr, dial: Effect.Effect<Connection, E>): Effect.Effect<Connection, E> =>
    Effect.suspend(() => {
      const elsewhere = this.#elsewhere(addr).map((connection) => ({ connection, heard: connection.bytesReceived() }))
      if (elsewhere.length === 0) return dial
      const leave = Effect.suspend(() =>
        Effect.forEach(elsewhere, ({ connection, heard }) =>
          connection.isClosed() || connection.bytesReceived() > heard
            ? Effect.void
            : connection.close(0, "the peer has moved")
        )
      )
      return Effect.raceFirst(dial, Effect.andThen(Effect.delay(leave, SILENCE), Effect.never))
    })

  /** The connections to a peer that were dialled at none of these addresses, nor by the peer's id alone. */
  #elsewhere({ directAddresses, endpointId }: NodeAddr): ReadonlyArray<Connection> {
    const places = this.#peers.get(endpointId)
    if (places === undefined || directAddresses.length === 0) return []
    return [...places.values()]
      .filter((place) => place.directAddresses.length > 0)
      .filter((place) => !place.directAddresses.some((known) => directAddresses.includes(known)))
      .flatMap(({ connections }) => [...connections])
  }
}

/** What was dialled at the same addresses: there may be thousands, and each dial looks at them. */
interface Place {
  readonly directAddresses: ReadonlyArray<string>
  readonly connections: Set<Connection>
}
