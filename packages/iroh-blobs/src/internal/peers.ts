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

  /** Connections over which something was asked before. */
  const used = new WeakSet<Connection>()

  const failing = (addr: NodeAddr.NodeAddr, hash: BlobHash) => (reason: TransferFailure) =>
    new TransferError({ peer: addr.endpointId, hash, reason })

  /** A connection from the pool, which may hold one that has ended since. */
  const connect = Effect.fnUntraced(function* (
    addr: NodeAddr.NodeAddr,
    hash: BlobHash,
    timeout: Duration.Input
  ): Effect.fn.Return<Connection, TransferError, Scope.Scope> {
    const fail = failing(addr, hash)
    const get = RcMap.get(connections, addr).pipe(
      Effect.mapError((cause) => fail(connectionFailure(cause))),
      Effect.timeoutOrElse({ duration: timeout, orElse: () => fail({ _tag: "Stalled" }) })
    )
    const connection = yield* get
    if (!connection.isClosed()) return connection
    yield* RcMap.invalidate(connections, addr)
    return yield* get
  })

  /**
   * Asks something over a connection of the pool. A peer that died and came back does not know the old connection, and
   * nothing on it says so: when nothing is heard there for a while, a new one is made beside it, and used if it comes about.
   */
  const ask = Effect.fnUntraced(function* <E>(
    addr: NodeAddr.NodeAddr,
    hash: BlobHash,
    timeout: Duration.Input,
    use: (connection: Connection, heard: () => void) => Effect.Effect<void, E>
  ): Effect.fn.Return<void, TransferError | E, Scope.Scope> {
    const connection = yield* connect(addr, hash, timeout)
    if (!used.has(connection)) {
      used.add(connection)
      return yield* use(connection, () => {})
    }
    let silent = true
    const heard = () => {
      silent = false
    }
    const renewed = Effect.sleep(PATIENCE).pipe(
      Effect.andThen(Effect.suspend(() => (silent ? RcMap.invalidate(connections, addr) : Effect.never))),
      Effect.andThen(connect(addr, hash, timeout)),
      Effect.catch(() => Effect.never)
    )
    const fresh = yield* Effect.raceFirst(Effect.as(use(connection, heard), undefined), renewed)
    if (fresh === undefined) return
    used.add(fresh)
    yield* use(fresh, () => {})
  })

  /** Asks one peer after the other until one of them says that nothing is missing any more. */
  const askEach = Effect.fnUntraced(function* <E>(
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
      const asking = ask(peer, hash, receiving.stallTimeout, (connection, heard) =>
        fetch(connection, { ...receiving, heard, peer: connection.remoteId })
      )
      const result = yield* Effect.result(Effect.scoped(asking))
      failures.delete(peer.endpointId)
      if (Result.isSuccess(result)) return { complete: true, failures: [...failures.values()] }
      const error = result.failure
      if (!(error instanceof TransferError)) return yield* Effect.fail(error)
      failures.set(peer.endpointId, error)
      if (error.reason._tag === "NotFound") peers.push({ peer, left: received() })
      // Whatever it was, the next one is not to wait for it too.
      if (error.reason._tag === "Stalled") yield* RcMap.invalidate(connections, peer)
    }
  })

  /** A connection of its own: leaving closes it. */
  const dial = (addr: NodeAddr.NodeAddr, hash: BlobHash) =>
    open(addr).pipe(
      Effect.mapError((cause) => failing(addr, hash)(connectionFailure(cause))),
      Effect.timeoutOrElse({ duration: DIAL_TIMEOUT, orElse: () => failing(addr, hash)({ _tag: "Stalled" }) })
    )

  return { dial, ask: askEach }
})

/** How long nothing may be heard on a connection from earlier before a new one is tried beside it. */
const PATIENCE = "2 seconds"
const DIAL_TIMEOUT = "30 seconds"

/** Each peer once, where it comes first, with all that is known of its addresses. */
const distinct = (addrs: ReadonlyArray<NodeAddr.NodeAddr>): ReadonlyArray<NodeAddr.NodeAddr> => {
  const peers = new Map<string, NodeAddr.NodeAddr>()
  for (const addr of addrs) {
    const known = peers.get(addr.endpointId)
    peers.set(addr.endpointId, known === undefined ? addr : NodeAddr.union(known, addr))
  }
  return [...peers.values()]
}
