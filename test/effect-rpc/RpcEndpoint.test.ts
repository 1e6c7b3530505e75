/** Groups of effect/rpc on iroh nodes: alone, and behind the gates of a server of services. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { Caller } from "@aster-effect/effect-rpc/Caller"
import * as IrohSocket from "@aster-effect/effect-rpc/IrohSocket"
import * as RpcEndpoint from "@aster-effect/effect-rpc/RpcEndpoint"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { Counter, CounterLive } from "../../examples/effect-rpc/Counter.ts"
import { consume, issue, memoryNode, serve } from "../admission/Deployment.ts"
import { TaskRequest, TaskRunner, TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"

/** A node of its own in the network of the test. */
const node = Effect.map(Layer.build(Layer.fresh(IrohNode.layerMemory())), (context) => Context.get(context, IrohNode))

class Asking extends RpcGroup.make(
  Rpc.make("WhoAmI", { success: Schema.Struct({ id: Schema.String, role: Schema.String }) }),
  Rpc.make("Wait", { success: Schema.Void })
) {}

const asking = Effect.fnUntraced(function* () {
  const begun = yield* Deferred.make<void>()
  const interrupted = yield* Deferred.make<void>()
  const layer = Asking.toLayer({
    WhoAmI: () =>
      Effect.map(Caller, (peer) => ({ id: peer?.id ?? "nobody", role: peer?.attributes.get("aster.role") ?? "" })),
    Wait: () =>
      Deferred.succeed(begun, undefined).pipe(
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
      )
  })
  return { begun, interrupted, layer }
})

const serializations = {
  ndjson: RpcSerialization.layerNdjson,
  binary: RpcSerialization.layerSchemaBinary()
}

const inNetwork = <A, E>(
  body: Effect.Effect<A, E, MemoryNetwork | RpcSerialization.RpcSerialization | Scope.Scope>,
  serialization: Layer.Layer<RpcSerialization.RpcSerialization> = serializations.ndjson
) => Effect.scoped(body).pipe(Effect.provide([MemoryNetwork.layer(), serialization]))

const clientOf = Effect.fnUntraced(function* (by: IrohNode["Service"], address: NodeAddr.NodeAddr) {
  const layer = RpcEndpoint.layerClient(address).pipe(Layer.provide(Layer.succeed(IrohNode, by)))
  return yield* Layer.build(layer)
})

/** A server of one group on a node of its own. */
const serving = Effect.fnUntraced(function* <R extends Rpc.Any>(
  group: RpcGroup.RpcGroup<R>,
  handlers: Layer.Layer<Rpc.ToHandler<R>>
) {
  const home = yield* node
  yield* Layer.build(
    Layer.merge(
      RpcServer.layer(group as never) as Layer.Layer<never, never, RpcServer.Protocol>,
      RpcEndpoint.serve()
    ).pipe(
      Layer.provide(handlers as Layer.Layer<never>),
      Layer.provide(RpcEndpoint.layer()),
      Layer.provide(Layer.succeed(IrohNode, home))
    )
  )
  return { home, address: yield* home.address }
})

