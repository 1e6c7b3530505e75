import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import type { CallChannel } from "@aster-effect/core/wire/CallChannel"
import * as Caller from "@aster-effect/core/call/Caller"
import * as Control from "@aster-effect/core/wire/Control"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as Frame from "@aster-effect/core/wire/Frame"
import * as Deadline from "@aster-effect/core/interceptor/Deadline"
import type { Interceptor } from "@aster-effect/core/interceptor/Interceptor"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import type { Encoding } from "@aster-effect/core/message/MessageCodec"
import * as Rpc from "@aster-effect/core/service/Rpc"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import {
  Blob,
  CountRequest,
  FailRequest,
  HelloReply,
  HelloRequest,
  KitchenSink,
  KitchenSinkLive,
  Number,
  SlowRequest,
  Text
} from "../../examples/kitchen-sink/KitchenSink.ts"
import { Random } from "../Random.ts"
import { everything } from "./kitchen.ts"

/** A dispatcher of the services that a layer brings. */
const dispatcherOf = (
  layer: Layer.Layer<any>,
  options?: Partial<Dispatcher.DispatcherOptions>
): Effect.Effect<Dispatcher.Dispatcher, Dispatcher.DuplicateService, Scope.Scope> =>
  Effect.flatMap(Layer.build(layer), (context) =>
    Dispatcher.make({ implementations: Service.implementationsIn(context), ...options })
  )

const kitchen = (encoding: Encoding, options?: Partial<Dispatcher.DispatcherOptions>) =>
  Effect.flatMap(dispatcherOf(KitchenSinkLive, options), (dispatcher) =>
    Effect.map(LocalTransport.make(dispatcher, { encoding }), (client) => client(KitchenSink))
  )

const failed = (code: RpcError["status"], message: string) => (error: RpcError) => {
  assert.strictEqual(error.status, code)
  assert.include(error.message, message)
}

