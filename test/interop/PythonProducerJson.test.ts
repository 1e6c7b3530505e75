import { deepStrictEqual } from "node:assert/strict"
import { AsterClient, ServiceNotOffered } from "@aster-effect/client/AsterClient"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Inner, KitchenJson, Plain } from "../../examples/kitchen-sink/KitchenSink.ts"
import { failure, failureAfter, ourConsumer, TEXT_MIB, UNICODE } from "./OurConsumer.ts"

const sinkProxy = AsterClient.use((aster) => aster.proxy("KitchenSink"))
const jsonProxy = AsterClient.use((aster) => aster.proxy("KitchenJson"))

layer(ourConsumer, { timeout: "5 minutes", excludeTestServices: true })("Our consumer, Python producer, JSON", (it) => {
  it.effect("unary", () =>
    Effect.gen(function* () {
      const sink = yield* sinkProxy
      deepStrictEqual(yield* sink.unary("say_hello", { name: UNICODE }), { message: `Hello, ${UNICODE}!` })
      deepStrictEqual(yield* sink.unary("say_hello"), { message: "Hello, !" })
      deepStrictEqual(yield* sink.unary("text_echo", { text: TEXT_MIB }), { text: TEXT_MIB })
    })
  )

  const plain = {
    flag: true,
    count: -(2 ** 53 - 1),
    ratio: 0.1,
    text: UNICODE,
    tags: ["a", "", UNICODE],
    matrix: [[1, 2], [], [3]],
    scores: { one: 1, ü: 2 },
    note: "note",
    maybe: 0,
    inner: { label: "inner", weight: 1.5 },
    inners: [
      { label: "first", weight: 0.25 },
      { label: "", weight: 0 }
    ],
    maybe_inner: { label: "maybe", weight: 2 },
    anything: { list: [1, "two", null, 4.5, true] }
  }
  const defaults = {
    flag: false,
    count: 0,
    ratio: 0,
    text: "",
    tags: [],
    matrix: [],
    scores: {},
    note: null,
    maybe: null,
    inner: { label: "", weight: 0 },
    inners: [],
    maybe_inner: null,
    anything: null
  }

  it.effect("everything that has a JSON form", () =>
    Effect.gen(function* () {
      const json = yield* jsonProxy
      deepStrictEqual(yield* json.unary("echo", plain), plain)
      deepStrictEqual(yield* json.unary("echo"), defaults)
    })
  )

  it.effect("a typed client", () =>
    Effect.gen(function* () {
      const json = yield* AsterClient.use((aster) => aster.client(KitchenJson, { encoding: "json" }))
      const sent = new Plain({
        ...plain,
        inner: new Inner(plain.inner),
        inners: plain.inners.map((each) => new Inner(each)),
        maybe_inner: new Inner(plain.maybe_inner)
      })
      deepStrictEqual(yield* json.echo(sent), sent)
      deepStrictEqual(yield* json.echo(new Plain({})), new Plain({}))
    })
  )

  it.effect("server stream", () =>
    Effect.gen(function* () {
      const sink = yield* sinkProxy
      deepStrictEqual(yield* Stream.runCollect(sink.serverStream("count", { to: 0 })), [])
      deepStrictEqual(
        yield* Stream.runCollect(sink.serverStream("count", { to: 1_000 })),
        Array.from({ length: 1_000 }, (_, value) => ({ value }))
      )
    })
  )

  it.effect("client stream", () =>
    Effect.gen(function* () {
      const sink = yield* sinkProxy
      deepStrictEqual(yield* sink.clientStream("sum", Stream.empty), { value: 0 })
      deepStrictEqual(yield* sink.clientStream("sum", Stream.make({ value: 40 }, { value: 2 })), { value: 42 })
    })
  )

  it.effect("bidi", () =>
    Effect.gen(function* () {
      const sink = yield* sinkProxy
      deepStrictEqual(yield* Stream.runCollect(sink.bidi("chat", Stream.empty)), [])
      deepStrictEqual(yield* Stream.runCollect(sink.bidi("chat", Stream.make({ name: "a" }, { name: "b" }))), [
        { message: "Hello, a!" },
        { message: "Hello, b!" }
      ])
    })
  )

  it.effect("every pattern, by the contract that is published", () =>
    Effect.gen(function* () {
      const { contract, services } = yield* AsterClient
      const { manifest } = yield* contract("KitchenSink")
      assert.strictEqual(manifest.contractId, services.find(({ name }) => name === "KitchenSink")!.contractId)
      const { call } = yield* sinkProxy
      const hello = { message: "Hello, A!" }
      deepStrictEqual(yield* Stream.runCollect(call("say_hello", { name: "A" })), [hello])
      deepStrictEqual(yield* Stream.runCollect(call("count", { to: 2 })), [{ value: 0 }, { value: 1 }])
      deepStrictEqual(yield* Stream.runCollect(call("sum", Stream.make({ value: 1 }, { value: 2 }))), [{ value: 3 }])
      deepStrictEqual(yield* Stream.runCollect(call("sum", { value: 4 })), [{ value: 4 }])
      deepStrictEqual(yield* Stream.runCollect(call("chat", Stream.make({ name: "A" }, { name: "A" }))), [hello, hello])
      const session = yield* Effect.flatMap(AsterClient, (aster) => aster.sessionProxy("KitchenSession"))
      deepStrictEqual(yield* Stream.runCollect(session.call("count", { to: 2 })), [{ value: 0 }, { value: 1 }])
      deepStrictEqual(yield* Stream.runCollect(session.call("add_all", { value: 3 })), [{ value: 3 }])
    })
  )

  it.effect("metadata", () =>
    Effect.gen(function* () {
      const metadata = { "trace-id": "abc", Ключ: "値" }
      const reply = (yield* (yield* sinkProxy).unary("context", {}, { metadata })) as { readonly message: string }
      const { remaining_ms, metadata: received } = JSON.parse(reply.message)
      deepStrictEqual([received, remaining_ms], [metadata, null])
    })
  )

  // The reference writes the status of a failed handler in Fory, whatever the stream speaks.
  it.effect("errors of handlers", () =>
    Effect.gen(function* () {
      const sink = yield* sinkProxy
      deepStrictEqual(yield* failure(sink.unary("fail", { code: 7, message: UNICODE })), ["PERMISSION_DENIED", UNICODE])
      deepStrictEqual(yield* failure(sink.unary("defect", { name: "World" })), ["UNKNOWN", "a defect for World"])
      deepStrictEqual(yield* failureAfter(sink.serverStream("fail_after", { to: 2 })), {
        delivered: [{ value: 0 }, { value: 1 }],
        status: "FAILED_PRECONDITION",
        message: "failed after 2"
      })
    })
  )

  it.effect("errors of the call", () =>
    Effect.gen(function* () {
      const sink = yield* sinkProxy
      const json = yield* jsonProxy
      const status = (call: Effect.Effect<unknown, RpcError>) => Effect.map(failure(call), ([status]) => status)
      assert.strictEqual(yield* status(sink.unary("no_such_method")), "UNIMPLEMENTED")
      assert.strictEqual(yield* status(sink.unary("say_hello", { name: "x", nmae: "y" })), "CONTRACT_VIOLATION")
      assert.strictEqual(
        yield* status(json.unary("echo", { inner: { label: "x", colour: "y" } })),
        "CONTRACT_VIOLATION"
      )
      assert.strictEqual(
        yield* status(sink.unary("slow", { ms: 20_000 }, { timeout: "300 millis" })),
        "DEADLINE_EXCEEDED"
      )
      const endless = yield* failureAfter(sink.serverStream("endless", {}, { timeout: "2 seconds" }))
      assert.strictEqual(endless.status, "DEADLINE_EXCEEDED")
      const missing = yield* Effect.flip(AsterClient.use((aster) => aster.proxy("NoSuchService")))
      assert.instanceOf(missing, ServiceNotOffered)
    })
  )
})
