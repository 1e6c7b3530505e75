import { deepStrictEqual } from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { AdmissionDenied, AsterClient, ServiceNotOffered } from "@aster-effect/client/AsterClient"
import * as Caller from "@aster-effect/core/call/Caller"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { StatusCode } from "@aster-effect/core/wire/Status"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import * as IrohChannel from "@aster-effect/transport/IrohChannel"
import { assert, layer } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  Blob,
  CountRequest,
  Everything,
  FailRequest,
  HelloReply,
  HelloRequest,
  Inner,
  KitchenJson,
  KitchenSink,
  Number,
  SlowRequest,
  Text,
  Widths
} from "../../examples/kitchen-sink/KitchenSink.ts"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { TaskRequest, TaskResponse, TaskRunner } from "../../examples/task-runner/TaskRunner.ts"
import { KitchenSession } from "./KitchenSession.ts"
import { failure, failureAfter, ourConsumer, TEXT_MIB, UNICODE } from "./OurConsumer.ts"
import { PythonReference } from "./PythonReference.ts"

const kitchen = AsterClient.use((aster) => aster.client(KitchenSink))

const numbers = (...values: ReadonlyArray<number>) => values.map((value) => new Number({ value }))
const hello = (...names: ReadonlyArray<string>) => names.map((name) => new HelloRequest({ name }))
const greetings = (...names: ReadonlyArray<string>) =>
  names.map((name) => new HelloReply({ message: `Hello, ${name}!` }))

const text = Schema.String.check(Schema.makeFilter((text) => text.isWellFormed()))
// A Python int has no minus zero.
const int = Schema.Int.check(Schema.makeFilter((int) => !Object.is(int, -0)))
const year = 31_556_952_000
const date = Schema.Int.check(Schema.isBetween({ minimum: -1_900 * year, maximum: 7_900 * year }))
const { big, blob, color, flag, numbers: wideInts, ratio } = Everything.fields
const inner = Schema.Struct({ label: text, weight: ratio })

const anyEverything = Arbitrary.schema(
  Schema.Struct({
    flag,
    count: int,
    big,
    ratio,
    text,
    blob,
    numbers: wideInts,
    color,
    inner,
    at: date,
    day: date,
    tags: Schema.Array(text),
    matrix: Schema.Array(Schema.Array(int)),
    names: Schema.Array(text),
    scores: Schema.Record(text, int),
    index: Schema.Array(Schema.Tuple([int, text])),
    note: Schema.NullOr(text),
    maybe: Schema.NullOr(int),
    inners: Schema.Array(inner),
    by_name: Schema.Record(text, inner),
    maybe_inner: Schema.NullOr(inner),
    anything: Schema.Union([text, Schema.Null, Schema.Boolean, Schema.Array(Schema.NullOr(text)), ratio])
  })
).pipe(
  Arbitrary.map(
    ({ at, by_name, day, index, inner, inners, maybe_inner, names, ...rest }) =>
      new Everything({
        ...rest,
        names: new Set(names),
        index: new Map(index),
        inner: new Inner(inner),
        inners: inners.map((each) => new Inner(each)),
        by_name: Object.fromEntries(Object.entries(by_name).map(([name, each]) => [name, new Inner(each)])),
        maybe_inner: maybe_inner === null ? null : new Inner(maybe_inner),
        at: new Date(at),
        day: new Date(Math.floor(day / 86_400_000) * 86_400_000)
      })
  )
)

