/** A group as any app of Effect has it: nothing here knows how it travels. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"

export class TooFar extends Schema.TaggedError<TooFar>()("TooFar", { to: Schema.Int }) {}

export class Counter extends RpcGroup.make(
  Rpc.make("Double", { payload: { n: Schema.Int }, success: Schema.Int }),
  Rpc.make("CountTo", { payload: { to: Schema.Int }, success: Schema.Int, error: TooFar, stream: true })
) {}

export const CounterLive = Counter.toLayer({
  Double: ({ n }) => Effect.succeed(2 * n),
  CountTo: ({ to }) => (to > 1000 ? Stream.fail(new TooFar({ to })) : Stream.range(1, to))
})

/** What its consumer does, over whatever the layers say. */
export const consumer = Effect.gen(function* () {
  const counter = yield* RpcClient.make(Counter)
  yield* Console.log(`doubled: ${yield* counter.Double({ n: 21 })}`)
  yield* Stream.runForEach(counter.CountTo({ to: 3 }), (n) => Console.log(`counted: ${n}`))
  yield* Stream.runDrain(counter.CountTo({ to: 5000 })).pipe(
    Effect.catchTag("TooFar", ({ to }) => Console.log(`too far: ${to}`))
  )
}).pipe(Effect.scoped)
