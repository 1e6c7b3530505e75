/** Services of session scope: one stream, one instance, one call after another. */
import * as Caller from "@aster-effect/core/call/Caller"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as Wire from "@aster-effect/core/message/Wire"
import type { Encoding } from "@aster-effect/core/message/MessageCodec"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import type { CallChannel } from "@aster-effect/core/wire/CallChannel"
import * as Control from "@aster-effect/core/wire/Control"
import * as Frame from "@aster-effect/core/wire/Frame"
import { FrameReader } from "@aster-effect/core/wire/FrameReader"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

class Item extends Wire.Class<Item>("session/Item")({ n: Wire.Int }) {}

const Counter = Service.make("Counter", { scope: "session" }).add(
  Rpc.unary("add", { request: Item, response: Item }),
  Rpc.serverStream("upTo", { request: Item, response: Item }),
  Rpc.clientStream("addAll", { request: Item, response: Item }),
  Rpc.bidi("running", { request: Item, response: Item })
)

const item = (n: number) => new Item({ n })
const items = (...numbers: ReadonlyArray<number>) => Stream.fromIterable(numbers.map(item))

const setUp = Effect.gen(function* () {
  const events: Array<string> = []
  const live = Counter.toLayer(
    Effect.gen(function* () {
      let total = 0
      yield* Effect.acquireRelease(
        Effect.sync(() => events.push("opened")),
        () => Effect.sync(() => events.push(`closed at ${total}`))
      )
      const add = (n: number) => item((total += n))
      return {
        add: ({ n }: Item) =>
          n === 13
            ? Effect.fail(RpcError.of("OUT_OF_RANGE", "thirteen"))
            : n === 9
              ? Effect.fail(RpcError.of("FAILED_PRECONDITION", "nine"))
              : n === 99
                ? Effect.onInterrupt(
                    Effect.andThen(
                      Effect.sync(() => events.push("asked for 99")),
                      Effect.never
                    ),
                    () => Effect.sync(() => events.push("interrupted"))
                  )
                : Effect.sync(() => add(n)),
        upTo: ({ n }: Item) => Stream.map(Stream.range(1, n), item),
        addAll: (requests: Stream.Stream<Item, RpcError>) =>
          Effect.map(
            Stream.runForEach(requests, ({ n }) => Effect.sync(() => add(n))),
            () => item(total)
          ),
        running: (requests: Stream.Stream<Item, RpcError>) => Stream.map(requests, ({ n }) => add(n))
      }
    })
  )
  const context = yield* Layer.build(live)
  const dispatcher = yield* Dispatcher.make({ implementations: Service.implementationsIn(context) })
  const draining = yield* Deferred.make<void>()
  const open = Effect.gen(function* () {
    const [client, server] = LocalTransport.pair()
    const peer = { ...Dispatcher.LOCAL, draining: Deferred.await(draining) }
    const serving = yield* Effect.forkDetach(dispatcher.handle(server, peer))
    return { client, serving }
  })
  const session = (encoding: Encoding) =>
    Caller.session(Counter, {
      open: () => Effect.map(open, ({ client }) => client),
      peer: "local",
      version: 1,
      encoding
    })
  return { draining, events, open, session }
})

/** Waits until something is so, in real time. */
const until = (condition: () => boolean) =>
  Effect.repeat(
    Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5))),
    { until: condition }
  )

it.effect("a session that does not come about can be given up", () =>
  Effect.gen(function* () {
    const begun = yield* Deferred.make<void>()
    const open = () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
    const session = Caller.session(Counter, { open, peer: "nobody", version: 1 })
    const opening = yield* Effect.forkChild(Effect.scoped(session))
    yield* Deferred.await(begun)
    yield* Fiber.interrupt(opening)
  })
)

