/** A peer that speaks the protocol by hand, and so can say anything. */
import type { SendStream } from "@aster-effect/iroh/BiStream"
import type { Connection } from "@aster-effect/iroh/Connection"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import * as Frame from "@aster-effect/iroh-gossip/Frame"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import * as Message from "@aster-effect/iroh-gossip/Message"
import type { TopicId } from "@aster-effect/iroh-gossip/TopicId"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

export interface RawPeer {
  readonly node: IrohNode["Service"]
  readonly connection: Connection
  /** Messages that came, whatever the topic. */
  readonly heard: Array<Message.Message>
  /** A stream that begins as it should. */
  readonly open: (topic: TopicId) => Effect.Effect<SendStream>
}

/** Dials a member; `deaf` takes nothing that it sends. */
export const rawPeer = Effect.fnUntraced(function* (
  addr: NodeAddr,
  { deaf = false }: { readonly deaf?: boolean } = {}
): Effect.fn.Return<RawPeer, never, Scope.Scope | MemoryNetwork> {
  const context = yield* Layer.build(Layer.fresh(IrohNode.layerMemory()))
  const node = Context.get(context, IrohNode)
  const connection = yield* Effect.orDie(node.connect(addr, GossipProtocol.ALPN))
  const heard: Array<Message.Message> = []
  const listen = Effect.gen(function* () {
    while (true) {
      const recv = yield* connection.acceptUni
      const decoder = new Frame.FrameDecoder(4096)
      let header = true
      yield* Effect.forkChild(
        Effect.gen(function* () {
          for (let bytes = yield* recv.read(); bytes !== undefined; bytes = yield* recv.read())
            for (const payload of decoder.push(bytes)) {
              if (!header) heard.push(Message.decode(payload.slice()))
              header = false
            }
        })
      )
    }
  })
  if (!deaf) yield* Effect.forkScoped(Effect.ignore(listen), { startImmediately: true })
  return {
    node,
    connection,
    heard,
    open: (topic) => Effect.orDie(Effect.tap(connection.openUni, (stream) => stream.write(Frame.header(topic))))
  }
})
