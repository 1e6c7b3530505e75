/** A handler that calls another producer: what its caller decides reaches the second one too. Over real QUIC. */
import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { consume, serve } from "../faults/Kitchen.ts"
import * as Watched from "../faults/Probe.ts"

const { Item, Probe } = Watched

/** Stands in front of a `Probe` of another producer. */
const Relay = Service.make("Relay").add(
  Rpc.unary("hang", { request: Item, response: Item }),
  Rpc.serverStream("drip", { request: Item, response: Item }),
  Rpc.bidi("talk", { request: Item, response: Item }),
  Rpc.unary("deadline", { request: Item, response: Item })
)

/** Tells a handler's deadline, in milliseconds since the Unix epoch. */
const Clock = Service.make("Clock").add(Rpc.unary("deadline", { request: Item, response: Item }))

const ClockLive = Clock.toLayer({
  deadline: () => Effect.map(CallContext, ({ deadline }) => new Item({ value: Math.floor(deadline ?? 0) }))
})

/** A client of a producer that calls another one. */
const chain = Effect.gen(function* () {
  const watcher = yield* Watched.make
  const back = yield* consume(yield* serve({}, Layer.merge(watcher.layer, ClockLive)))
  const probe = yield* back.client(Probe)
  const clock = yield* back.client(Clock)
  const relay = Relay.toLayer({
    hang: (item) => probe.hang(item),
    drip: (item) => probe.drip(item),
    talk: (items) => probe.talk(items),
    deadline: (item) => clock.deadline(item)
  })
  const front = yield* Effect.flatMap(consume(yield* serve({}, relay)), (consumer) => consumer.client(Relay))
  const expect = (event: string) => Effect.map(watcher.next, (next) => assert.strictEqual(next, event))
  return { expect, front }
})

const one = new Item({ value: 1 })

describe("a call over two hops", () => {
  it.live("that is given up is given up at the end of the chain, whatever its pattern", () =>
    Effect.gen(function* () {
      const { expect, front } = yield* chain
      const calls = [
        { method: "hang", call: front.hang(one), seen: [] },
        { method: "drip", call: Stream.runDrain(front.drip(one)), seen: [] },
        {
          method: "talk",
          call: Stream.runDrain(front.talk(Stream.concat(Stream.make(one), Stream.never))),
          seen: ["received 1"]
        }
      ]
      for (const { call, method, seen } of calls) {
        const fiber = yield* Effect.forkChild(call as Effect.Effect<unknown, unknown>)
        yield* expect(`started ${method}`)
        yield* Effect.forEach(seen, expect)
        yield* Fiber.interrupt(fiber)
        yield* expect(`interrupted ${method}`)
      }
    })
  )

  it.live("has one deadline", () =>
    Effect.gen(function* () {
      const { expect, front } = yield* chain
      const before = Date.now()
      const { value } = yield* front.deadline(one, { timeout: "50 seconds" })
      assert.isAtLeast(value, before + 49_000)
      assert.isAtMost(value, Date.now() + 50_001)
      const late = yield* Effect.flip(front.hang(one, { timeout: "2 seconds" }))
      assert.isTrue("is" in late && late.is("DEADLINE_EXCEEDED"))
      yield* expect("started hang")
      yield* expect("interrupted hang")
    })
  )
})