describe.each<Encoding>(["xlang", "json"])("calls in %s", (encoding) => {
  it.effect("leave a large message as it is while others follow", () =>
    Effect.gen(function* () {
      const client = yield* kitchen(encoding)
      const random = new Random(7)
      // Not to be compressed: that would make copies.
      const sent = Array.from({ length: 4 }, () => Uint8Array.from({ length: 300_000 }, () => random.below(256)))
      const answers: Array<Blob> = []
      for (const data of sent) answers.push(yield* client.blob_echo(new Blob({ data: new Uint8Array(data) })))
      answers.forEach(({ data }, i) => assert.isTrue(Buffer.from(data).equals(sent[i]!)))
    })
  )

  it.effect("carry every pattern", () =>
    Effect.gen(function* () {
      const client = yield* kitchen(encoding)
      const echoed = yield* client.echo(everything)
      assert.deepStrictEqual(echoed, everything)
      const counted = yield* Stream.runCollect(client.count(new CountRequest({ to: 1000 })))
      assert.deepStrictEqual(
        counted.map(({ value }) => value),
        Array.from({ length: 1000 }, (_, i) => i)
      )
      const numbers = Stream.map(Stream.range(1, 1000), (value) => new Number({ value }))
      assert.deepStrictEqual(yield* client.sum(numbers), new Number({ value: 500_500 }))
      const names = Stream.map(Stream.make("a", "b"), (name) => new HelloRequest({ name }))
      assert.deepStrictEqual(
        yield* Stream.runCollect(client.chat(names)),
        ["a", "b"].map((name) => new HelloReply({ message: `Hello, ${name}!` }))
      )
    })
  )

  it.effect("carry empty streams", () =>
    Effect.gen(function* () {
      const client = yield* kitchen(encoding)
      assert.deepStrictEqual(yield* Stream.runCollect(client.count(new CountRequest({ to: 0 }))), [])
      assert.deepStrictEqual(yield* client.sum(Stream.empty), new Number({ value: 0 }))
      assert.deepStrictEqual(yield* Stream.runCollect(client.chat(Stream.empty)), [])
    })
  )

  it.effect("carry payloads of a megabyte", () =>
    Effect.gen(function* () {
      const client = yield* kitchen(encoding)
      const data = Uint8Array.from({ length: 1024 * 1024 }, (_, i) => (i * 31) ^ (i >> 7))
      assert.deepStrictEqual(yield* client.blob_echo(new Blob({ data })), new Blob({ data }))
      const text = "grüße ".repeat(170_000)
      assert.strictEqual((yield* client.text_echo(new Text({ text }))).text, text)
    })
  )

  it.effect("end with the status the handler chose, after the items it sent", () =>
    Effect.gen(function* () {
      const client = yield* kitchen(encoding)
      const error = yield* Effect.flip(client.fail(new FailRequest({ code: 5, message: "no such dish" })))
      failed("NOT_FOUND", "no such dish")(error)
      const odd = yield* Effect.flip(client.fail(new FailRequest({ code: 999, message: "odd" })))
      failed("CODE_999", "odd")(odd)
      const seen = yield* Ref.make(0)
      const broken = yield* client.fail_after(new CountRequest({ to: 3 })).pipe(
        Stream.runForEach(() => Ref.update(seen, (n) => n + 1)),
        Effect.flip
      )
      failed("FAILED_PRECONDITION", "failed after 3")(broken)
      assert.strictEqual(yield* Ref.get(seen), 3)
    })
  )

  it.effect("never show a defect", () =>
    Effect.gen(function* () {
      const client = yield* kitchen(encoding)
      const error = yield* Effect.flip(client.defect(new HelloRequest({ name: "secret" })))
      assert.deepStrictEqual([error.status, error.message], ["INTERNAL", "internal error"])
    })
  )

  it.effect("end at their deadline, on both sides", () =>
    Effect.gen(function* () {
      const client = yield* kitchen(encoding)
      const call = yield* Effect.forkChild(
        Effect.flip(client.slow(new SlowRequest({ ms: 60_000 }), { timeout: "2 seconds" }))
      )
      yield* TestClock.adjust("2 seconds")
      failed("DEADLINE_EXCEEDED", "deadline exceeded")(yield* Fiber.join(call))
    })
  )

  it.effect("tell the handler about the call", () =>
    Effect.gen(function* () {
      const client = yield* kitchen(encoding)
      const reply = yield* client.context(new HelloRequest({ name: "" }), {
        metadata: { a: "1", ü: "é" },
        timeout: "3 seconds"
      })
      assert.deepStrictEqual(JSON.parse(reply.message), {
        service: "KitchenSink",
        method: "context",
        peer: "local",
        metadata: { a: "1", ü: "é" },
        attributes: {},
        remaining_ms: 3000,
        pattern: "unary"
      })
    })
  )
})

// Services of this file -------------------------------------------------------------------------------------------------

class Text1 extends Wire.Class<Text1>("calls/Text")({ text: Wire.String }) {}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.String, retryAfter: Schema.Int }) {}
const Short = Wire.String.check(Schema.isMaxLength(3))
class Bounded extends Wire.Class<Bounded>("calls/Bounded")({ text: Short }) {}

const Probe = Service.make("Probe").add(
  Rpc.unary("never", { request: Text1, response: Text1 }),
  Rpc.serverStream("streams", { request: Text1, response: Text1 }),
  Rpc.clientStream("collects", { request: Text1, response: Text1 }),
  Rpc.bidi("chats", { request: Text1, response: Text1 }),
  Rpc.unary("find", { request: Text1, response: Text1, error: NotFound }),
  Rpc.unary("bounded", { request: Bounded, response: Bounded }),
  Rpc.unary("scoped", { request: Text1, response: Text1 })
)

/** Handlers that run until they are interrupted, and say so. */
class Journal extends Context.Service<Journal, { readonly note: (text: string) => Effect.Effect<void> }>()(
  "test/Journal"
) {}

const hang = (name: string) =>
  Effect.gen(function* () {
    const journal = yield* Journal
    yield* journal.note(`${name} started`)
    return yield* Effect.onInterrupt(Effect.never, () => journal.note(`${name} interrupted`))
  })

