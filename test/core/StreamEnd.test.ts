import * as Dispatcher from "@aster-effect/core/Dispatcher"
import * as LocalTransport from "@aster-effect/core/LocalTransport"
import * as Rpc from "@aster-effect/core/Rpc"
import * as Service from "@aster-effect/core/Service"
import * as Wire from "@aster-effect/core/Wire"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"

class Count extends Wire.Class<Count>("stream/Count")({ to: Wire.Int }) {}
class Item extends Wire.Class<Item>("stream/Item")({ value: Wire.Int }) {}

const Numbers = Service.make("Numbers").add(Rpc.serverStream("count", { request: Count, response: Item }))
const NumbersLive = Numbers.toLayer({
  count: ({ to }) => Stream.map(Stream.range(1, to), (value) => new Item({ value }))
})

describe("the end of a server stream", () => {
  // The source hands over 4,096 elements at a time, so from the second write on the status travels with the last items.
  it.effect.each([1, 4_096, 4_097, 10_000])("%i items, status in the last write", (to) =>
    Effect.gen(function* () {
      const context = yield* Layer.build(NumbersLive)
      const dispatcher = yield* Dispatcher.make({ implementations: Service.implementationsIn(context) })
      const clientOf = yield* LocalTransport.make(dispatcher)
      const items = yield* Stream.runCollect(clientOf(Numbers).count(new Count({ to })))
      assert.deepStrictEqual(
        items.map(({ value }) => value),
        Array.from({ length: to }, (_, i) => i + 1)
      )
    })
  )
})
