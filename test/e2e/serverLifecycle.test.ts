/** Starting and ending of a server on real sockets. */
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import { HelloRequest, KitchenSink } from "../../examples/kitchen-sink/KitchenSink.ts"
import { bare, consume, kitchen, loopback, serve } from "../faults/Kitchen.ts"

const quietly = <E>(body: Effect.Effect<void, E, Scope.Scope>) =>
  Effect.provideService(body, References.MinimumLogLevel, "None")

describe("a server", () => {
  for (const [bindAddress, advice] of [
    ["nowhere", "Write an IP address and a port"],
    ["192.0.2.1:0", "No network interface of this machine has the address"]
  ] as const) {
    it.live(`that cannot bind ${bindAddress} says what to do`, () =>
      quietly(
        Effect.gen(function* () {
          const error = yield* Effect.flip(serve({ node: { ...loopback, bindAddress } }))
          assert.strictEqual(error._tag, "BindError")
          assert.include(error.message, advice)
        })
      )
    )
  }

  it.live("gives its port back with its scope, and when it does not start", () =>
    quietly(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const first = yield* Scope.provide(serve(), scope)
        const bindAddress = first.directAddresses.find((address) => address.startsWith("127.0.0.1:"))
        const again = { node: { ...loopback, bindAddress } }
        assert.isDefined(bindAddress)
        assert.strictEqual((yield* Effect.flip(serve(again)))._tag, "BindError")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Effect.flip(Effect.scoped(serve(again, Layer.empty))))._tag, "NoServices")
        const server = yield* serve(again)
        const client = yield* Effect.flatMap(consume(server), (consumer) => consumer.client(KitchenSink))
        assert.strictEqual((yield* client.say_hello(new HelloRequest({ name: "x" }))).message, "Hello, x!")
      })
    )
  )

  it.live("does not wait long for a relay that cannot be reached", () =>
    quietly(
      Effect.gen(function* () {
        const node = { bindAddress: "127.0.0.1:0", relayMode: { custom: ["https://127.0.0.1:1"] } }
        const layer = AsterServer.layer({ config: bare, node }).pipe(Layer.provide(kitchen))
        const [taken] = yield* Effect.timed(Layer.build(layer))
        assert.isBelow(Duration.toMillis(taken), 30_000)
      })
    )
  )
})