const ProbeLive = Probe.toLayer({
  never: () => hang("never"),
  streams: ({ text }) => Stream.concat(Stream.make(new Text1({ text })), Stream.fromEffect(hang("streams"))),
  collects: (requests) => Effect.andThen(Stream.runDrain(requests), hang("collects")),
  chats: (requests) => Stream.concat(requests, Stream.fromEffect(hang("chats"))),
  find: ({ text }) => Effect.fail(new NotFound({ id: text, retryAfter: 3 })),
  bounded: (request) => Effect.succeed(request),
  scoped: (request) =>
    Effect.gen(function* () {
      const journal = yield* Journal
      yield* Effect.addFinalizer(() => journal.note("scope closed"))
      return request
    })
})

const probe = Effect.gen(function* () {
  const notes = yield* Ref.make<ReadonlyArray<string>>([])
  const note = (text: string) => Ref.update(notes, (all) => [...all, text])
  const dispatcher = yield* dispatcherOf(ProbeLive.pipe(Layer.provide(Layer.succeed(Journal, { note }))))
  const client = (yield* LocalTransport.make(dispatcher))(Probe)
  /** The notes, once there are as many as that. */
  const until = (count: number) =>
    Effect.repeat(Effect.andThen(Effect.yieldNow, Ref.get(notes)), { until: (all) => all.length >= count })
  return { client, notes: Ref.get(notes), until }
})

const text = (value: string) => new Text1({ text: value })

describe("cancellation", () => {
  it.effect("interrupting the client interrupts the handler, whatever the pattern", () =>
    Effect.gen(function* () {
      const { client, until } = yield* probe
      const calls: ReadonlyArray<Effect.Effect<unknown, RpcError>> = [
        client.never(text("")),
        Stream.runDrain(client.streams(text(""))),
        client.collects(Stream.make(text("a"))),
        Stream.runDrain(client.chats(Stream.make(text("a"))))
      ]
      for (const [i, call] of calls.entries()) {
        const fiber = yield* Effect.forkChild(call)
        yield* until(2 * i + 1)
        yield* Fiber.interrupt(fiber)
        yield* until(2 * i + 2)
      }
      assert.deepStrictEqual(
        yield* until(8),
        ["never", "streams", "collects", "chats"].flatMap((name) => [`${name} started`, `${name} interrupted`])
      )
    })
  )

  it.effect("taking part of a stream ends the handler", () =>
    Effect.gen(function* () {
      const { client, until } = yield* probe
      const [first] = yield* Stream.runCollect(Stream.take(client.streams(text("one")), 1))
      assert.deepStrictEqual(first, text("one"))
      assert.deepStrictEqual(yield* until(2), ["streams started", "streams interrupted"])
    })
  )

  it.effect("a failing request stream fails the call with its own error", () =>
    Effect.gen(function* () {
      const { client, notes } = yield* probe
      const error = yield* Effect.flip(
        client.collects(Stream.concat(Stream.make(text("a")), Stream.fail("mine" as const)))
      )
      assert.strictEqual(error, "mine")
      const streamed = yield* Effect.flip(Stream.runDrain(client.chats(Stream.fail("mine" as const))))
      assert.strictEqual(streamed, "mine")
      assert.notInclude(yield* notes, "collects started")
    })
  )

  it.effect("a handler's scope closes with the call", () =>
    Effect.gen(function* () {
      const { client, until } = yield* probe
      yield* client.scoped(text(""))
      assert.deepStrictEqual(yield* until(1), ["scope closed"])
    })
  )
})

