import { deepStrictEqual } from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { AsterClient } from "@aster-effect/client/AsterClient"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  CountRequest,
  HelloReply,
  HelloRequest,
  KitchenSink,
  Number,
  SlowRequest
} from "../../examples/kitchen-sink/KitchenSink.ts"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { failure, ourConsumer } from "./OurConsumer.ts"
import { PythonReference } from "./PythonReference.ts"

const kitchen = AsterClient.use((aster) => aster.client(KitchenSink))
const greeting = Effect.flatMap(kitchen, (sink) =>
  sink.say_hello(new HelloRequest({ name: "still there" }), { timeout: "30 seconds" })
)
const expectGreeting = Effect.map(greeting, (reply) =>
  deepStrictEqual(reply, new HelloReply({ message: "Hello, still there!" }))
)

// The reference lets a handler run to its end when its caller has gone, and until then its stream counts among the 100
// that a connection may have: handlers here are short.
describe("Our consumer, Python producer, many calls", () => {
  layer(ourConsumer, { timeout: "5 minutes", excludeTestServices: true })((it) => {
    it.effect("2,000 one after the other", () =>
      Effect.gen(function* () {
        const sink = yield* kitchen
        for (let i = 0; i < 2_000; i++) {
          const { message } = yield* sink.say_hello(new HelloRequest({ name: `${i}` }))
          assert.strictEqual(message, `Hello, ${i}!`)
        }
      })
    )

    it.effect("500 at a time", () =>
      Effect.gen(function* () {
        const sink = yield* kitchen
        const names = Array.from({ length: 1_000 }, (_, index) => `${index}`)
        const replies = yield* Effect.forEach(names, (name) => sink.say_hello(new HelloRequest({ name })), {
          concurrency: 500
        })
        deepStrictEqual(
          replies,
          names.map((name) => new HelloReply({ message: `Hello, ${name}!` }))
        )
      })
    )

    it.effect("300 interrupted before they reach the producer", () =>
      Effect.gen(function* () {
        const sink = yield* kitchen
        for (let i = 0; i < 300; i++) {
          const call = yield* Effect.forkChild(sink.slow(new SlowRequest({ ms: 200 })), { startImmediately: true })
          yield* Fiber.interrupt(call)
        }
        yield* expectGreeting
      })
    )

    it.effect("300 interrupted while the handler runs", () =>
      Effect.gen(function* () {
        const sink = yield* kitchen
        for (let i = 0; i < 300; i++) {
          const call = yield* Effect.forkChild(sink.slow(new SlowRequest({ ms: 200 })), { startImmediately: true })
          yield* Effect.sleep("5 millis")
          yield* Fiber.interrupt(call)
        }
        yield* expectGreeting
      })
    )

    it.effect("3 times 300 interrupted at once, most of them while they wait for a stream", () =>
      Effect.gen(function* () {
        const sink = yield* kitchen
        for (let round = 0; round < 3; round++) {
          const calls = yield* Effect.forEach(Array(300), () =>
            Effect.forkChild(sink.slow(new SlowRequest({ ms: 300 })), { startImmediately: true })
          )
          yield* Effect.sleep("50 millis")
          yield* Fiber.interruptAll(calls)
        }
        yield* expectGreeting
      })
    )

    it.effect("300 that run into their deadline, 50 at a time", () =>
      Effect.gen(function* () {
        const sink = yield* kitchen
        const late = failure(sink.slow(new SlowRequest({ ms: 1_000 }), { timeout: "100 millis" }))
        const outcomes = yield* Effect.forEach(Array(300), () => late, { concurrency: 50 })
        assert.isTrue(outcomes.every(([status]) => status === "DEADLINE_EXCEEDED"))
        yield* expectGreeting
      })
    )

    it.effect("300 streams given up after their first item", () =>
      Effect.gen(function* () {
        const sink = yield* kitchen
        for (let to = 0; to < 300; to++) {
          const first = yield* Stream.runCollect(Stream.take(sink.endless(new CountRequest({ to })), 1))
          deepStrictEqual(first, [new Number({ value: to })])
        }
        yield* expectGreeting
      })
    )

    it.effect("300 input streams interrupted half way", () =>
      Effect.gen(function* () {
        const sink = yield* kitchen
        const requests = Stream.concat(Stream.make(new Number({ value: 1 })), Stream.never)
        for (let i = 0; i < 300; i++) {
          const call = yield* Effect.forkChild(sink.sum(requests), { startImmediately: true })
          if (i % 10 === 0) yield* Effect.sleep("5 millis")
          yield* Fiber.interrupt(call)
        }
        yield* expectGreeting
      })
    )
  })
})

describe("Our consumer, Python producer that goes away", () => {
  layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })((it) => {
    /** A producer with an end of its own. */
    const start = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
      const { producer } = yield* PythonReference
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const { address } = yield* Scope.provide(producer(args), scope)
      const port = NodeAddr.parse(address).directAddresses[0]!.split(":")[1]!
      return { address, port, stop: Scope.close(scope, Exit.void) }
    })
    const connect = (address: string) =>
      Layer.build(AsterClient.layer({ address, node: loopback, connectTimeout: "20 seconds" }))

    it.effect("calls go on when it is back, and fail as UNAVAILABLE meanwhile", () =>
      Effect.gen(function* () {
        const key = ["--secret-key", randomBytes(32).toString("hex")]
        const first = yield* start(key)
        const client = yield* connect(first.address)
        yield* Effect.provide(expectGreeting, client)
        const sink = yield* Effect.provide(kitchen, client)
        const running = yield* Effect.forkChild(failure(sink.slow(new SlowRequest({ ms: 60_000 }))), {
          startImmediately: true
        })
        yield* Effect.sleep("100 millis")
        yield* first.stop
        assert.strictEqual((yield* Fiber.join(running))[0], "UNAVAILABLE")
        assert.strictEqual((yield* Effect.provide(failure(greeting), client))[0], "UNAVAILABLE")

        const second = yield* start([...key, "--port", first.port])
        assert.strictEqual(NodeAddr.parse(second.address).endpointId, NodeAddr.parse(first.address).endpointId)
        yield* Effect.provide(expectGreeting, client)
      })
    )

    it.effect("it is not found when it is back elsewhere", () =>
      Effect.gen(function* () {
        const key = ["--secret-key", randomBytes(32).toString("hex")]
        const first = yield* start(key)
        const client = yield* connect(first.address)
        yield* Effect.provide(expectGreeting, client)
        yield* first.stop
        const second = yield* start(key)
        assert.notStrictEqual(second.port, first.port)
        assert.strictEqual((yield* Effect.provide(failure(greeting), client))[0], "UNAVAILABLE")
      })
    )
  })
})
