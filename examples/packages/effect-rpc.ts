import * as RpcEndpoint from "@aster-effect/effect-rpc/RpcEndpoint"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"

const Doubler = RpcGroup.make(Rpc.make("double", { payload: { n: Schema.Int }, success: Schema.Int }))
const DoublerLive = Doubler.toLayer({ double: ({ n }) => Effect.succeed(2 * n) })

const Server = Layer.merge(RpcServer.layer(Doubler), RpcEndpoint.serve()).pipe(
  Layer.provide([DoublerLive, RpcEndpoint.layer()]),
  Layer.provideMerge(IrohNode.layer(loopback))
)

const program = Effect.gen(function* () {
  const address = yield* IrohNode.use((node) => node.address)
  const client = RpcEndpoint.layerClient(address).pipe(Layer.provide(Layer.fresh(IrohNode.layer(loopback))))
  const call = Effect.scoped(Effect.flatMap(RpcClient.make(Doubler), (doubler) => doubler.double({ n: 21 })))
  console.log(yield* Effect.provide(call, client))
})

await Effect.runPromise(program.pipe(Effect.provide(Server), Effect.provide(RpcSerialization.layerNdjson)))
