import type { Connection } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as RcMap from "effect/RcMap"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { BlobHash } from "../BlobHash.ts"
import { ALPN } from "../BlobsProtocol.ts"
import { TransferError, type TransferFailure } from "../TransferError.ts"
import { connectionFailure, type ReceiveOptions } from "./receive.ts"

/** What asking peers came to. */
export interface Asked {
  readonly complete: boolean
  /** What happened with each peer that did not do, in the order in which they were asked. */
  readonly failures: ReadonlyArray<TransferError>
}

/** The peers of a node: connections to them, and the order in which they are asked. */
export type Peers = Effect.Success<ReturnType<typeof makePeers>>

/** `providers`: whom everything is asked of in the end. */
export const makePeers = Effect.fnUntraced(function* (
  node: IrohNode["Service"],
  providers: ReadonlyArray<NodeAddr.NodeAddr>
) {
  const open = (addr: NodeAddr.NodeAddr) =>
    Effect.acquireRelease(node.connect(addr, ALPN), (connection) => connection.close(0, "done"), {
      interruptible: true
    })
  const connections = yield* RcMap.make({ lookup: open, idleTimeToLive: "10 seconds" })

  /** A connection from the pool, which may hold one that has ended since. */
  const connect = Effect.fnUntraced(function* (
    addr: NodeAddr.NodeAddr,
    hash: BlobHash,
    timeout: Duration.Input
  ): Effect.fn.Return<Connection, TransferError, Scope.Scope> {
    const fail = (reason: TransferFailure) => new TransferError({ peer: addr.endpointId, hash, reason })
    const get = RcMap.get(connections, addr).pipe(
      Effect.mapError((cause) => fail(connectionFailure(cause))),
      Effect.timeoutOrElse({ duration: timeout, orElse: () => fail({ _tag: "Stalled" }) })
    )
    const connection = yield* get
    if (!connection.isClosed()) return connection
    yield* RcMap.invalidate(connections, addr)
    return yield* get
  })

  /** Asks one peer after the other until one of them says that nothing is missing any more. */
  const ask = Effect.fnUntraced(function* <E>(
    hash: BlobHash,
    among: ReadonlyArray<NodeAddr.NodeAddr>,
    receiving: Omit<ReceiveOptions, "peer">,
    received: () => number,
    fetch: (connection: Connection, receiving: ReceiveOptions) => Effect.Effect<void, TransferError | E>
  ): Effect.fn.Return<Asked, E> {
    const failures = new Map<EndpointId, TransferError>()
    const peers = distinct([...among, ...providers]).map((peer) => ({ peer, left: -1 }))
    while (true) {
      // Who lacked what came next may have what comes after it, once somebody else has filled the gap.
      const index = peers.findIndex(({ left }) => left < received())
      if (index < 0) return { complete: false, failures: [...failures.values()] }
      const { peer } = peers.splice(index, 1)[0]!
      const result = yield* Effect.result(
        Effect.scoped(
          Effect.flatMap(connect(peer, hash, receiving.stallTimeout), (connection) =>
            fetch(connection, { ...receiving, peer: connection.remoteId })
          )
        )
      )
      failures.delete(peer.endpointId)
      if (Result.isSuccess(result)) return { complete: true, failures: [...failures.values()] }
      const error = result.failure
      if (!(error instanceof TransferError)) return yield* Effect.fail(error)
      failures.set(peer.endpointId, error)
      if (error.reason._tag === "NotFound") peers.push({ peer, left: received() })
    }
  })

  /** A connection of its own: leaving closes it. */
  const dial = (addr: NodeAddr.NodeAddr, hash: BlobHash) =>
    Effect.mapError(
      open(addr),
      (cause) => new TransferError({ peer: addr.endpointId, hash, reason: connectionFailure(cause) })
    )

  return { connect, dial, ask }
})

/** Each peer once, where it comes first, with all that is known of its addresses. */
const distinct = (addrs: ReadonlyArray<NodeAddr.NodeAddr>): ReadonlyArray<NodeAddr.NodeAddr> => {
  const peers = new Map<string, NodeAddr.NodeAddr>()
  for (const addr of addrs) {
    const known = peers.get(addr.endpointId)
    peers.set(addr.endpointId, known === undefined ? addr : NodeAddr.union(known, addr))
  }
  return [...peers.values()]
}
