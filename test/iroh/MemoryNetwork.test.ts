import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork, type MemoryNetworkOptions } from "@aster-effect/iroh/MemoryNetwork"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { alpn, connected, contract, node, pattern, readAll, text } from "./contract.ts"

contract("memory", (options) => IrohNode.layerMemory(options), MemoryNetwork.layer())
contract("memory with latency", (options) => IrohNode.layerMemory(options), MemoryNetwork.layer({ latency: 1 }), {
  sequentialStreams: 300
})

const network = (
  options: MemoryNetworkOptions,
  body: Effect.Effect<void, unknown, Scope.Scope | MemoryNetwork>
): Effect.Effect<void, unknown, Scope.Scope> => Effect.provide(body, MemoryNetwork.layer(options))

describe("MemoryNetwork", () => {
  it.effect("takes the clock's time, in order", () =>
    network(
      { latency: "10 millis" },
      Effect.gen(function* () {
        const connecting = yield* Effect.forkChild(connected(IrohNode.layerMemory))
        yield* TestClock.adjust("10 millis")
        assert.isUndefined(connecting.pollUnsafe()) // to the server
        yield* TestClock.adjust("10 millis") // and back
        yield* TestClock.adjust("10 millis") // the server's last word
        const { client, server } = yield* Fiber.join(connecting)
        const { recv, send } = yield* client.openBi
        for (let i = 0; i < 5; i++) yield* send.write(Uint8Array.of(i))
        yield* send.finish
        const reading = yield* Effect.forkChild(Effect.flatMap(server.acceptBi, (far) => readAll(far.recv)))
        yield* TestClock.adjust("9 millis")
        assert.isUndefined(reading.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(reading), Uint8Array.of(0, 1, 2, 3, 4))
        assert.isDefined(recv)
      })
    )
  )

  it.effect("a lost peer is noticed after the idle timeout", () =>
    network(
      { idleTimeout: "20 seconds" },
      Effect.gen(function* () {
        const { a, b, client, server } = yield* connected(IrohNode.layerMemory)
        const { lose } = yield* MemoryNetwork
        yield* lose(a.endpointId)
        const { recv, send } = yield* client.openBi
        yield* send.write(text("into the void"))
        const reading = yield* Effect.forkChild(Effect.flip(recv.read()))
        const accepting = yield* Effect.forkChild(Effect.flip(server.acceptBi))
        yield* TestClock.adjust("19 seconds")
        assert.isUndefined(reading.pollUnsafe())
        assert.isFalse(client.isClosed())
        yield* TestClock.adjust("1 second")
        const { reason } = yield* Fiber.join(reading)
        assert.deepStrictEqual(reason._tag === "ConnectionLost" && reason.reason, { _tag: "TimedOut" })
        assert.deepStrictEqual((yield* Fiber.join(accepting)).reason, { _tag: "TimedOut" })
        assert.deepStrictEqual(yield* client.closed, { _tag: "TimedOut" })
        const dialling = yield* Effect.forkChild(Effect.flip(b.connect(yield* a.address, alpn)))
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual((yield* Fiber.join(dialling)).reason, { _tag: "TimedOut" })
      })
    )
  )

  it.effect("a handshake that hangs is given up, and holds up nobody for longer", () =>
    network(
      { latency: "1 second" },
      Effect.gen(function* () {
        const a = yield* node(IrohNode.layerMemory({ alpns: [alpn], maxHandshakes: 1, handshakeTimeout: "5 seconds" }))
        const b = yield* node(IrohNode.layerMemory())
        const c = yield* node(IrohNode.layerMemory())
        const addr = yield* a.address
        yield* Effect.forkChild(b.connect(addr, alpn))
        yield* TestClock.adjust("1 second")
        yield* (yield* MemoryNetwork).lose(b.endpointId)
        const accepting = yield* Effect.forkChild(a.accept)
        yield* Effect.forkChild(c.connect(addr, alpn))
        yield* TestClock.adjust("4 seconds")
        assert.isUndefined(accepting.pollUnsafe())
        yield* TestClock.adjust("1 second") // b is given up
        yield* TestClock.adjust("2 seconds") // c shakes hands
        assert.strictEqual((yield* Fiber.join(accepting)).remoteId, c.endpointId)
      })
    )
  )

  it.effect("a sender is at most a window ahead of the reader", () =>
    network(
      { window: 1000 },
      Effect.gen(function* () {
        const { client, server } = yield* connected(IrohNode.layerMemory)
        const { send } = yield* client.openBi
        yield* send.write(pattern(1000))
        const writing = yield* Effect.forkChild(send.write(pattern(1)), { startImmediately: true })
        const { recv } = yield* server.acceptBi
        yield* TestClock.adjust(1)
        assert.isUndefined(writing.pollUnsafe())
        yield* recv.read(1)
        yield* Fiber.join(writing)
      })
    )
  )

  it.effect("nodes of different networks do not meet", () =>
    Effect.gen(function* () {
      const a = yield* Effect.provide(node(IrohNode.layerMemory({ alpns: [alpn] })), MemoryNetwork.layer())
      const b = yield* Effect.provide(node(IrohNode.layerMemory()), MemoryNetwork.layer())
      const dialling = yield* Effect.forkChild(Effect.flip(b.connect(yield* a.address, alpn, { timeout: "1 second" })))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* Fiber.join(dialling)).reason, { _tag: "TimedOut" })
    })
  )
})