layer(ourConsumer, { timeout: "5 minutes", excludeTestServices: true })("Our consumer, Python producer", (it) => {
  it.effect("admission tells the services, with the contract ids of our definitions", () =>
    Effect.gen(function* () {
      const { services } = yield* AsterClient
      deepStrictEqual(
        services.map(({ contractId, name, pattern, version }) => [name, version, pattern, contractId]),
        [KitchenSink, KitchenJson, KitchenSession, TaskRunner].map(({ contract, name, scope, version }) => [
          name,
          version,
          scope,
          contract.contractId
        ])
      )
    })
  )

  it.effect("a gate that is closed denies admission", () =>
    Effect.gen(function* () {
      const { producer } = yield* PythonReference
      const { endpoint_id, address } = yield* producer(["--root-pubkey", "00".repeat(32)])
      const error = yield* Effect.flip(Layer.build(AsterClient.layer({ address, node: loopback })))
      assert.instanceOf(error, AdmissionDenied)
      assert.strictEqual(error.endpointId, endpoint_id)
    })
  )

  it.effect("a base64 node address is as good as a ticket", () =>
    Effect.gen(function* () {
      const { producer } = yield* PythonReference
      const { endpoint_addr_b64: address } = yield* producer()
      const context = yield* Layer.build(AsterClient.layer({ address, node: loopback }))
      const sink = yield* Effect.provide(kitchen, context)
      deepStrictEqual([yield* sink.say_hello(hello("base64")[0]!)], greetings("base64"))
    })
  )

  it.effect("a service that is not offered", () =>
    Effect.gen(function* () {
      const aster = yield* AsterClient
      const error = yield* Effect.flip(aster.client(Service.make("KitchenSink", { version: 2 })))
      assert.instanceOf(error, ServiceNotOffered)
      assert.strictEqual(
        error.message,
        "the producer does not offer KitchenSink v2; it offers KitchenSink v1, KitchenJson v1, KitchenSession v1, TaskRunner v2"
      )
    })
  )

  const echoes = (sent: Everything) =>
    Effect.gen(function* () {
      const received = yield* (yield* kitchen).echo(sent)
      deepStrictEqual(received, sent)
    })

  it.effect("every wire kind", () =>
    echoes(
      new Everything({
        flag: true,
        count: -42,
        big: -(2n ** 63n),
        ratio: -0.1,
        text: UNICODE,
        blob: Uint8Array.from(Array(256).keys()),
        tags: ["a", "", UNICODE],
        numbers: [0n, -1n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 63n - 1n],
        matrix: [[1, 2], [], [3]],
        names: new Set(["x", "ü"]),
        scores: { one: 1, two: 2 },
        index: new Map([
          [1, "one"],
          [-2, "minus two"]
        ]),
        note: "note",
        maybe: 0,
        color: "blue",
        inner: new Inner({ label: "inner", weight: 1.5 }),
        inners: [new Inner({ label: "first", weight: 0.25 }), new Inner({ label: "", weight: Infinity })],
        by_name: { k: new Inner({ label: "value", weight: -0 }) },
        maybe_inner: new Inner({ label: "maybe", weight: 2 }),
        at: new Date("2024-02-29T23:59:59.123Z"),
        day: new Date("2024-02-29"),
        anything: {
          list: [1, "two", null, 4.5, true],
          bytes: Uint8Array.of(0, 255),
          inner: new Inner({ label: "any", weight: 3 })
        }
      })
    )
  )

  it.effect("every default", () => echoes(new Everything({})))

  it.effect("the ends of every range", () =>
    Effect.gen(function* () {
      const { MAX_SAFE_INTEGER, MIN_SAFE_INTEGER, MAX_VALUE, MIN_VALUE } = globalThis.Number
      for (const edges of [
        { count: MAX_SAFE_INTEGER, big: 2n ** 63n - 1n, ratio: NaN, at: new Date("9999-12-31T23:59:59.999Z") },
        { count: MIN_SAFE_INTEGER, big: -(2n ** 63n) + 1n, ratio: -Infinity, at: new Date("0001-01-01T00:00:00.000Z") },
        { maybe: -1, ratio: -0, day: new Date("9999-12-31"), anything: 2n ** 63n - 1n },
        { maybe: 2 ** 31, ratio: MIN_VALUE, day: new Date("0001-01-01"), anything: [-(2n ** 63n), -0, NaN] },
        { ratio: MAX_VALUE, at: new Date(-1), anything: new Set(["a", 1, null]) },
        { text: "a".repeat(5_000), blob: new Uint8Array(5_000), numbers: Array(5_000).fill(-1n) }
      ]) {
        yield* echoes(new Everything(edges))
      }
    })
  )

  it.effect("numbers of every width, at the ends of their range", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      for (const widths of [
        {},
        {
          int8: -(2 ** 7),
          int16: -(2 ** 15),
          int32: -(2 ** 31),
          uint8: 2 ** 8 - 1,
          uint16: 2 ** 16 - 1,
          uint32: 2 ** 32 - 1,
          uint64: 2n ** 63n - 1n,
          float32: -0.5,
          maybe: 2 ** 31 - 1,
          list: [0, -(2 ** 15), 2 ** 15 - 1],
          map: { "": 0.25, ü: Infinity }
        },
        { int8: 2 ** 7 - 1, int16: 2 ** 15 - 1, int32: 2 ** 31 - 1, float32: Math.fround(1e-40), maybe: -(2 ** 31) }
      ]) {
        const sent = new Widths(widths)
        deepStrictEqual(yield* sink.widths_echo(sent), sent)
      }
    })
  )

  it.effect.prop("anything comes back equal", [anyEverything], ([sent]) => echoes(sent), { arbitrary: { runs: 200 } })

  it.effect("1 MiB of bytes and of text", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      const data = new Uint8Array(randomBytes(1_048_576))
      assert.isTrue(Buffer.from(data).equals((yield* sink.blob_echo(new Blob({ data }))).data))
      assert.isTrue((yield* sink.text_echo(new Text({ text: TEXT_MIB }))).text === TEXT_MIB)
    })
  )

  it.effect("unary", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      const replies = yield* Effect.forEach(hello("World", "", UNICODE), (request) => sink.say_hello(request))
      deepStrictEqual(replies, greetings("World", "", UNICODE))
    })
  )

  it.effect("server stream", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      for (const to of [0, 1, 5, 10_000]) {
        deepStrictEqual(yield* Stream.runCollect(sink.count(new CountRequest({ to }))), numbers(...Array(to).keys()))
      }
    })
  )

  it.effect("client stream", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      for (const values of [[], [1, 2, 39], [...Array(10_000).keys()]]) {
        deepStrictEqual(
          yield* sink.sum(Stream.fromIterable(numbers(...values))),
          new Number({ value: values.reduce((a, b) => a + b, 0) })
        )
      }
    })
  )

  it.effect("bidi: each reply comes before the next request is sent", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      const requests = yield* Queue.unbounded<HelloRequest, Cause.Done>()
      const replies = yield* Stream.toPull(sink.chat(Stream.fromQueue(requests)))
      for (const name of ["a", "b", UNICODE]) {
        yield* Queue.offerAll(requests, hello(name))
        deepStrictEqual(yield* replies, greetings(name))
      }
      yield* Queue.end(requests)
      assert.isTrue(Cause.isDone(yield* Effect.flip(replies)))
    })
  )

  it.effect("bidi: nothing at all, and everything at once", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      const names = Array.from({ length: 2_000 }, (_, index) => `${index}`)
      deepStrictEqual(yield* Stream.runCollect(sink.chat(Stream.empty)), [])
      deepStrictEqual(yield* Stream.runCollect(sink.chat(Stream.fromIterable(hello(...names)))), greetings(...names))
    })
  )

  it.effect("a service in version 2", () =>
    Effect.gen(function* () {
      const tasks = yield* AsterClient.use((aster) => aster.client(TaskRunner))
      deepStrictEqual(
        yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" })),
        new TaskResponse({ status: "completed", result: "Processed t-1" })
      )
    })
  )

  it.effect("metadata and the deadline reach the handler", () =>
    Effect.gen(function* () {
      const metadata = { "trace-id": "abc", Ключ: "値" }
      const reply = yield* (yield* kitchen).context(new HelloRequest({}), { metadata, timeout: "60 seconds" })
      const { remaining_ms, ...context } = JSON.parse(reply.message)
      assert.isTrue(remaining_ms > 50_000 && remaining_ms <= 60_000, `${remaining_ms} ms remain`)
      deepStrictEqual(context, {
        service: "KitchenSink",
        method: "context",
        peer: (yield* AsterClient).node.endpointId,
        metadata,
        attributes: {},
        pattern: "unary"
      })
    })
  )

  it.effect("errors of every status", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      for (const [status, code] of Object.entries(StatusCode)) {
        if (code === 0) continue
        const message = `${status} ${UNICODE}`
        deepStrictEqual(yield* failure(sink.fail(new FailRequest({ code, message }))), [status, message])
      }
    })
  )

  it.effect("an error after some items", () =>
    Effect.gen(function* () {
      deepStrictEqual(yield* failureAfter((yield* kitchen).fail_after(new CountRequest({ to: 3 }))), {
        delivered: numbers(0, 1, 2),
        status: "FAILED_PRECONDITION",
        message: "failed after 3"
      })
    })
  )

  it.effect("an exception of the handler", () =>
    Effect.gen(function* () {
      const defect = (yield* kitchen).defect(new HelloRequest({ name: "World" }))
      deepStrictEqual(yield* failure(defect), ["UNKNOWN", "a defect for World"])
    })
  )

  it.effect("a failure of the caller's own requests", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      const requests = Stream.concat(Stream.fromIterable(numbers(1, 2)), Stream.fail("out of numbers" as const))
      assert.strictEqual(yield* Effect.flip(sink.sum(requests)), "out of numbers")
      deepStrictEqual(yield* sink.sum(Stream.fromIterable(numbers(1, 2))), new Number({ value: 3 }))
    })
  )

  it.effect("deadlines", () =>
    Effect.gen(function* () {
      const sink = yield* kitchen
      const start = yield* Clock.currentTimeMillis
      const [late] = yield* failure(sink.slow(new SlowRequest({ ms: 20_000 }), { timeout: "2 seconds" }))
      assert.strictEqual(late, "DEADLINE_EXCEEDED")
      const endless = yield* failureAfter(sink.endless(new CountRequest({ to: 0 }), { timeout: "2 seconds" }))
      assert.strictEqual(endless.status, "DEADLINE_EXCEEDED")
      assert.isAbove(endless.delivered.length, 0)
      const [stalled] = yield* failure(sink.sum(Stream.never, { timeout: "2 seconds" }))
      assert.strictEqual(stalled, "DEADLINE_EXCEEDED")
      assert.isBelow((yield* Clock.currentTimeMillis) - start, 20_000)
      const inTime = yield* sink.slow(new SlowRequest({ ms: 10 }), { timeout: "10 seconds" })
      assert.strictEqual(inTime.message, "slept 10 ms")
    })
  )

  it.effect("a method, a service, a version and a scope that the producer does not know", () =>
    Effect.gen(function* () {
      const { node, services } = yield* AsterClient
      const connection = yield* node.connect(NodeAddr.parse(services[0]!.channels["rpc"]!), RpcConnection.ALPN)
      const call = (service: string, method: string, version: number) => {
        const definition = Service.make(service).add(Rpc.unary("call", { request: Number, response: Number }))
        const open = Effect.map(Effect.orDie(connection.openBi), (stream) => IrohChannel.make(stream, "client"))
        const rpc = { ...definition.methods[0]!, name: method }
        return Effect.map(
          failure(
            Caller.make({ ...definition, methods: [rpc] }, { open: () => open, peer: "python", version })[method]!(
              new Number({})
            )
          ),
          ([status]) => status
        )
      }
      assert.strictEqual(yield* call("KitchenSink", "no_such_method", 1), "UNIMPLEMENTED")
      assert.strictEqual(yield* call("NoSuchService", "say_hello", 1), "NOT_FOUND")
      assert.strictEqual(yield* call("KitchenSink", "say_hello", 2), "NOT_FOUND")
      assert.strictEqual(yield* call("KitchenSession", "add", 1), "FAILED_PRECONDITION")
    })
  )

  it.effect("a request of another type", () =>
    Effect.gen(function* () {
      const Confused = Service.make("KitchenSink").add(Rpc.unary("say_hello", { request: Blob, response: HelloReply }))
      const confused = yield* AsterClient.use((aster) => aster.client(Confused))
      const [status] = yield* failure(confused.say_hello(new Blob({})))
      assert.strictEqual(status, "UNKNOWN")
    })
  )
})
