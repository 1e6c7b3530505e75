/** Calls that handlers make: they have no more time than the call they are made for, and end with it. */
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

class Item extends Wire.Class<Item>("nested/Item")({ n: Wire.Int }) {}

const Back = Service.make("Back").add(
  Rpc.unary("remaining", { request: Item, response: Item }),
  Rpc.unary("hang", { request: Item, response: Item })
)
const Front = Service.make("Front").add(
  Rpc.unary("remaining", { request: Item, response: Item }),
  Rpc.unary("hang", { request: Item, response: Item })
)

const setUp = Effect.gen(function* () {
  const begun = yield* Deferred.make<void>()
  const interrupted = yield* Deferred.make<void>()
  const serve = (layer: Layer.Layer<never, never, never>) =>
    Effect.gen(function* () {
      const implementations = Service.implementationsIn(yield* Layer.build(layer))
      return yield* LocalTransport.make(yield* Dispatcher.make({ implementations }))
    })
  const back = (yield* serve(
    Back.toLayer({
      remaining: () =>
        Effect.gen(function* () {
          const { deadline } = yield* CallContext
          return new Item({ n: deadline === undefined ? -1 : deadline - (yield* Clock.currentTimeMillis) })
        }),
      hang: () =>
        Effect.onInterrupt(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never), () =>
          Deferred.succeed(interrupted, undefined)
        )
    }) as never
  ))(Back)
  const front = (yield* serve(
    Front.toLayer({
      remaining: ({ n }) => back.remaining(new Item({ n }), n === 0 ? {} : { timeout: n }),
      hang: (item) => back.hang(item)
    }) as never
  ))(Front)
  return { begun, front, interrupted }
})

describe("a call that a handler makes", () => {
  it.effect("has what remains of the handler's own time, or less", () =>
    Effect.gen(function* () {
      const { front } = yield* setUp
      const remaining = (own: number, timeout?: number) =>
        Effect.map(front.remaining(new Item({ n: own }), { timeout }), ({ n }) => n)
      assert.strictEqual(yield* remaining(0), -1)
      assert.strictEqual(yield* remaining(0, 3000), 3000)
      assert.strictEqual(yield* remaining(1000, 3000), 1000)
      assert.strictEqual(yield* remaining(9000, 3000), 3000)
    })
  )

  it.effect("is interrupted with it, through two hops, and so it is at its deadline", () =>
    Effect.gen(function* () {
      const first = yield* setUp
      const call = yield* Effect.forkChild(first.front.hang(new Item({ n: 1 })))
      yield* Deferred.await(first.begun)
      yield* Fiber.interrupt(call)
      yield* Deferred.await(first.interrupted)

      const second = yield* setUp
      const late = yield* Effect.forkChild(Effect.flip(second.front.hang(new Item({ n: 1 }), { timeout: "2 seconds" })))
      yield* Deferred.await(second.begun)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(late)).status, "DEADLINE_EXCEEDED")
      yield* Deferred.await(second.interrupted)
    })
  )
})
