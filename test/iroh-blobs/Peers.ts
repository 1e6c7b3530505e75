/** Peers in a network of their own, for tests. */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import type { Handler } from "@aster-effect/iroh/Router"
import * as Router from "@aster-effect/iroh/Router"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/** A node with a store that serves its blobs, by the given handler if any. */
export const makePeer = Effect.fnUntraced(function* (
  options: BlobsProtocol.BlobsProtocolOptions & {
    readonly handler?: Handler<BlobStore>
    readonly store?: Layer.Layer<BlobStore>
    readonly providers?: ReadonlyArray<NodeAddr>
  } = {}
) {
  const network = Layer.succeed(MemoryNetwork, yield* MemoryNetwork)
  const base = Layer.mergeAll(
    Layer.fresh(options.store ?? BlobStore.layerMemory()),
    Layer.fresh(IrohNode.layerMemory()).pipe(Layer.provide(network))
  )
  const context = yield* Layer.build(Layer.fresh(Blobs.layerWith(options)).pipe(Layer.provideMerge(base)))
  const protocols = [{ alpn: BlobsProtocol.ALPN, handler: options.handler ?? BlobsProtocol.handler(options) }]
  const router = yield* Effect.provideContext(
    Router.serve({ protocols, gracePeriod: "1 second", linger: "50 millis" }),
    context
  )
  const node = Context.get(context, IrohNode)
  return {
    blobs: Context.get(context, Blobs),
    store: Context.get(context, BlobStore),
    node,
    router,
    addr: yield* node.address
  }
})

export type Peer = Effect.Success<ReturnType<typeof makePeer>>

/** Runs a test in a new network. */
export const inNetwork = <A, E>(body: Effect.Effect<A, E, MemoryNetwork | Scope.Scope>): Effect.Effect<A, E> =>
  Effect.scoped(Effect.provide(body, MemoryNetwork.layer()))

/**
 * Opens a stream to a peer, sends bytes and, unless told otherwise, the end; answers all that comes back. A stream is
 * called open when nothing has come for as long as is said.
 */
export const ask = Effect.fnUntraced(function* (
  from: Peer,
  to: Peer,
  bytes: Uint8Array,
  finish = true,
  patience: Duration.Input = "1 second"
) {
  const connection = yield* Effect.acquireRelease(from.node.connect(to.addr, BlobsProtocol.ALPN), (c) => c.close(0, ""))
  const { recv, send } = yield* connection.openBi
  yield* Effect.ignore(send.write(bytes))
  if (finish) yield* Effect.ignore(send.finish)
  const parts: Array<Uint8Array> = []
  const end = yield* Effect.gen(function* () {
    while (true) {
      const part = yield* Effect.timeoutOrElse(recv.read(65_536), {
        duration: patience,
        orElse: () => Effect.succeed("open" as const)
      })
      if (part === "open") return part
      if (part === undefined) return "finished"
      parts.push(part)
    }
  }).pipe(
    Effect.catchTag("StreamError", ({ reason }) =>
      Effect.succeed(reason._tag === "StreamReset" ? `reset ${reason.code}` : reason._tag)
    )
  )
  return { bytes: Uint8Array.from(Buffer.concat(parts)), end }
}, Effect.scoped)
