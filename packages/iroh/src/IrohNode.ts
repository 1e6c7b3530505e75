/**
 * A node on the network: it has an identity, opens connections and takes them in.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Connection } from "./Connection.ts"
import type { EndpointId } from "./EndpointId.ts"
import { bindChosen } from "./internal/choice.ts"
import { endpointOf } from "./internal/connection.ts"
import * as memory from "./internal/memory.ts"
import { makeNode } from "./internal/node.ts"
import { MemoryNetwork } from "./MemoryNetwork.ts"
import type { NodeAddr } from "./NodeAddr.ts"
import type { BindError, ConnectError, NodeClosed } from "./NodeError.ts"
import type { IrohNodeOptions, NodeOptions } from "./NodeOptions.ts"

/** What a single `connect` can be told. */
export interface ConnectOptions {
  /** Time for the whole of it. Default: 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/** A node on the network. */
export class IrohNode extends Context.Service<
  IrohNode,
  {
    readonly endpointId: EndpointId
    /** What carries it over real sockets; undefined in memory. */
    readonly binding?: string | undefined
    /** Where this node can be reached, as known now. Relay and outer addresses are found out in the background. */
    readonly address: Effect.Effect<NodeAddr>
    /** The `ip:port` of each open socket. */
    readonly boundSockets: ReadonlyArray<string>
    /**
     * The 64-byte Ed25519 signature of the key behind the endpoint id. The handshakes of connections are signed by the same
     * key: what is signed has to begin in a way that nobody else chooses.
     */
    readonly sign: (message: Uint8Array) => Uint8Array
    /** Takes connections for these protocols too, from now on. */
    readonly advertise: (alpns: Iterable<string>) => Effect.Effect<void>
    /** Connects to a peer for one protocol. The peer is who the address says, or this fails. */
    readonly connect: (
      addr: NodeAddr,
      alpn: string,
      options?: ConnectOptions
    ) => Effect.Effect<Connection, ConnectError>
    /** The next incoming connection whose handshake is done. A handshake that fails is nobody's business. */
    readonly accept: Effect.Effect<Connection, NodeClosed>
    /** Closes all connections and the sockets, within 3 seconds. Closing again waits for the same end. */
    readonly close: Effect.Effect<void>
  }
>()("@aster-effect/iroh/IrohNode") {
  /** A node on UDP sockets of this machine, closed with the layer's scope. */
  static readonly layer = (options: IrohNodeOptions = {}): Layer.Layer<IrohNode, BindError> =>
    Layer.effect(
      IrohNode,
      makeNode((secretKey) => bindChosen({ ...options, secretKey }), options)
    )

  /** A node in a `MemoryNetwork`: the same semantics without sockets, deterministic and under the test clock. */
  static readonly layerMemory = (options: NodeOptions = {}): Layer.Layer<IrohNode, never, MemoryNetwork> =>
    Layer.effect(
      IrohNode,
      makeNode(
        (secretKey) =>
          Effect.map(
            MemoryNetwork.use(({ fabric }) => memory.bind(fabric, { ...options, secretKey })),
            endpointOf
          ),
        options
      )
    )
}
