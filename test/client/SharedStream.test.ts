/** When small calls share a stream: a hundred calls with streams of their own fill a connection, shared ones do not. */
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { consume, issue, memoryNode, scenario, serve } from "../admission/Deployment.ts"

class Text extends Wire.Class<Text>("shared/Text")({ text: Wire.String }) {}

const Hold = Service.make("Hold").add(
  Rpc.unary("echo", { request: Text, response: Text }),
  Rpc.unary("hold", { request: Text, response: Text })
)

/** Streams that a connection has room for. */
const STREAMS = 100

const setUp = Effect.fnUntraced(function* (multiplex?: boolean) {
  const handlers = { running: 0 }
  const live = Hold.toLayer({
    echo: (request) => Effect.succeed(request),
    hold: () =>
      Effect.suspend(() => {
        handlers.running++
        return Effect.never
      }).pipe(Effect.ensuring(Effect.sync(() => handlers.running--)))
  })
  const server = yield* serve(yield* memoryNode(), {}, live)
  const node = yield* memoryNode()
  const consumer = yield* consume(node, server, { multiplex, maxConnections: 1, credential: yield* issue() })
  const client = yield* consumer.client(Hold)
  const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 250)))
  /** Waits until so many handlers run. */
  const reaches = (count: number) =>
    Effect.repeat(
      Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5))),
      { until: () => handlers.running === count }
    )
  /** As many calls as asked for, which do not end by themselves. */
  const hold = (count: number) =>
    Effect.forEach(
      Array.from({ length: count }, () => client.hold(new Text({ text: "x".repeat(10) }))),
      (call): Effect.Effect<Fiber.Fiber<Text, RpcError>> => Effect.forkChild(call, { startImmediately: true })
    )
  const warm = Effect.andThen(
    Effect.forEach([1, 2, 3], () => client.echo(new Text({ text: "" }))),
    settle
  )
  return { client, handlers, hold, node, reaches, server, settle, warm }
})

describe("small calls", () => {
  scenario("share a stream with a producer of ours: more can run than there are streams", () =>
    Effect.gen(function* () {
      const { hold, reaches, warm } = yield* setUp()
      yield* warm
      const calls = yield* hold(2 * STREAMS)
      yield* reaches(2 * STREAMS)
      yield* Fiber.interruptAll(calls)
      yield* reaches(0)
    })
  )

  scenario("have a stream each when told so", () =>
    Effect.gen(function* () {
      const { handlers, hold, settle, warm } = yield* setUp(false)
      yield* warm
      const calls = yield* hold(2 * STREAMS)
      yield* settle
      assert.isAtMost(handlers.running, STREAMS)
      const refused = yield* Effect.flip(Fiber.join(calls[2 * STREAMS - 1]!))
      assert.strictEqual(refused.status, "RESOURCE_EXHAUSTED")
      yield* Fiber.interruptAll(calls)
    })
  )

  scenario("share a stream again on the next connection", () =>
    Effect.gen(function* () {
      const { client, hold, node, reaches, server, warm } = yield* setUp()
      yield* warm
      for (let i = 0; i < 2; i++) {
        const calls = yield* hold(2 * STREAMS)
        yield* reaches(2 * STREAMS)
        yield* server.admittedPeers.revoke(node.endpointId)
        for (const call of calls) {
          assert.include(["UNAVAILABLE", "PERMISSION_DENIED"], (yield* Effect.flip(Fiber.join(call))).status)
        }
        yield* server.admittedPeers.reinstate(node.endpointId)
        yield* client.echo(new Text({ text: "back" }))
        yield* warm
      }
    })
  )
})
