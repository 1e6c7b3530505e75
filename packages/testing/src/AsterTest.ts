/**
 * A server and a client in a test: on a network in memory, with the gates, streams and cancellation of a real one, under the
 * clock of the test.
 *
 * ```ts
 * layer(AsterTest.layer({ services: [TaskRunner] }).pipe(Layer.provide(TaskRunnerLive)))("tasks", (it) => {
 *   it.effect("are completed", () =>
 *     Effect.gen(function* () {
 *       const tasks = yield* AsterTest.client(TaskRunner)
 *       assert.strictEqual((yield* tasks.run_task(request)).status, "completed")
 *     })
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as AsterClient from "@aster-effect/client/AsterClient"
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import type * as Caller from "@aster-effect/core/call/Caller"
import type * as Rpc from "@aster-effect/core/service/Rpc"
import type * as Service from "@aster-effect/core/service/Service"
import type { BiStream } from "@aster-effect/iroh/BiStream"
import type { Connection } from "@aster-effect/iroh/Connection"
import { ConnectionGate } from "@aster-effect/iroh/ConnectionGate"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork, type MemoryNetworkOptions } from "@aster-effect/iroh/MemoryNetwork"
import * as AsterServer from "@aster-effect/server/AsterServer"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** @since 0.1.0 */
export interface AsterTestOptions<S extends Service.Any> {
  /** What to serve. Default: every service whose handlers stand in the context. */
  readonly services?: ReadonlyArray<S> | undefined
  /** Of the server; a test has no configuration from outside unless it says so here. */
  readonly server?: Omit<AsterServer.AsterServerOptions<S>, "services"> | undefined
  readonly client?: Omit<AsterClient.AsterClientOptions, "address"> | undefined
  readonly network?: MemoryNetworkOptions | undefined
}

/**
 * What can go wrong, as switches.
 *
 * @since 0.1.0
 */
export class AsterTest extends Context.Service<
  AsterTest,
  {
    /** From now on anything takes this long from one side to the other. */
    readonly setLatency: (latency: Duration.Input) => Effect.Effect<void>
    /** The server resets every stream that is open: calls on it fail, the connection lives. */
    readonly breakStreams: Effect.Effect<void>
    /** The server closes its connections; a client may come back. */
    readonly disconnect: Effect.Effect<void>
    /** The server is gone without a word: what runs hangs until the idle timeout of the network or a deadline. */
    readonly loseServer: Effect.Effect<void>
    /** Nobody is let in any more, and whoever is inside is put out, as an admission that ends does: 403. */
    readonly closeGate: Effect.Effect<void>
    /** The opposite. */
    readonly openGate: Effect.Effect<void>
  }