describe("errors", () => {
  it.effect("declared errors arrive as they were", () =>
    Effect.gen(function* () {
      const { client } = yield* probe
      const error = yield* Effect.flip(client.find(text("x-1")))
      assert.deepStrictEqual(error, new NotFound({ id: "x-1", retryAfter: 3 }))
    })
  )

  it.effect("checks of a schema hold on both sides", () =>
    Effect.gen(function* () {
      const { client } = yield* probe
      assert.deepStrictEqual(yield* client.bounded(new Bounded({ text: "abc" })), new Bounded({ text: "abc" }))
      const local = yield* Effect.flip(client.bounded({ text: "abcd" } as Bounded))
      failed("INVALID_ARGUMENT", "the request")(local)
    })
  )

  it.effect("requests that do not fit their type cost no call", () =>
    Effect.gen(function* () {
      const { client, notes } = yield* probe
      const error = yield* Effect.flip(client.never({ text: 7 } as unknown as Text1))
      failed("INVALID_ARGUMENT", "the request")(error)
      assert.deepStrictEqual(yield* notes, [])
    })
  )

  it.effect("metadata beyond the limits is refused before anything is sent", () =>
    Effect.gen(function* () {
      const { client } = yield* probe
      const tooMany = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""]))
      for (const metadata of [
        tooMany,
        { ["k".repeat(257)]: "" },
        { k: "v".repeat(4097) },
        { a: "ü".repeat(4096), b: "x" }
      ]) {
        failed(
          "RESOURCE_EXHAUSTED",
          "metadata exceeds limits"
        )(yield* Effect.flip(client.never(text(""), { metadata })))
      }
    })
  )

  it.effect("two implementations of one service and version are refused", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(KitchenSinkLive)
      const [implementation] = Service.implementationsIn(context)
      const error = yield* Effect.flip(Dispatcher.make({ implementations: [implementation!, implementation!] }))
      assert.strictEqual(error.message, "service KitchenSink v1 is provided twice; give one of them another version")
    })
  )
})

describe("interceptors", () => {
  it.effect("surround a call on the server in order, once, before the request is read", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const named =
        (name: string): Interceptor =>
        (call, next) =>
          Effect.ensuring(
            Effect.suspend(() => (seen.push(`${name} ${call.pattern}`), next(call))),
            Effect.sync(() => seen.push(`${name} done`))
          )
      const client = yield* kitchen("xlang", { interceptors: [named("outer"), named("inner")] })
      yield* client.say_hello(new HelloRequest({ name: "x" }))
      yield* Stream.runDrain(client.count(new CountRequest({ to: 3 })))
      assert.deepStrictEqual(
        seen,
        ["unary", "server_stream"].flatMap((pattern) => [
          `outer ${pattern}`,
          `inner ${pattern}`,
          "inner done",
          "outer done"
        ])
      )
    })
  )

  it.effect("may answer in place of the handler", () =>
    Effect.gen(function* () {
      const deny: Interceptor = () => Effect.fail(RpcError.of("PERMISSION_DENIED", "not today"))
      const client = yield* kitchen("xlang", { interceptors: [deny] })
      failed("PERMISSION_DENIED", "not today")(yield* Effect.flip(client.say_hello(new HelloRequest({ name: "x" }))))
      failed(
        "PERMISSION_DENIED",
        "not today"
      )(yield* Effect.flip(Stream.runDrain(client.count(new CountRequest({ to: 3 })))))
    })
  )

  it.effect("of a client may change what it sends, and retry", () =>
    Effect.gen(function* () {
      const dispatcher = yield* dispatcherOf(KitchenSinkLive)
      let attempts = 0
      const flaky: Interceptor = (call, next) =>
        Effect.andThen(
          Effect.suspend(() => (++attempts < 3 ? Effect.fail(RpcError.of("UNAVAILABLE", "try again")) : Effect.void)),
          next(call)
        )
      const retrying: Interceptor = (call, next) => Effect.retry(next(call), { times: 5 })
      const tagging: Interceptor = (call, next) => next({ ...call, metadata: new Map([["tag", "t"]]) })
      const client = yield* LocalTransport.make(dispatcher, { interceptors: [retrying, tagging, flaky] })
      const reply = yield* client(KitchenSink).context(new HelloRequest({ name: "" }))
      assert.deepStrictEqual(JSON.parse(reply.message).metadata, { tag: "t" })
      assert.strictEqual(attempts, 3)
    })
  )

  it.effect("the default one refuses calls that arrive too late", () =>
    Effect.gen(function* () {
      const run = (deadline: number) =>
        Effect.flip(Deadline.make()({ ...blankCall, deadline }, () => Effect.die("reached")))
      yield* TestClock.setTime(1_000_000)
      assert.strictEqual((yield* run(999_999)).message, "deadline exceeded")
      assert.include((yield* run(990_000)).message, "already expired on receipt")
    })
  )
})

