/** The group of `effectRpc.ts` over iroh: the same calls and serialization, another transport. */
import * as RpcEndpoint from "@aster-effect/effect-rpc/RpcEndpoint"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { type BindingChoice, loopback } from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type { Peer } from "../Peer.ts"
import { Bench, BenchLive, clientOf } from "./effectRpc.ts"

/** A group over iroh, on either binding. */
export const group = (binding: BindingChoice): Peer => {
  const node = IrohNode.layer({ ...loopback, binding })
  return {
    server: async () => {
      const runtime = ManagedRuntime.make(
        Layer.merge(RpcServer.layer(Bench, { concurrency: "unbounded" }), RpcEndpoint.serve()).pipe(
          Layer.provide([BenchLive, RpcEndpoint.layer()]),
          Layer.provideMerge(node),
          Layer.provideMerge(RpcSerialization.layerSchemaBinary())
        )
      )
      return {
        address: NodeAddr.toTicket(await runtime.runPromise(Effect.flatMap(IrohNode, ({ address }) => address)))
      }
    },
    client: async ({ address }) => ({
      connect: () =>
        clientOf(RpcEndpoint.layerClient(NodeAddr.parse(address)).pipe(Layer.provide([node, serialization])))
    })
  }
}

const serialization = RpcSerialization.layerSchemaBinary()
