import type { CallChannel, ChannelError } from "@aster-effect/core/wire/CallChannel"
import * as Caller from "@aster-effect/core/call/Caller"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

class Count extends Wire.Class<Count>("stream/Count")({ to: Wire.Int }) {}
class Item extends Wire.Class<Item>("stream/Item")({ value: Wire.Int }) {}

const Numbers = Service.make("Numbers").add(Rpc.serverStream("count", { request: Count, response: Item }))
const NumbersLive = Numbers.toLayer({
  count: ({ to }) => Stream.map(Stream.range(1, to), (value) => new Item({ value }))
})

/** What the network may do to an answer: chunks of any size, here of `size` bytes. */
const rechunked = (channel: CallChannel, size: number): CallChannel => {
  let bytes = Buffer.alloc(0)
  let ended = false
  const receive: Effect.Effect<Uint8Array | undefined, ChannelError> = Effect.suspend(() => {
    if (bytes.length >= size || ended) {
      const chunk = bytes.subarray(0, size)
      bytes = bytes.subarray(size)
      return Effect.succeed(chunk.length === 0 ? undefined : chunk)
    }
    return Effect.flatMap(channel.receive, (more) => {
      if (more === undefined) ended = true
      else bytes = Buffer.concat([bytes, more])
      return receive
    })
  })
  return { ...channel, receive }
}

describe("the end of a server stream", () => {
  it.effect.each([1, 7, 64, 1_000, Number.MAX_SAFE_INTEGER])("items and status in chunks of %i bytes", (size) =>
    Effect.gen(function* () {
      const context = yield* Layer.build(NumbersLive)
      const dispatcher = yield* Dispatcher.make({ implementations: Service.implementationsIn(context) })
      const scope = yield* Effect.scope
      const client = Caller.make(Numbers, {
        open: () =>
          Effect.gen(function* () {
            const [here, there] = LocalTransport.pair()
            yield* Effect.forkIn(dispatcher.handle(there, Dispatcher.LOCAL), scope)
            return rechunked(here, size)
          }),
        peer: Dispatcher.LOCAL.id,
        version: 1
      })
      const items = yield* Stream.runCollect(client.count(new Count({ to: 300 })))
      assert.deepStrictEqual(
        items.map(({ value }) => value),
        Array.from({ length: 300 }, (_, i) => i + 1)
      )
    })
  )
})