>()("@aster-effect/testing/AsterTest") {
  /**
   * A server, a client that is connected to it, and the switches between them. The handlers of `services` are required.
   * Consumers are let in without a credential unless the options say otherwise.
   */
  static readonly layer = <const S extends Service.Any = never>(
    options: AsterTestOptions<S> = {}
  ): Layer.Layer<
    AsterTest | AsterServer.AsterServer | AsterClient.AsterClient | MemoryNetwork,
    AsterServer.StartError | AsterClient.ConnectFailure,
    Service.HandlersFor<S>
  > =>
    Layer.unwrap(
      Effect.sync(() => {
        const switches = new Switches()
        const node = Layer.effect(IrohNode, Effect.map(IrohNode, switches.watch)).pipe(
          Layer.provide(Layer.fresh(IrohNode.layerMemory()))
        )
        const server = AsterServer.AsterServer.layerOnNode<S>({
          config,
          allowAllConsumers: true,
          ...options.server,
          services: options.services
        }).pipe(Layer.provide(node), Layer.provide(Layer.succeed(ConnectionGate, switches.gate)))
        const client = Layer.unwrap(
          AsterServer.AsterServer.useSync(({ address }) =>
            AsterClient.AsterClient.layerOnNode({ config, ...options.client, address }).pipe(
              Layer.provide(Layer.fresh(IrohNode.layerMemory()))
            )
          )
        )
        const test = Layer.effect(
          AsterTest,
          Effect.gen(function* () {
            const network = yield* MemoryNetwork
            const { endpointId } = yield* AsterServer.AsterServer
            // The end of a test waits for nothing: its clock stands still.
            yield* Effect.addFinalizer(() =>
              Effect.andThen(network.setLatency(0), switches.close(0, "the test is over"))
            )
            return {
              setLatency: network.setLatency,
              breakStreams: switches.breakStreams,
              disconnect: switches.close(0, "disconnected by the test"),
              loseServer: network.lose(endpointId),
              closeGate: Effect.andThen(switches.setOpen(false), switches.close(403, "not admitted")),
              openGate: switches.setOpen(true)
            }
          })
        )
        return Layer.merge(client, test).pipe(
          Layer.provideMerge(server),
          Layer.provideMerge(MemoryNetwork.layer(options.network))
        )
      })
    )

  /** A client of one service: `AsterClient.client` in a word. */
  static readonly client = <Methods extends Rpc.Any>(
    service: Service.WithMethods<Methods>
  ): Effect.Effect<
    Caller.Client<Methods>,
    Effect.Error<ReturnType<AsterClient.AsterClient["Service"]["client"]>>,
    AsterClient.AsterClient
  > => Effect.flatMap(AsterClient.AsterClient, (client) => client.client(service))
}

/** A test is what it says: no environment, no files. */
const config = AsterConfig.load({ environment: false, identity: false })

/** What the server's side has open. */
class Switches {
  readonly #connections = new Set<Connection>()
  readonly #streams = new Map<Connection, Set<BiStream>>()
  #open = true

  readonly gate: typeof ConnectionGate.Service = { admit: () => Effect.sync(() => this.#open) }

  setOpen(open: boolean): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#open = open
    })
  }

  close(code: number, reason: string): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach([...this.#connections], (connection) => connection.close(code, reason), { discard: true })
    )
  }

  readonly breakStreams: Effect.Effect<void> = Effect.suspend(() => {
    const open = [...this.#streams.values()].flatMap((streams) => [...streams])
    for (const streams of this.#streams.values()) streams.clear()
    return Effect.forEach(open, ({ recv, send }) => Effect.andThen(send.reset(BROKEN), recv.stop(BROKEN)), {
      discard: true
    })
  })

  /** A node whose incoming connections are remembered while they last. */
  readonly watch = (node: IrohNode["Service"]): IrohNode["Service"] => ({
    ...node,
    accept: Effect.tap(Effect.map(node.accept, this.#watched), (connection) =>
      Effect.forkDetach(
        // Ends with the connection, which ends with the node.
        Effect.andThen(
          connection.closed,
          Effect.sync(() => {
            this.#connections.delete(connection)
            this.#streams.delete(connection)
          })
        )
      )
    )
  })

  readonly #watched = (connection: Connection): Connection => {
    const streams = new Set<BiStream>()
    const watched: Connection = {
      remoteId: connection.remoteId,
      alpn: connection.alpn,
      openBi: Effect.suspend(() => connection.openBi),
      acceptBi: Effect.tap(
        Effect.suspend(() => connection.acceptBi),
        (stream) => Effect.sync(() => streams.add(stream))
      ),
      openUni: Effect.suspend(() => connection.openUni),
      acceptUni: Effect.suspend(() => connection.acceptUni),
      close: (code, reason) => connection.close(code, reason),
      closed: Effect.suspend(() => connection.closed),
      isClosed: () => connection.isClosed(),
      bytesReceived: () => connection.bytesReceived()
    }
    this.#connections.add(watched)
    this.#streams.set(watched, streams)
    return watched
  }
}

/** Any code will do: a peer sees a reset. */
const BROKEN = 1
