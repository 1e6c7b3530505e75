/** The memory of decoded requests when several peers fill it together. */
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as TestClock from "effect/testing/TestClock"
import { consume, memoryNode, scenario, serve, settings } from "../admission/Deployment.ts"

const MiB = 1024 * 1024

class Load extends Wire.Class<Load>("budget/Load")({ peer: Wire.String, data: Wire.Bytes }) {}

const Loads = Service.make("Loads").add(
  Rpc.unary("keep", { request: Load, response: Wire.String }),
  Rpc.unary("echo", { request: Load, response: Wire.String })
)

/** What a request takes, once it is decoded, and may take before: 64 MiB more. */
const LARGE = 15 * MiB
/** Room for one request next to what one other holds, not to what two hold. */
const TOTAL = 2 * LARGE + 64 * MiB + MiB

const setUp = Effect.gen(function* () {
  const latches = new Map<string, Latch.Latch>()
  const live = Loads.toLayer({
    keep: ({ peer }) =>
      Effect.suspend(() => {
        const latch = Latch.makeUnsafe(false)
        latches.set(peer, latch)
        return Effect.as(latch.await, peer)
      }),
    echo: ({ peer }) => Effect.succeed(peer)
  })
  const server = yield* serve(yield* memoryNode(), { config: settings(), maxDecodedBytes: TOTAL }, live)
  const client = Effect.flatMap(memoryNode(), (node) =>
    Effect.flatMap(consume(node, server), (consumer) => consumer.client(Loads))
  )
  /** What becomes of a request that is kept: a few hundred bytes on the way. */
  const keep = Effect.fnUntraced(function* (peer: string) {
    const call = (yield* client).keep(new Load({ peer, data: new Uint8Array(LARGE) }))
    return yield* Effect.forkScoped(call, { startImmediately: true })
  })
  const moment = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
  /** Decompression takes real time. */
  const reached = (peer: string) =>
    Effect.repeat(moment, { until: () => latches.has(peer), times: 1500 }).pipe(
      Effect.andThen(Effect.sync(() => assert.isTrue(latches.has(peer), `the request of ${peer} was not decoded`)))
    )
  const release = (peer: string) => Effect.sync(() => latches.get(peer)?.openUnsafe())
  return { client, keep, latches, moment, reached, release }
})

describe("a server whose memory for requests is full of those of several peers", () => {
  scenario("serves small ones of everybody, and large ones when there is room again, or says that there is none", () =>
    Effect.gen(function* () {
      const { client, keep, latches, moment, reached, release } = yield* setUp
      const first = yield* keep("first")
      yield* reached("first")
      const second = yield* keep("second")
      yield* reached("second")

      // None of them has more than its share, and neither has who comes now; but all of them together have.
      const third = yield* keep("third")
      for (let i = 0; i < 10; i++) yield* moment
      assert.isFalse(latches.has("third"))
      const other = yield* client
      for (let i = 0; i < 3; i++) {
        assert.strictEqual(yield* other.echo(new Load({ peer: "other", data: new Uint8Array(100) })), "other")
      }
      yield* release("first")
      assert.strictEqual(yield* Fiber.join(first), "first")
      yield* reached("third")

      const fourth = yield* keep("fourth")
      for (let i = 0; i < 10; i++) yield* moment
      assert.isFalse(latches.has("fourth"))
      yield* TestClock.adjust("30 seconds")
      const refused = yield* Effect.flip(Fiber.join(fourth))
      assert.strictEqual(refused.status, "RESOURCE_EXHAUSTED")
      assert.include(refused.message, "holds as many requests as it can")
      assert.isFalse(latches.has("fourth"))

      for (const [peer, call] of [
        ["second", second],
        ["third", third]
      ] as const) {
        yield* release(peer)
        assert.strictEqual(yield* Fiber.join(call), peer)
      }
      // All of it has been given back.
      for (const peer of ["fifth", "sixth"]) {
        yield* keep(peer)
        yield* reached(peer)
      }
    })
  )
})
