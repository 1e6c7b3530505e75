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
  readonly #peers = new Map<EndpointId, Map<Connection, NodeAddr>>()

  /** Remembers a connection, until it is closed. */
  readonly remember = (connection: Connection, addr: NodeAddr): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { endpointId } = addr
      const connections = this.#peers.get(endpointId) ?? new Map<Connection, NodeAddr>()
      this.#peers.set(endpointId, connections.set(connection, addr))
      return Effect.ensuring(
        connection.closed,
        Effect.sync(() => {
          connections.delete(connection)
          if (connections.size === 0 && this.#peers.get(endpointId) === connections) this.#peers.delete(endpointId)
        })
      )
    })

  /** Dials, and closes meanwhile what a peer that has moved has left behind. */
  readonly unheld = <E>(addr: NodeAddr, dial: Effect.Effect<Connection, E>): Effect.Effect<Connection, E> =>
    Effect.suspend(() => {
      const elsewhere = [...(this.#peers.get(addr.endpointId) ?? [])].flatMap(([connection, { directAddresses }]) =>
        directAddresses.length > 0 && !directAddresses.some((known) => addr.directAddresses.includes(known))
          ? [{ connection, heard: connection.bytesReceived() }]
          : []
      )
      if (elsewhere.length === 0 || addr.directAddresses.length === 0) return dial
      const leave = Effect.suspend(() =>
        Effect.forEach(elsewhere, ({ connection, heard }) =>
          connection.isClosed() || connection.bytesReceived() > heard
            ? Effect.void
            : connection.close(0, "the peer has moved")
        )
      )
      return Effect.raceFirst(dial, Effect.andThen(Effect.delay(leave, SILENCE), Effect.never))
    })
}
