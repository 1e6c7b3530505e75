/** Our client in sessions of a Python producer. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import type { Encoding } from "@aster-effect/core/message/MessageCodec"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { CountRequest, FailRequest, Number, SlowRequest } from "../../examples/kitchen-sink/KitchenSink.ts"
import { KitchenSession } from "./KitchenSession.ts"
import { failure, ourConsumer } from "./OurConsumer.ts"

const one = (value: number) => new Number({ value })
const values = (numbers: ReadonlyArray<Number>) => numbers.map(({ value }) => value)
const numbers = (...all: ReadonlyArray<number>) => Stream.fromIterable(all.map(one))

layer(ourConsumer, { excludeTestServices: true, timeout: "5 minutes" })(
  "our consumer, a Python producer, in a session",
  (it) => {
    it.effect.each<Encoding>(["xlang", "json"])("keeps state over calls of every pattern, in %s", (encoding) =>
      Effect.scoped(
        Effect.gen(function* () {
          const session = yield* (yield* AsterClient).session(KitchenSession, { encoding })
          assert.strictEqual((yield* session.add(one(1))).value, 1)
          assert.deepStrictEqual(values(yield* Stream.runCollect(session.count(new CountRequest({ to: 2 })))), [1, 2])
          assert.strictEqual((yield* session.add_all(numbers(10, 20))).value, 31)
          assert.deepStrictEqual(values(yield* Stream.runCollect(session.running(numbers(1, 1)))), [32, 33])
          assert.strictEqual((yield* session.add(one(1))).value, 34)
          const other = yield* (yield* AsterClient).session(KitchenSession, { encoding })
          assert.strictEqual((yield* other.add(one(5))).value, 5)
        })
      )
    )

    it.effect("outlives the errors of handlers and calls that are given up", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const session = yield* (yield* AsterClient).session(KitchenSession)
          const error = yield* failure(session.fail(new FailRequest({ code: 6, message: "already there" })))
          assert.deepStrictEqual(error, ["ALREADY_EXISTS", "already there"])
          const late = yield* failure(session.slow(new SlowRequest({ ms: 20_000 }), { timeout: "300 millis" }))
          assert.strictEqual(late[0], "DEADLINE_EXCEEDED")
          assert.strictEqual((yield* Effect.timeout(session.add(one(1)), "15 seconds")).value, 1)
        })
      )
    )

    it.effect("is over after what ends it at the server: nothing more is sent, nothing waits", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const session = yield* (yield* AsterClient).sessionProxy("KitchenSession")
          assert.strictEqual((yield* failure(session.unary("nobody", {})))[0], "UNIMPLEMENTED")
          const [status, message] = yield* Effect.timeout(failure(session.unary("add", { value: 1 })), "15 seconds")
          assert.strictEqual(status, "UNAVAILABLE")
          assert.include(message, "open another one")
        })
      )
    )

    it.effect("belongs to services that have sessions, and only there", () =>
      Effect.gen(function* () {
        const aster = yield* AsterClient
        const error = yield* Effect.flip(aster.client(KitchenSession))
        assert.strictEqual(error._tag, "ServiceScopeMismatch")
        assert.include(error.message, "open a session")
      })
    )
  }
)
