/** `effect/rpc` over a TCP or TLS socket with SchemaBinary: what an Effect user would reach for without iroh. */
import { EventEmitter } from "node:events"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as SocketServer from "effect/socket/SocketServer"
import type { Connection, Listening, Peer } from "../Peer.ts"
import { selfSigned } from "../SelfSigned.ts"

// Each write that waits for a TLS socket listens on it, and from the eleventh on Node would warn about a leak.
EventEmitter.defaultMaxListeners = 0

/** What is measured. */
export const Bench = RpcGroup.make(
  Rpc.make("Echo", { payload: { data: Schema.Uint8Array }, success: Schema.Uint8Array }),
  Rpc.make("Messages", {
    payload: { count: Schema.Int, size: Schema.Int },
    success: Schema.Uint8Array,
    stream: true
  })
)

export const BenchLive = Bench.toLayer({
  Echo: ({ data }) => Effect.succeed(data),
  Messages: ({ count, size }) => {
    const message = new Uint8Array(size).fill(7)
    return Stream.range(1, count).pipe(Stream.map(() => message))
  }
})

const socket = ({ address, certificate }: Listening) => {
  const { hostname: host, port } = new URL(address)
  return certificate === undefined
    ? NodeSocket.layerNet({ host, port: Number(port) })
    : NodeSocket.layerTls({ host, port: Number(port), ca: certificate, servername: "localhost" })
}

/** effect/rpc, plaintext or TLS. */
export const effectRpc = ({ tls }: { readonly tls: boolean }): Peer => ({
  server: async () => {
    const pem = tls ? selfSigned() : undefined
    const options = { host: "127.0.0.1", port: 0 }
    const listener =
      pem === undefined
        ? NodeSocketServer.layer(options)
        : NodeSocketServer.layerTls({ ...options, key: pem.key, cert: pem.certificate })
    const runtime = ManagedRuntime.make(
      RpcServer.layer(Bench, { concurrency: "unbounded" }).pipe(
        Layer.provide([BenchLive, RpcServer.layerProtocolSocketServer]),
        Layer.provideMerge([listener, RpcSerialization.layerSchemaBinary()])
      )
    )
    const address = await runtime.runPromise(SocketServer.SocketServer.useSync((server) => server.address))
    if (address._tag === "UnixPathAddress") throw new Error("The socket server did not open a TCP port.")
    return { address: `tcp://127.0.0.1:${address.port}`, certificate: pem?.certificate }
  },
  client: async (listening) => ({
    connect: () =>
      clientOf(
        RpcClient.layerProtocolSocket().pipe(Layer.provide([socket(listening), RpcSerialization.layerSchemaBinary()]))
      )
  })
})

/** One connection, whatever it runs over. */
export const clientOf = async (protocol: Layer.Layer<RpcClient.Protocol, unknown>): Promise<Connection> => {
  const runtime = ManagedRuntime.make(protocol)
  const scope = Scope.makeUnsafe()
  const client = await runtime.runPromise(RpcClient.make(Bench).pipe(Scope.provide(scope)))
  return {
    echo: (data) => runtime.runPromise(client.Echo({ data })),
    stream: (count, size) =>
      runtime.runPromise(
        Stream.runFold(
          client.Messages({ count, size }),
          () => 0,
          (received) => received + 1
        )
      ),
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await runtime.dispose()
    }
  }
}
