/** The testing kit, used as users use it. */
import type { AsterClient } from "@aster-effect/client/AsterClient"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { AsterTest } from "@aster-effect/testing"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

class N extends Wire.Class<N>("testing/N")({ n: Wire.Int }) {}
const one = new N({ n: 1 })

const Clockwork = Service.make("Clockwork").add(
  Rpc.unary("next", { request: N, response: N }),
  Rpc.unary("tomorrow", { request: N, response: N }),
  Rpc.serverStream("ticks", { request: N, response: N })
)

const ClockworkLive = Clockwork.toLayer({
  next: ({ n }) => Effect.succeed(new N({ n: n + 1 })),
  tomorrow: (request) => Effect.as(Effect.sleep("1 day"), request),
  ticks: (first) => Stream.concat(Stream.make(first), Stream.never)
})

const Test = AsterTest.layer({ services: [Clockwork], server: { handlerTimeout: "2 days" } }).pipe(
  Layer.provide(ClockworkLive)
)

layer(Test)("a test of a service", (it) => {
  it.effect("is a client in one line", () =>
    Effect.gen(function* () {
      const clockwork = yield* AsterTest.client(Clockwork)
      assert.strictEqual((yield* clockwork.next(one)).n, 2)
    })
  )

  it.effect("has a day in no time", () =>
    Effect.gen(function* () {
      const clockwork = yield* AsterTest.client(Clockwork)
      const tomorrow = yield* Effect.forkChild(clockwork.tomorrow(one))
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(yield* Fiber.join(tomorrow), one)
    })
  )
})

describe("a switch", () => {
  const test = <A, E>(
    title: string,
    body: (
      faults: AsterTest["Service"],
      clockwork: Effect.Success<ReturnType<typeof AsterTest.client<(typeof Clockwork)["methods"][number]>>>
    ) => Effect.Effect<A, E, AsterClient>
  ) =>
    it.effect(title, () =>
      Effect.gen(function* () {
        return yield* body(yield* AsterTest, yield* AsterTest.client(Clockwork))
      }).pipe(Effect.provide(Test))
    )

  test("sets latency", (faults, clockwork) =>
    Effect.gen(function* () {
      yield* clockwork.next(one)
      yield* faults.setLatency("100 millis")
      const begun = yield* Clock.currentTimeMillis
      const call = yield* Effect.forkChild(Effect.andThen(clockwork.next(one), Clock.currentTimeMillis), {
        startImmediately: true
      })
      yield* TestClock.adjust("10 seconds")
      const took = (yield* Fiber.join(call)) - begun
      assert.isAtLeast(took, 200)
    }))

  test("breaks streams, and the next call works", (faults, clockwork) =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const ticks = yield* Effect.forkChild(
        Effect.flip(Stream.runForEach(clockwork.ticks(one), () => Deferred.succeed(begun, undefined)))
      )
      yield* Deferred.await(begun)
      yield* faults.breakStreams
      assert.isTrue((yield* Fiber.join(ticks)).is("UNAVAILABLE"))
      assert.strictEqual((yield* clockwork.next(one)).n, 2)
    }))

  test("disconnects, and the client comes back", (faults, clockwork) =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const ticks = yield* Effect.forkChild(
        Effect.flip(Stream.runForEach(clockwork.ticks(one), () => Deferred.succeed(begun, undefined)))
      )
      yield* Deferred.await(begun)
      yield* faults.disconnect
      assert.isTrue((yield* Fiber.join(ticks)).is("UNAVAILABLE"))
      assert.strictEqual((yield* clockwork.next(one)).n, 2)
    }))

  test("loses the server: calls end by their deadline", (faults, clockwork) =>
    Effect.gen(function* () {
      yield* clockwork.next(one)
      yield* faults.loseServer
      const call = yield* Effect.forkChild(Effect.flip(Effect.timeout(clockwork.next(one), "5 seconds")))
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Fiber.join(call))._tag, "TimeoutError")
    }))

  test("closes the gate, and opens it again", (faults, clockwork) =>
    Effect.gen(function* () {
      yield* clockwork.next(one)
      yield* faults.closeGate
      const refused = yield* Effect.forkChild(Effect.flip(clockwork.next(one)))
      yield* TestClock.adjust("30 seconds")
      assert.include(["PERMISSION_DENIED", "UNAVAILABLE"], (yield* Fiber.join(refused)).status)
      yield* faults.openGate
      const again = yield* Effect.forkChild(clockwork.next(one))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(again)).n, 2)
    }))
})
