/**
 * A consumer that is in the middle of many calls: prints a line once they all run, and runs until it is killed. Its
 * argument is the producer's address.
 */
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import {
  CountRequest,
  HelloRequest,
  KitchenSink,
  Number,
  SlowRequest
} from "../../examples/kitchen-sink/KitchenSink.ts"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { consume } from "./Kitchen.ts"

const address = process.argv[2] ?? ""

/** Requests that never come to an end. */
const unending = <A>(request: A) => Stream.concat(Stream.make(request), Stream.never)

const calls = Effect.gen(function* () {
  const kitchen = yield* Effect.flatMap(consume({ address }), (consumer) => consumer.client(KitchenSink))
  yield* Effect.forkScoped(kitchen.slow(new SlowRequest({ ms: 3_600_000 })))
  yield* Effect.forkScoped(kitchen.sum(unending(new Number({ value: 1 }))))
  const replies = kitchen.chat(unending(new HelloRequest({ name: "x" })))
  const numbers = Stream.mapEffect(kitchen.endless(new CountRequest({ to: 0 })), () => Effect.sleep(10))
  yield* Stream.runHead(replies)
  yield* Stream.runHead(numbers)
  yield* Effect.forkScoped(Stream.runDrain(replies))
  yield* Effect.forkScoped(Stream.runDrain(numbers))
})

runMain(
  Effect.forEach(Array.from({ length: 10 }), () => calls, { discard: true }).pipe(
    Effect.andThen(Effect.sync(() => console.log("calling"))),
    Effect.andThen(Effect.never),
    Effect.scoped,
    Effect.provideService(References.MinimumLogLevel, "None")
  )
)
