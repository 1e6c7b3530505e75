/**
 * aster-effect itself: typed messages in XLANG, everybody admitted. Small calls share a stream as between any two of its
 * nodes, or have one each as with peers of release 0.1.2.
 */
import * as AsterClient from "@aster-effect/client/AsterClient"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { type BindingChoice, type IrohNodeOptions, loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Peer } from "../Peer.ts"

export class Payload extends Wire.Class<Payload>("bench/Payload")({ data: Wire.Bytes }) {}
class StreamRequest extends Wire.Class<StreamRequest>("bench/StreamRequest")({ count: Wire.Int, size: Wire.Int }) {}

/** The service that is measured. */
export const Bench = Service.make("Bench").add(
  Rpc.unary("echo", { request: Payload, response: Payload }),
  Rpc.serverStream("messages", { request: StreamRequest, response: Payload })
)

export const BenchLive = Bench.toLayer({
  echo: ({ data }) => Effect.succeed(new Payload({ data })),
  messages: ({ count, size }) => {
    const message = new Payload({ data: new Uint8Array(size).fill(7) })
    return Stream.range(1, count).pipe(Stream.map(() => message))
  }
})

/** How calls travel. */
export interface AsterOptions {
  readonly binding: BindingChoice
  readonly multiplex: boolean
}

/** aster-effect over iroh. */
export const aster = ({ binding, multiplex }: AsterOptions): Peer => asterOn({ ...loopback, binding }, multiplex)

const asterOn = (node: IrohNodeOptions, multiplex: boolean): Peer => ({
  server: async () => {
    const runtime = ManagedRuntime.make(AsterServer.layer({ node }).pipe(Layer.provide(BenchLive)))
    return { address: await runtime.runPromise(AsterServer.useSync(({ address }) => address)) }
  },
  client: async ({ address }) => {
    const runtime = ManagedRuntime.make(IrohNode.layer(node))
    await runtime.runPromise(Effect.void)
    return {
      connect: async () => {
        const scope = Scope.makeUnsafe()
        const client = await runtime.runPromise(
          AsterClient.make({ address, multiplex }).pipe(
            Effect.flatMap((aster) => aster.client(Bench)),
            Scope.provide(scope)
          )
        )
        return {
          echo: (data) => runtime.runPromise(Effect.map(client.echo(new Payload({ data })), (answer) => answer.data)),
          stream: (count, size) =>
            runtime.runPromise(
              Stream.runFold(
                client.messages(new StreamRequest({ count, size })),
                () => 0,
                (received) => received + 1
              )
            ),
          close: () => Effect.runPromise(Scope.close(scope, Exit.void))
        }
      }
    }
  }
})
