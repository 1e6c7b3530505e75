import { assert, describe, it } from "@effect/vitest"
import type * as Scope from "effect/Scope"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { CountRequest, HelloRequest, KitchenSink, SlowRequest } from "../../examples/kitchen-sink/KitchenSink.ts"
import { start } from "./Child.ts"
import { consume } from "./Kitchen.ts"
import { measure, type Memory } from "./Memory.ts"

const kitchenAt = (address: string, multiplex: boolean) =>
  Effect.flatMap(consume({ address }, { multiplex }), (consumer) => consumer.client(KitchenSink))

const hello = new HelloRequest({ name: "x" })

/**
 * Does something many times with a server in a process of its own. Once both sides are warm, neither may hold more for
 * it: 3 MiB and 40 MiB are what caches and allocators still take, 10 KiB and 130 KiB for each of 300.
 */
const levelsOff = (
  times: number,
  prepare: (
    address: string
  ) => Effect.Effect<(i: number) => Effect.Effect<unknown, unknown, Scope.Scope>, unknown, Scope.Scope>
) =>
  Effect.fnUntraced(function* () {
    const child = yield* start("test/faults/meteredServer.ts", [], ["--expose-gc"])
    const { address } = JSON.parse(yield* child.line) as { readonly address: string }
    const act = yield* prepare(address)
    const memory = Effect.gen(function* () {
      child.process.stdin.write("\n")
      const server = JSON.parse(yield* child.line) as Memory
      return { server, client: yield* Effect.promise(measure) }
    })
    for (let i = 0; i < times / 2; i++) yield* Effect.scoped(act(i))
    const growth = Effect.gen(function* () {
      const before = yield* memory
      for (let i = 0; i < times; i++) yield* Effect.scoped(act(i))
      const after = yield* memory
      return (["server", "client"] as const).flatMap((side) => {
        const held = after[side].held - before[side].held
        const native = after[side].native - before[side].native
        return held < 3 && native < 40 ? [] : [`the ${side} grew by ${held} MiB held and ${native} MiB native`]
      })
    })
    // An allocator may take its time to settle; what leaks grows every time.
    assert.deepStrictEqual(yield* Effect.repeat(growth, { times: 2, while: (grown) => grown.length > 0 }), [])
  })

describe("a server and its clients", () => {
  it.live(
    "hold nothing of 300 clients that came, called and went",
    levelsOff(
      300,
      Effect.fnUntraced(function* (address) {
        return (i) => Effect.flatMap(kitchenAt(address, i % 2 === 0), (kitchen) => kitchen.say_hello(hello))
      })
    ),
    240_000
  )

  for (const multiplex of [false, true]) {
    it.live(
      `hold nothing of 1,000 calls that were given up, ${multiplex ? "on one stream" : "a stream each"}`,
      levelsOff(
        1_000,
        Effect.fnUntraced(function* (address) {
          const kitchen = yield* kitchenAt(address, multiplex)
          for (let i = 0; i < 5; i++) yield* kitchen.say_hello(hello)
          const slow = Effect.forkChild(kitchen.slow(new SlowRequest({ ms: 3_600_000 })), { startImmediately: true })
          const ways = [
            Effect.flatMap(slow, Fiber.interrupt),
            Effect.flatMap(slow, (call) => Effect.andThen(Effect.sleep(2), Fiber.interrupt(call))),
            Stream.runHead(kitchen.endless(new CountRequest({ to: 0 })))
          ]
          return (i) => ways[i % 3]!
        })
      ),
      240_000
    )
  }
})