const blankCall = {
  service: "S",
  version: 1,
  method: "m",
  pattern: "unary",
  idempotent: false,
  callId: "",
  peer: "local",
  metadata: new Map<string, string>(),
  attributes: new Map<string, string>(),
  deadline: undefined
} as const

// Bytes on a channel ----------------------------------------------------------------------------------------------------

const header = (fields: Partial<Control.StreamHeader>, encoding: Encoding = "json") =>
  Frame.encode(
    Control.encodeHeader(
      {
        service: "KitchenSink",
        method: "say_hello",
        version: 1,
        callId: "",
        deadlineEpochMs: 0,
        serializationMode: Control.SERIALIZATION_MODE[encoding],
        metadataKeys: [],
        metadataValues: [],
        ...fields
      },
      encoding
    ),
    Frame.HEADER
  )
const data = (json: string, flags = 0) => Frame.encode(new TextEncoder().encode(json), flags)

/** Everything the server answers. */
const answers = Effect.fnUntraced(function* (channel: CallChannel) {
  const decoder = new Frame.FrameDecoder()
  for (let bytes = yield* channel.receive; bytes !== undefined; bytes = yield* channel.receive) decoder.push(bytes)
  const frames: Array<Frame.Frame> = []
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame)
  return frames
})

const raw = Effect.fnUntraced(function* (
  chunks: ReadonlyArray<Uint8Array>,
  options?: { readonly finish?: boolean; readonly dispatcher?: Partial<Dispatcher.DispatcherOptions> }
) {
  const dispatcher = yield* dispatcherOf(KitchenSinkLive, options?.dispatcher)
  const [client, server] = LocalTransport.pair()
  yield* Effect.forkScoped(dispatcher.handle(server, Dispatcher.LOCAL))
  for (const chunk of chunks) yield* client.send(chunk)
  if (options?.finish !== false) yield* client.finish
  return yield* answers(client)
})

const statusIn = (frames: ReadonlyArray<Frame.Frame>) => {
  const last = frames.at(-1)
  assert(last !== undefined && (last.flags & Frame.TRAILER) !== 0)
  return { ...Control.decodeStatus(last.payload), encoding: Control.encodingOf(last.payload) }
}

