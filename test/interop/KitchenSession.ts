import * as Rpc from "@aster-effect/core/service/Rpc"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Service from "@aster-effect/core/service/Service"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { CountRequest, FailRequest, HelloReply, Number, SlowRequest } from "../../examples/kitchen-sink/KitchenSink.ts"

/** The session-scoped service of `kitchen_sink.py`. */
export const KitchenSession = Service.make("KitchenSession", { scope: "session" }).add(
  Rpc.unary("add", { request: Number, response: Number }),
  Rpc.serverStream("count", { request: CountRequest, response: Number }),
  Rpc.clientStream("add_all", { request: Number, response: Number }),
  Rpc.bidi("running", { request: Number, response: Number }),
  Rpc.unary("fail", { request: FailRequest, response: Number }),
  Rpc.unary("slow", { request: SlowRequest, response: HelloReply })
)

/** One instance per session: `add` sees what earlier calls of the same session left behind. */
export const KitchenSessionLive = KitchenSession.toLayer(
  Effect.sync(() => {
    let total = 0
    const add = ({ value }: Number) => new Number({ value: (total += value) })
    return {
      add: (request: Number) => Effect.sync(() => add(request)),
      count: ({ to }: CountRequest) =>
        Stream.map(Stream.fromIterable(Array(to).keys()), (value) => new Number({ value: total + value })),
      add_all: (requests: Stream.Stream<Number, RpcError>) =>
        Effect.map(
          Stream.runForEach(requests, (request) => Effect.sync(() => add(request))),
          () => new Number({ value: total })
        ),
      running: (requests: Stream.Stream<Number, RpcError>) => Stream.map(requests, add),
      fail: ({ code, message }: FailRequest) => Effect.fail(new RpcError({ code, message })),
      slow: ({ ms }: SlowRequest) => Effect.as(Effect.sleep(ms), new HelloReply({ message: `slept ${ms} ms` }))
    }
  })
)
