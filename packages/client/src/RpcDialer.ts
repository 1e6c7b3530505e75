/**
 * Connections for calls: opened when first needed, shared, and opened again after they were lost.
 *
 * @since 0.1.0
 */
import type { CallChannel } from "@aster-effect/core/CallChannel"
import { RpcError } from "@aster-effect/core/RpcError"
import type { Connection } from "@aster-effect/iroh/Connection"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type { ConnectError } from "@aster-effect/iroh/NodeError"
import * as Alpn from "@aster-effect/transport/Alpn"
import * as IrohChannel from "@aster-effect/transport/IrohChannel"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"

/** @since 0.1.0 */
export interface RpcDialer {
  /** Opens a channel for one call on the connection to this peer. Fails with UNAVAILABLE or PERMISSION_DENIED. */
  readonly open: (address: NodeAddr) => Effect.Effect<CallChannel, RpcError>
}

/**
 * All connections are closed with the scope.
 *
 * @param timeout for connecting
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  node: IrohNode["Service"],
  timeout: Duration.Input
): Effect.fn.Return<RpcDialer, never, Scope.Scope> {
  const peers = new Map<string, Peer>()
  yield* Effect.addFinalizer(() =>
    Effect.forEach(peers.values(), ({ connection }) => connection?.close(0, "normal close") ?? Effect.void, {
      discard: true
    })
  )
  return {
    open: (address) =>
      Effect.suspend(() => {
        let peer = peers.get(address.endpointId)
        if (peer === undefined) peers.set(address.endpointId, (peer = new Peer(node, address, timeout)))
        return peer.open
      })
  }
})

/** The one connection to a peer. */
class Peer {
  connection: Connection | undefined
  readonly #dialing = Semaphore.makeUnsafe(1)
  readonly #dial: Effect.Effect<Connection, RpcError>
  readonly open: Effect.Effect<CallChannel, RpcError>

  constructor(node: IrohNode["Service"], address: NodeAddr, timeout: Duration.Input) {
    this.#dial = Effect.suspend(() => {
      const known = this.#live()
      if (known !== undefined) return Effect.succeed(known)
      return Effect.map(
        Effect.mapError(node.connect(address, Alpn.RPC, { timeout }), unavailable),
        (connection) => (this.connection = connection)
      )
    })
    const openStream = (connection: Connection) => Effect.map(connection.openBi, IrohChannel.make)
    this.open = Effect.suspend(() => {
      const known = this.#live()
      const connected = known === undefined ? this.#dialing.withPermit(this.#dial) : Effect.succeed(known)
      // A connection can be lost between the look at it and its use, so one more try is fair before any byte was sent.
      return Effect.flatMap(connected, openStream).pipe(
        Effect.catchTag("ConnectionLost", () => Effect.flatMap(this.#dialing.withPermit(this.#dial), openStream)),
        Effect.catchTag("ConnectionLost", (error) => Effect.fail(RpcError.of(statusFor(error.reason), error.message)))
      )
    })
  }

  #live(): Connection | undefined {
    return this.connection?.isClosed() === false ? this.connection : undefined
  }
}

/** 403 is how a gate closes the door. */
const statusFor = (reason: { readonly _tag: string; readonly code?: number }) =>
  reason._tag === "Peer" && reason.code === 403 ? "PERMISSION_DENIED" : "UNAVAILABLE"

const unavailable = (error: ConnectError): RpcError => RpcError.of("UNAVAILABLE", error.message)
