/** The same group over iroh: the layers of the transport are others, and nothing else is. */
import * as RpcEndpoint from "@aster-effect/effect-rpc/RpcEndpoint"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import { consumer, Counter, CounterLive } from "./Counter.ts"

const Server = Layer.merge(RpcServer.layer(Counter), RpcEndpoint.serve()).pipe(
  Layer.provide(CounterLive),
  Layer.provide(RpcEndpoint.layer()),
  Layer.provideMerge(IrohNode.layer(loopback))
)

/** The client has a node of its own, and dials the server's by its key. */
const Client = Layer.unwrap(
  Effect.gen(function* () {
    const server = yield* IrohNode.use(({ address }) => address)
    return RpcEndpoint.layerClient(server).pipe(Layer.provide(Layer.fresh(IrohNode.layer(loopback))))
  })
)

export const program = consumer.pipe(
  Effect.provide(Client),
  Effect.provide(Server),
  Effect.provide(RpcSerialization.layerNdjson)
)
