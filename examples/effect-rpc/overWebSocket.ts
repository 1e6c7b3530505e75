/** The group over a WebSocket, as before. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HttpRouter from "effect/http/HttpRouter"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Socket from "effect/socket/Socket"
import { createServer } from "node:http"
import { consumer, Counter, CounterLive } from "./Counter.ts"

const PORT = 8787

const Server = HttpRouter.serve(
  RpcServer.layer(Counter).pipe(
    Layer.provide(CounterLive),
    Layer.provide(RpcServer.layerProtocolWebsocket({ path: "/rpc" }))
  ),
  { disableLogger: true, disableListenLog: true }
).pipe(Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: PORT })))

const Client = RpcClient.layerProtocolSocket().pipe(
  Layer.provide(Socket.layerWebSocket(`ws://127.0.0.1:${PORT}/rpc`)),
  Layer.provide(Socket.layerWebSocketConstructorGlobal)
)

export const program = consumer.pipe(
  Effect.provide(Client),
  Effect.provide(Server),
  Effect.provide(RpcSerialization.layerNdjson)
)