describe("bytes", () => {
  it.effect("a call may come in any chunks", () =>
    Effect.gen(function* () {
      const bytes = Buffer.concat([header({}), data('{"name":"World"}')])
      const chunks = Array.from(bytes, (byte) => Uint8Array.of(byte))
      const [reply, trailer] = yield* raw(chunks)
      assert.strictEqual(new TextDecoder().decode(reply!.payload), '{"message":"Hello, World!"}')
      assert.strictEqual(
        new TextDecoder().decode(trailer!.payload),
        '{"code":0,"message":"","detailKeys":[],"detailValues":[]}'
      )
    })
  )

  it.effect("a unary call is answered before the client finishes", () =>
    Effect.gen(function* () {
      const frames = yield* raw([header({}), data('{"name":"x"}')], { finish: false })
      assert.strictEqual(statusIn(frames).code, 0)
    })
  )

  it.effect("a silent stream is given up after the request time limit", () =>
    Effect.gen(function* () {
      const reply = yield* Effect.forkChild(Effect.exit(raw([Uint8Array.of(9)], { finish: false })))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(reply))._tag, "Failure")
    })
  )

  it.effect("a header without request is answered DEADLINE_EXCEEDED", () =>
    Effect.gen(function* () {
      const reply = yield* Effect.forkChild(raw([header({})], { finish: false }))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(statusIn(yield* Fiber.join(reply)).code, 4)
    })
  )

  it.effect("XLANG streams are answered in XLANG, errors included", () =>
    Effect.gen(function* () {
      const unknown = statusIn(yield* raw([header({ method: "nope" }, "xlang")]))
      assert.deepStrictEqual([unknown.code, unknown.encoding], [12, "xlang"])
      const garbage = statusIn(yield* raw([header({}, "xlang"), data("{}")]))
      assert.deepStrictEqual([garbage.code, garbage.encoding], [3, "xlang"])
    })
  )

  it.effect("a missing trailer is UNAVAILABLE", () =>
    Effect.gen(function* () {
      const [client, server] = LocalTransport.pair()
      yield* Effect.forkScoped(
        Effect.andThen(server.receive, Effect.andThen(server.send(data('{"message":"x"}')), server.finish))
      )
      const calls = Caller.make(KitchenSink, {
        open: () => Effect.succeed(client),
        peer: "local",
        version: 1,
        encoding: "json"
      })
      failed("UNAVAILABLE", "without a status")(yield* Effect.flip(calls.say_hello(new HelloRequest({ name: "" }))))
    })
  )

  it.effect("JSON clients read XLANG trailers", () =>
    Effect.gen(function* () {
      const [client, server] = LocalTransport.pair()
      const status = Control.encodeStatus({ ...Control.OK, code: 5, message: "[NOT_FOUND] nf" }, "xlang")
      yield* Effect.forkScoped(
        Effect.andThen(server.receive, Effect.andThen(server.send(Frame.encode(status, Frame.TRAILER)), server.finish))
      )
      const calls = Caller.make(KitchenSink, {
        open: () => Effect.succeed(client),
        peer: "local",
        version: 1,
        encoding: "json"
      })
      const error = yield* Effect.flip(calls.say_hello(new HelloRequest({ name: "" })))
      assert.deepStrictEqual([error.status, error.message], ["NOT_FOUND", "nf"])
    })
  )
})

describe("version fallback", () => {
  const versioned = (version: number) =>
    Service.make("Versioned", { version }).add(Rpc.unary("say", { request: Text1, response: Text1 }))
  const live = (version: number) =>
    versioned(version).toLayer({ say: () => Effect.map(CallContext, (call) => text(String(call.version))) })
  const call = (layer: Layer.Layer<any>, options?: Partial<Dispatcher.DispatcherOptions>) =>
    Effect.gen(function* () {
      const dispatcher = yield* Effect.orDie(dispatcherOf(layer, options))
      const client = (yield* LocalTransport.make(dispatcher))(versioned(1))
      return yield* client.say(text(""))
    })

  it.effect("serves version 1 by the only version there is", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* call(live(2)), text("2"))
      assert.deepStrictEqual(yield* call(Layer.mergeAll(live(1), live(2))), text("1"))
      failed("NOT_FOUND", "v1 not found")(yield* Effect.flip(call(Layer.mergeAll(live(2), live(3)))))
      failed("NOT_FOUND", "v1 not found")(yield* Effect.flip(call(live(2), { versionFallback: false })))
    })
  )
})

describe("the clock of deadlines", () => {
  it.effect("a handler never runs longer than the server allows", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const client = yield* kitchen("xlang", { handlerTimeout: "5 seconds" })
      const before = yield* Clock.currentTimeMillis
      const fiber = yield* Effect.forkChild(
        Effect.andThen(
          Deferred.succeed(started, undefined),
          Effect.flip(client.slow(new SlowRequest({ ms: 3_600_000 })))
        )
      )
      yield* Deferred.await(started)
      yield* TestClock.adjust("5 seconds")
      failed("DEADLINE_EXCEEDED", "ran for more than 5 s")(yield* Fiber.join(fiber))
      assert.strictEqual((yield* Clock.currentTimeMillis) - before, 5000)
    })
  )
})