describe.each(["ndjson", "binary"] as const)("a group over iroh in %s", (name) => {
  it.effect("answers calls, streams and declared errors", () =>
    inNetwork(
      Effect.gen(function* () {
        const { address } = yield* serving(Counter, CounterLive)
        const counter = yield* Effect.provideContext(RpcClient.make(Counter), yield* clientOf(yield* node, address))
        assert.strictEqual(yield* counter.Double({ n: 21 }), 42)
        const counted = yield* Stream.runCollect(counter.CountTo({ to: 500 }))
        assert.deepStrictEqual(
          counted,
          Array.from({ length: 500 }, (_, i) => i + 1)
        )
        const error = yield* Effect.flip(Stream.runDrain(counter.CountTo({ to: 5000 })))
        assert.deepInclude(error, { _tag: "TooFar", to: 5000 })
        const many = yield* Effect.forEach(Array.from({ length: 200 }).keys(), (n) => counter.Double({ n }), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(
          many,
          Array.from({ length: 200 }, (_, n) => 2 * n)
        )
      }),
      serializations[name]
    )
  )

  it.effect("knows who calls, and interruption reaches the handler", () =>
    inNetwork(
      Effect.gen(function* () {
        const { begun, interrupted, layer } = yield* asking()
        const { address } = yield* serving(Asking, layer)
        const by = yield* node
        const client = yield* Effect.provideContext(RpcClient.make(Asking), yield* clientOf(by, address))
        assert.deepStrictEqual(yield* client.WhoAmI(), { id: by.endpointId, role: "" })
        const waiting = yield* Effect.forkChild(client.Wait())
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(waiting)
        yield* Deferred.await(interrupted)
      }),
      serializations[name]
    )
  )
})

describe("a client", () => {
  it.effect("that leaves interrupts what it asked for", () =>
    inNetwork(
      Effect.gen(function* () {
        const { begun, interrupted, layer } = yield* asking()
        const { address } = yield* serving(Asking, layer)
        const by = yield* node
        const client = yield* Effect.provideContext(RpcClient.make(Asking), yield* clientOf(by, address))
        yield* Effect.forkChild(Effect.exit(client.Wait()))
        yield* Deferred.await(begun)
        yield* by.close
        yield* Deferred.await(interrupted)
      })
    )
  )

  it.effect("that leaves does not wait for a peer that is gone", () =>
    inNetwork(
      Effect.gen(function* () {
        const gone = yield* node
        yield* (yield* MemoryNetwork).lose(gone.endpointId)
        const dialling = IrohSocket.layer(yield* gone.address, { alpn: RpcEndpoint.ALPN })
        const context = yield* Effect.provideService(Layer.build(dialling), IrohNode, yield* node)
        const reading = yield* Effect.forkChild(Effect.scoped(Context.get(context, Socket.Socket).reader))
        yield* Effect.yieldNow
        // Nobody lets time pass, and so the dial does not end by itself.
        yield* Fiber.interrupt(reading)
      })
    )
  )

  it.effect("that sends what is no message is told so, and nobody else notices", () =>
    inNetwork(
      Effect.gen(function* () {
        const { address } = yield* serving(Counter, CounterLive)
        const counter = yield* Effect.provideContext(RpcClient.make(Counter), yield* clientOf(yield* node, address))
        const attacker = yield* node
        const connection = yield* attacker.connect(address, RpcEndpoint.ALPN)
        const { recv, send } = yield* connection.openBi
        yield* send.write(new TextEncoder().encode('{"_tag":\nnull\n[]\n{"_tag":"Request"}\n\u0000\n'))
        yield* send.finish
        yield* Effect.exit(recv.read())
        assert.strictEqual(yield* counter.Double({ n: 4 }), 8)
      })
    )
  )
})

describe("in a server of services", () => {
  const server = (layer: Layer.Layer<Rpc.ToHandler<RpcGroup.Rpcs<typeof Asking>>>, allowAllConsumers: boolean) =>
    Effect.gen(function* () {
      const home = yield* node
      const endpoint = yield* Layer.build(RpcEndpoint.layer())
      yield* Layer.build(
        RpcServer.layer(Asking).pipe(Layer.provide(layer), Layer.provide(Layer.succeedContext(endpoint)))
      )
      const { protocol } = Context.get(endpoint, RpcEndpoint.RpcEndpoint)
      const context = yield* Layer.build(
        AsterServer.layerOnNode({ services: [TaskRunner], protocols: [protocol], allowAllConsumers }).pipe(
          Layer.provide([TaskRunnerLive, Layer.succeed(IrohNode, home)])
        )
      )
      return Context.get(context, AsterServer)
    })

  it.effect("both are served by one node", () =>
    inNetwork(
      Effect.gen(function* () {
        const { layer } = yield* asking()
        const { address } = yield* server(layer, true)
        const by = yield* node
        const aster = yield* Layer.build(
          AsterClient.layerOnNode({ address }).pipe(Layer.provide(Layer.succeed(IrohNode, by)))
        )
        const tasks = yield* Context.get(aster, AsterClient).client(TaskRunner)
        yield* tasks.run_task(new TaskRequest({ task_id: "1", payload: "{}" }))
        const client = yield* Effect.provideContext(
          RpcClient.make(Asking),
          yield* clientOf(by, NodeAddr.parse(address))
        )
        assert.strictEqual((yield* client.WhoAmI()).id, by.endpointId)
      })
    )
  )

  it.effect("handlers know what a caller was admitted with", () =>
    inNetwork(
      Effect.gen(function* () {
        const { layer } = yield* asking()
        const endpoint = yield* Layer.build(RpcEndpoint.layer())
        yield* Layer.build(
          RpcServer.layer(Asking).pipe(Layer.provide(layer), Layer.provide(Layer.succeedContext(endpoint)))
        )
        const { protocol } = Context.get(endpoint, RpcEndpoint.RpcEndpoint)
        const { address } = yield* serve(yield* memoryNode(), { protocols: [protocol] })
        const by = yield* memoryNode()
        yield* consume(by, { address }, { credential: yield* issue({ role: "ops" }) })
        const client = yield* Effect.provideContext(
          RpcClient.make(Asking),
          yield* clientOf(by, NodeAddr.parse(address))
        )
        assert.deepStrictEqual(yield* client.WhoAmI(), { id: by.endpointId, role: "ops" })
      })
    )
  )

  it.effect("strangers are refused where consumers are", () =>
    inNetwork(
      Effect.gen(function* () {
        const { layer } = yield* asking()
        const { address } = yield* server(layer, false)
        const stranger = yield* node
        const connection = yield* stranger.connect(NodeAddr.parse(address), RpcEndpoint.ALPN)
        const reason = yield* connection.closed
        assert.deepInclude(reason, { _tag: "Peer", code: 403 })
        const client = yield* Effect.provideContext(
          RpcClient.make(Asking),
          yield* clientOf(stranger, NodeAddr.parse(address))
        )
        assert.isTrue(Exit.isFailure(yield* Effect.exit(client.WhoAmI())))
      })
    )
  )
})
