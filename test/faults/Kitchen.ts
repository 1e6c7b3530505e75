/**
 * A producer and its consumers as a test needs them: real QUIC, on this machine only.
 */
import { AsterClient } from "@aster-effect/client/AsterClient"
import type { ConnectFailure, NodeClientOptions } from "@aster-effect/client/AsterClient"
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import type { Connection } from "@aster-effect/iroh/Connection"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { BindError, ConnectError } from "@aster-effect/iroh/NodeError"
import type { IrohNodeOptions } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import type { NodeServerOptions, StartError } from "@aster-effect/server/AsterServer"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import type * as Scope from "effect/Scope"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KitchenJsonLive, KitchenSinkLive } from "../../examples/kitchen-sink/KitchenSink.ts"

export const loopback: IrohNodeOptions = { bindAddress: "127.0.0.1:0", relayMode: "disabled" }

/** Neither the environment nor an identity file counts. */
export const bare = AsterConfig.load({ environment: false, identity: false })

export const kitchen = Layer.merge(KitchenSinkLive, KitchenJsonLive)

/** A server that lives as long as the scope. `services` holds the handlers of any services. */
export const serve = (
  options: NodeServerOptions = {},
  services: Layer.Layer<never> = kitchen
): Effect.Effect<AsterServer["Service"], StartError | BindError, Scope.Scope> =>
  Effect.map(
    Layer.build(AsterServer.layer({ config: bare, node: loopback, ...options }).pipe(Layer.provide(services))),
    Context.get(AsterServer)
  )

/** A node that lives as long as the scope. */
export const node: Effect.Effect<IrohNode["Service"], BindError, Scope.Scope> = Effect.map(
  Layer.build(IrohNode.layer(loopback)),
  Context.get(IrohNode)
)

/** A consumer with a node of its own. */
export const consume = (
  server: { readonly address: string },
  options: NodeClientOptions = {}
): Effect.Effect<AsterClient["Service"], ConnectFailure | BindError, Scope.Scope> =>
  Effect.map(
    Layer.build(AsterClient.layer({ config: bare, address: server.address, node: loopback, ...options })),
    Context.get(AsterClient)
  )

/** A bare connection to a server. */
export const dial = (
  node: IrohNode["Service"],
  server: { readonly address: string },
  alpn: string = RpcConnection.ALPN
): Effect.Effect<Connection, ConnectError, Scope.Scope> =>
  Effect.acquireRelease(node.connect(NodeAddr.parse(server.address), alpn), (connection) => connection.close(0, "done"))
