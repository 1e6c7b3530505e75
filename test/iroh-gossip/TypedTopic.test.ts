import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import * as TypedTopic from "@aster-effect/iroh-gossip/TypedTopic"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { memoryMember, text } from "./Members.ts"

const Price = Schema.Struct({ name: Schema.String, cents: Schema.BigInt, at: Schema.Date })

describe("TypedTopic", () => {
  it.live("values travel, what is none is left out and counted, and equal ones count when they are to", () =>
    Effect.gen(function* () {
      const a = yield* memoryMember()
      const b = yield* memoryMember()
      for (const unique of [false, true]) {
        const id = TopicId.fromName(`prices ${unique}`)
        const raw = yield* a.gossip.subscribe(id)
        const there = yield* b.gossip.subscribe(id, { bootstrap: [a.addr] })
        yield* Effect.all([raw.joined, there.joined])
        const ours = TypedTopic.make(raw, Price, { unique })
        const theirs = TypedTopic.make(there, Price, { unique })
        const price = { name: "tea", cents: 2n ** 70n, at: new Date(0) }
        const reading = yield* Effect.forkChild(theirs.messages.pipe(Stream.take(unique ? 3 : 2), Stream.runCollect), {
          startImmediately: true
        })
        yield* ours.broadcast(price)
        yield* ours.broadcast(price)
        for (const nonsense of ["", "{}", "no JSON", '{"name":"tea","cents":"1"}']) yield* raw.broadcast(text(nonsense))
        yield* raw.broadcast(Uint8Array.of(0xff))
        yield* ours.broadcast({ ...price, name: "end" })
        const values = (yield* Fiber.join(reading)).map(({ value }) => value)
        assert.deepStrictEqual(
          values,
          unique ? [price, price, { ...price, name: "end" }] : [price, { ...price, name: "end" }]
        )
        assert.strictEqual(yield* theirs.unreadable, 5)
      }
    }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer()))
  )
})