describe.each<Encoding>(["xlang", "json"])("a session in %s", (encoding) => {
  it.effect("keeps state over calls of every pattern, and releases it at its end", () =>
    Effect.gen(function* () {
      const { events, session } = yield* setUp
      const scope = yield* Scope.make()
      const client = yield* Effect.provideService(session(encoding), Scope.Scope, scope)
      assert.strictEqual((yield* client.add(item(1))).n, 1)
      assert.deepStrictEqual(
        (yield* Stream.runCollect(client.upTo(item(3)))).map(({ n }) => n),
        [1, 2, 3]
      )
      assert.strictEqual((yield* client.addAll(items(1, 2, 3))).n, 7)
      assert.deepStrictEqual(
        (yield* Stream.runCollect(client.running(items(1, 1)))).map(({ n }) => n),
        [8, 9]
      )
      assert.strictEqual((yield* client.addAll(Stream.empty)).n, 9)
      assert.deepStrictEqual(events, ["opened"])
      yield* Scope.close(scope, Exit.void)
      yield* until(() => events.length > 1)
      assert.deepStrictEqual(events, ["opened", "closed at 9"])
    })
  )

  it.effect("shares nothing with other sessions, and its calls take turns", () =>
    Effect.gen(function* () {
      const { session } = yield* setUp
      const [one, two] = yield* Effect.all([session(encoding), session(encoding)])
      const sums = yield* Effect.forEach([1, 2, 3, 4], (n) => one.add(item(n)), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        sums.map(({ n }) => n),
        [1, 3, 6, 10]
      )
      assert.strictEqual((yield* two.add(item(5))).n, 5)
    })
  )

  it.effect("outlives the errors of its calls", () =>
    Effect.gen(function* () {
      const { session } = yield* setUp
      const client = yield* session(encoding)
      assert.strictEqual((yield* Effect.flip(client.add(item(13)))).message, "thirteen")
      const nine = yield* Effect.flip(client.add(item(9)))
      assert.deepStrictEqual([nine.status, nine.details], ["FAILED_PRECONDITION", {}])
      assert.strictEqual((yield* client.add(item(1))).n, 1)
    })
  )

  it.effect("outlives calls that are given up: they are cancelled, and the next one waits for that", () =>
    Effect.gen(function* () {
      const { events, session } = yield* setUp
      const client = yield* session(encoding)
      const call = yield* Effect.forkChild(client.add(item(99)), { startImmediately: true })
      yield* until(() => events.includes("asked for 99"))
      yield* Fiber.interrupt(call)
      assert.strictEqual((yield* client.add(item(2))).n, 2)
      assert.include(events, "interrupted")
      const first = yield* Stream.runCollect(Stream.take(client.upTo(item(100_000)), 1))
      assert.deepStrictEqual(
        first.map(({ n }) => n),
        [1]
      )
      const begun = yield* Deferred.make<void>()
      const bidi = yield* Effect.forkChild(
        Stream.runForEach(client.running(Stream.concat(items(1), Stream.never)), () =>
          Deferred.succeed(begun, undefined)
        )
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(bidi)
      assert.strictEqual((yield* client.add(item(1))).n, 4)
    })
  )

  it.effect("ends while its server drains, at the next moment without a call", () =>
    Effect.gen(function* () {
      const { draining, events, session } = yield* setUp
      const client = yield* session(encoding)
      yield* client.add(item(1))
      yield* Deferred.succeed(draining, undefined)
      yield* until(() => events.length > 1)
      assert.deepStrictEqual(events, ["opened", "closed at 1"])
      assert.strictEqual((yield* Effect.flip(client.add(item(1)))).status, "UNAVAILABLE")
      assert.include((yield* Effect.flip(client.add(item(1)))).message, "open another one")
    })
  )
})

describe("a session", () => {
  it.effect("that nobody uses is ended", () =>
    Effect.gen(function* () {
      const { events, session } = yield* setUp
      yield* session("json")
      yield* until(() => events.includes("opened"))
      // It begins to wait for a call a moment later.
      while (events.length < 2) {
        yield* TestClock.adjust("30 minutes")
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
      }
      assert.deepStrictEqual(events, ["opened", "closed at 0"])
    })
  )
})

// Bytes on the stream ---------------------------------------------------------------------------------------------------

const json = (value: unknown, flags = 0) => Frame.encode(new TextEncoder().encode(JSON.stringify(value)), flags)
const call = (method: string) => Frame.encode(Control.encodeCallHeader({ ...blank, method }, "json"), Frame.CALL)
const blank = { callId: "", deadlineEpochMs: 0, metadataKeys: [], metadataValues: [] }
const open = Frame.encode(
  Control.encodeHeader({ ...blank, service: "Counter", method: "", version: 1, serializationMode: 3 }, "json"),
  Frame.HEADER
)
const CANCEL = Frame.encode(new Uint8Array(0), Frame.CANCEL)
const END = json({ code: 0, message: "", detailKeys: [], detailValues: [] }, Frame.TRAILER)

/** What a server answers to bytes, as `{"n":1}` for messages and `T(5)` for trailers, and `end` for the end. */
const answers = (...frames: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const { open: channel } = yield* setUp
    const { client } = yield* channel
    for (const frame of [open, ...frames]) yield* client.send(frame)
    yield* client.finish
    return yield* read(client)
  })

const read = (channel: CallChannel) =>
  Effect.gen(function* () {
    const reader = new FrameReader(channel)
    const seen: Array<string> = []
    while (true) {
      const frame = yield* reader.next
      if (frame === undefined) return [...seen, "end"]
      seen.push(
        (frame.flags & Frame.TRAILER) === 0
          ? new TextDecoder().decode(frame.payload)
          : `T(${Control.decodeStatus(frame.payload).code})`
      )
    }
  }).pipe(Effect.catch(() => Effect.succeed(["reset"])))

describe("on the stream of a session", () => {
  it.effect.each([
    ["a single response stands without a trailer", [call("add"), json({ n: 1 })], ['{"n":1}', "end"]],
    ["streams end with one", [call("upTo"), json({ n: 2 })], ['{"n":1}', '{"n":2}', "T(0)", "end"]],
    [
      "calls may follow each other in one write",
      [call("add"), json({ n: 1 }), call("add"), json({ n: 1 })],
      ['{"n":1}', '{"n":2}', "end"]
    ],
    [
      "requests end with a trailer",
      [call("addAll"), json({ n: 1 }), END, call("add"), json({ n: 1 })],
      ['{"n":1}', '{"n":2}', "end"]
    ],
    ["a cancel without a call is answered", [CANCEL, call("add"), json({ n: 1 })], ["T(1)", '{"n":1}', "end"]],
    [
      "a call may be cancelled before its request",
      [call("add"), CANCEL, call("add"), json({ n: 1 })],
      ["T(1)", '{"n":1}', "end"]
    ],
    [
      "a running call may be cancelled",
      [call("add"), json({ n: 99 }), CANCEL, call("add"), json({ n: 1 })],
      ["T(1)", '{"n":1}', "end"]
    ],
    [
      "an unknown method costs its call alone",
      [call("nothing"), json({ n: 1 }), call("add"), json({ n: 1 })],
      ["T(12)", '{"n":1}', "end"]
    ],
    [
      "so does a request that cannot be read",
      [call("add"), json({ m: 1 }), call("add"), json({ n: 1 })],
      ["T(101)", '{"n":1}', "end"]
    ],
    ["a frame that belongs to no call ends the session", [json({ n: 1 })], ["T(9)", "end"]]
  ] as const)("%s", ([, frames, expected]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* answers(...frames), [...expected])
    })
  )
})
