/** Starting and ending of a server, on a network in memory. */
import type { AsterClient } from "@aster-effect/client/AsterClient"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { StatusCode } from "@aster-effect/core/wire/Status"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import {
  HelloReply,
  HelloRequest,
  KitchenJson,
  KitchenSink,
  KitchenSinkLive
} from "../../examples/kitchen-sink/KitchenSink.ts"
import { SlowRequest } from "../../examples/kitchen-sink/KitchenSink.ts"
import { consume, memoryNode, scenario, serve, settings } from "../admission/Deployment.ts"
import { kitchen } from "../faults/Kitchen.ts"

class Text extends Wire.Class<Text>("inside/Text")({ text: Wire.String }) {}
const Inside = Service.make("Inside", { local: true }).add(Rpc.unary("echo", { request: Text, response: Text }))
const InsideLive = Inside.toLayer({ echo: Effect.succeed })

const config = settings()
const hello = new HelloRequest({ name: "x" })
const calls = (consumer: AsterClient["Service"]) => consumer.client(KitchenSink)

describe("a server that does not start says what to do", () => {
  scenario("without services", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(serve(yield* memoryNode(), { config }, Layer.empty))
      assert.strictEqual(error._tag, "NoServices")
      assert.include(error.message, "provide the layer of at least one service")
    })
  )

  scenario("with a service twice", () =>
    Effect.gen(function* () {
      const services = [KitchenSink, KitchenSink]
      const error = yield* Effect.flip(serve(yield* memoryNode(), { config, services }, kitchen))
      assert.strictEqual(error._tag, "DuplicateService")
      assert.include(error.message, "KitchenSink v1 is provided twice")
    })
  )

  scenario("with a service that has no handlers", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(serve(yield* memoryNode(), { config, services: [KitchenSink] }))
      assert.strictEqual(error._tag, "ServiceNotProvided")
      assert.include(error.message, "KitchenSink v1 has no handlers")
    })
  )

  scenario("with a service that is for this process alone", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(serve(yield* memoryNode(), { config, services: [Inside] }, InsideLive))
      assert.strictEqual(error._tag, "ServiceIsLocal")
      assert.include(error.message, "Inside v1 is declared local")
    })
  )

  it("that names its services requires their handlers in its type", () => {
    const layer = AsterServer.layer({ services: [Inside, KitchenSink] })
    // @ts-expect-error the handlers of Inside and of KitchenSink are missing
    const bare: Layer.Layer<AsterServer, unknown> = layer
    // @ts-expect-error those of KitchenSink are
    const half: Layer.Layer<AsterServer, unknown> = Layer.provide(layer, InsideLive)
    const all: Layer.Layer<AsterServer, unknown> = Layer.provide(layer, [InsideLive, KitchenSinkLive])
    const whatIsThere: Layer.Layer<AsterServer, unknown> = AsterServer.layer()
    for (const each of [bare, half, all, whatIsThere]) assert.isTrue(Layer.isLayer(each))
  })
})

describe("a server", () => {
  scenario("serves what its context holds, or what it is told to", () =>
    Effect.gen(function* () {
      const all = yield* serve(yield* memoryNode(), { config }, Layer.merge(kitchen, InsideLive))
      assert.sameMembers(
        all.services.map(({ name }) => name),
        ["KitchenSink", "KitchenJson"]
      )
      const one = yield* serve(yield* memoryNode(), { config, services: [KitchenJson] }, kitchen)
      const consumer = yield* consume(yield* memoryNode(), one)
      assert.deepStrictEqual(
        consumer.services.map(({ name }) => name),
        ["KitchenJson"]
      )
      assert.strictEqual((yield* Effect.flip(calls(consumer)))._tag, "ServiceNotOffered")
    })
  )

  scenario("can be waited for, drained and closed more than once", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { config }, kitchen)
      const waiting = yield* Effect.forkChild(Effect.all([server.serve, server.serve], { concurrency: 2 }))
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      yield* Effect.all([server.drain, server.drain], { concurrency: 2 })
      yield* Fiber.join(waiting)
      yield* server.drain
      yield* server.close
      yield* server.close
      yield* server.serve
      assert.isTrue(Exit.isFailure(yield* Effect.exit(server.node.accept)))
    })
  )

  scenario("that drains lets calls finish within the grace period, and interrupts the rest", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { config, gracePeriod: "10 seconds" }, kitchen)
      const client = yield* Effect.flatMap(consume(yield* memoryNode(), server), calls)
      yield* client.say_hello(hello)
      const short = yield* Effect.forkChild(client.slow(new SlowRequest({ ms: 5_000 })))
      const long = yield* Effect.forkChild(Effect.flip(client.slow(new SlowRequest({ ms: 60_000 }))))
      yield* TestClock.adjust("1 second")
      const draining = yield* Effect.forkChild(server.drain)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(short), new HelloReply({ message: "slept 5000 ms" }))
      assert.isUndefined(draining.pollUnsafe())
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(draining)
      assert.strictEqual((yield* Fiber.join(long)).code, StatusCode.UNAVAILABLE)
    })
  )

  for (const multiplex of [true, false]) {
    scenario(`that drains refuses calls at once until it has gone, ${multiplex ? "shared" : "own"} streams`, () =>
      Effect.gen(function* () {
        const server = yield* serve(yield* memoryNode(), { config }, kitchen)
        const client = yield* Effect.flatMap(consume(yield* memoryNode(), server, { multiplex }), calls)
        for (let i = 0; i < 3; i++) yield* client.say_hello(hello)
        const last = yield* Effect.forkChild(client.slow(new SlowRequest({ ms: 5_000 })), { startImmediately: true })
        yield* client.say_hello(hello)
        yield* TestClock.adjust("1 second")
        yield* Effect.forkChild(server.drain)
        yield* TestClock.adjust(1)
        // Time stands still meanwhile: whoever waits for the connection to be closed would wait for ever.
        const refused = Effect.gen(function* () {
          const error = yield* Effect.flip(client.say_hello(hello))
          assert.strictEqual(error.code, StatusCode.UNAVAILABLE)
          assert.include(error.message, "takes no further calls")
        })
        yield* refused
        yield* TestClock.adjust(3_999)
        assert.deepStrictEqual(yield* Fiber.join(last), new HelloReply({ message: "slept 5000 ms" }))
        yield* refused
        yield* TestClock.adjust(500)
        yield* refused
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Effect.flip(client.say_hello(hello))).code, StatusCode.UNAVAILABLE)
      })
    )
  }

  scenario("is closed, and its node, with its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const home = yield* memoryNode()
      const server = yield* Scope.provide(serve(home, { config }, kitchen), scope)
      yield* Scope.close(scope, Exit.void)
      yield* server.serve
      assert.isTrue(Exit.isFailure(yield* Effect.exit(home.accept)))
    })
  )
})
