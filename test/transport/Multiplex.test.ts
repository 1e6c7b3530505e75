import type { DirectChannel } from "@aster-effect/core/wire/CallChannel"
import * as Caller from "@aster-effect/core/call/Caller"
import * as Control from "@aster-effect/core/wire/Control"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as Frame from "@aster-effect/core/wire/Frame"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import * as Multiplex from "@aster-effect/transport/Multiplex"
import * as Rpc from "@aster-effect/core/service/Rpc"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import { assert, describe, it } from "@effect/vitest"
import { directPair } from "./DirectPair.ts"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"

class Text extends Wire.Class<Text>("mux/Text")({ text: Wire.String }) {}

const Mux = Service.make("Mux").add(
  Rpc.unary("echo", { request: Text, response: Text }),
  Rpc.unary("large", { request: Text, response: Text }),
  Rpc.unary("wait", { request: Text, response: Text })
)

const hello = Frame.encode(Multiplex.HEADER, Frame.HEADER)

/** Incompressible, and longer than the window of a call. */
const large = (length: number) => {
  let state = 1
  return Array.from({ length }, () =>
    String.fromCharCode(33 + (((state = Math.imul(state, 1664525) + 1013904223) >>> 16) % 90))
  ).join("")
}

/** A server behind a channel, which counts what becomes of its handlers. */
const serving = Effect.fnUntraced(function* (pair: typeof LocalTransport.pair) {
  const waiting = yield* Queue.unbounded<string>()
  const interrupted = yield* Queue.unbounded<string>()
  const go = yield* Deferred.make<void>()
  const live = Mux.toLayer({
    echo: (request) => Effect.succeed(request),
    large: ({ text }) => Effect.succeed(new Text({ text: large(Number(text)) })),
    wait: ({ text }) =>
      Queue.offer(waiting, text).pipe(
        Effect.andThen(Deferred.await(go)),
        Effect.as(new Text({ text })),
        Effect.onInterrupt(() => Queue.offer(interrupted, text))
      )
  })
  const context = yield* Layer.build(live)
  const dispatcher = yield* Dispatcher.make({ implementations: Service.implementationsIn(context) })
  const draining = yield* Deferred.make<void>()
  const serve = Multiplex.server(dispatcher, Dispatcher.LOCAL, Deferred.await(draining))
  const [channel, server] = pair()
  const handling = yield* Effect.forkScoped(serve(server))
  return { serve, channel, dispatcher, draining, go, handling, interrupted, waiting }
})

const clientOn = (open: () => DirectChannel | undefined, openNow: typeof open | undefined) =>
  Caller.make(Mux, {
    openNow,
    open: () =>
      Effect.suspend(() => {
        const channel = open()
        return channel === undefined ? Effect.fail(RpcError.of("UNAVAILABLE", "full")) : Effect.succeed(channel)
      }),
    peer: "local",
    version: 1
  })

const connectedOn = Effect.fnUntraced(function* (pair: typeof LocalTransport.pair) {
  const server = yield* serving(pair)
  const multiplex = yield* Multiplex.connect(server.channel)
  assert(multiplex !== undefined)
  return { ...server, client: clientOn(multiplex.open, pair === directPair ? multiplex.open : undefined), multiplex }
})

describe.each([
  { way: "by effects", pair: LocalTransport.pair },
  { way: "at once", pair: directPair }
])("Multiplex, $way", ({ pair }) => {
  const connected = () => connectedOn(pair)

  it.effect("carries many calls at a time", () =>
    Effect.gen(function* () {
      const { client } = yield* connected()
      const texts = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => `call ${i}`),
        (text) => client.echo(new Text({ text })),
        { concurrency: 100 }
      )
      assert.deepStrictEqual(
        texts.map(({ text }) => text),
        Array.from({ length: 1000 }, (_, i) => `call ${i}`)
      )
    })
  )

  it.effect("carries answers larger than a window, beside others", () =>
    Effect.gen(function* () {
      const { client } = yield* connected()
      const answers = yield* Effect.all(
        [1_000_000, 10, 300_000].map((size) => client.large(new Text({ text: String(size) }))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.map(({ text }) => text.length),
        [1_000_000, 10, 300_000]
      )
      assert.strictEqual(answers[0]!.text, large(1_000_000))
    })
  )

  it.effect("a call that is given up stops its handler and no other", () =>
    Effect.gen(function* () {
      const { client, go, interrupted, waiting } = yield* connected()
      const [first, second] = yield* Effect.forEach(["first", "second"], (text) =>
        Effect.forkChild(client.wait(new Text({ text })), { startImmediately: true })
      )
      assert.deepStrictEqual(yield* Queue.takeN(waiting, 2), ["first", "second"])
      yield* Fiber.interrupt(first!)
      assert.strictEqual(yield* Queue.take(interrupted), "first")
      yield* Deferred.succeed(go, undefined)
      assert.strictEqual((yield* Fiber.join(second!)).text, "second")
    })
  )

  it.effect("an answer that nobody reads holds up no other call", () =>
    Effect.gen(function* () {
      const { client, multiplex } = yield* connected()
      const stuck = multiplex.open()!
      const request = Frame.encode(new TextEncoder().encode('{"text":"2000000"}'), 0)
      yield* stuck.send(Buffer.concat([header("large"), request]))
      for (let i = 0; i < 20; i++) yield* client.echo(new Text({ text: "x" }))
      yield* stuck.abort
      yield* client.echo(new Text({ text: "x" }))
    })
  )

  it.effect("has room for so many calls, and again when one is over", () =>
    Effect.gen(function* () {
      const { client, go, multiplex, waiting } = yield* connected()
      const running = yield* Effect.forEach(
        Array.from({ length: 128 }, (_, i) => String(i)),
        (text) => Effect.forkChild(client.wait(new Text({ text })))
      )
      yield* Queue.takeN(waiting, 128)
      assert.isUndefined(multiplex.open())
      yield* Deferred.succeed(go, undefined)
      yield* Effect.forEach(running, Fiber.join)
      yield* client.echo(new Text({ text: "x" }))
    })
  )

  it.effect("servers that do not know of it are left alone", () =>
    Effect.gen(function* () {
      const { dispatcher } = yield* serving(pair)
      const [client, server] = pair()
      yield* Effect.forkScoped(dispatcher.handle(server, Dispatcher.LOCAL))
      assert.isUndefined(yield* Multiplex.connect(client))
    })
  )

  it.effect("a connection carries calls on one stream at a time", () =>
    Effect.gen(function* () {
      const { handling, multiplex, serve } = yield* connected()
      const again = Effect.gen(function* () {
        const [client, server] = pair()
        yield* Effect.forkScoped(serve(server))
        return yield* Multiplex.connect(client)
      })
      assert.isUndefined(yield* again)
      yield* Fiber.interrupt(handling)
      yield* multiplex.ended
      assert.isDefined(yield* again)
    })
  )

  it.effect("draining lets calls finish, takes no more, and ends the stream", () =>
    Effect.gen(function* () {
      const { client, draining, go, handling, multiplex, waiting } = yield* connected()
      const running = yield* Effect.forkChild(client.wait(new Text({ text: "running" })))
      yield* Queue.take(waiting)
      yield* Deferred.succeed(draining, undefined)
      const late = yield* Effect.flip(client.echo(new Text({ text: "late" })))
      assert.strictEqual(late.status, "UNAVAILABLE")
      assert.isUndefined(multiplex.open())
      yield* Deferred.succeed(go, undefined)
      assert.strictEqual((yield* Fiber.join(running)).text, "running")
      yield* Fiber.join(handling)
      yield* multiplex.ended
    })
  )

  it.effect("a stream without calls drains at once", () =>
    Effect.gen(function* () {
      const { draining, handling } = yield* connected()
      yield* Deferred.succeed(draining, undefined)
      yield* Fiber.join(handling)
    })
  )

  it.effect("calls fail when the stream breaks, on both sides", () =>
    Effect.gen(function* () {
      const { channel, client, handling, interrupted, waiting } = yield* connected()
      const running = yield* Effect.forkChild(Effect.flip(client.wait(new Text({ text: "running" }))))
      yield* Queue.take(waiting)
      yield* channel.abort
      assert.strictEqual((yield* Fiber.join(running)).status, "UNAVAILABLE")
      assert.strictEqual(yield* Queue.take(interrupted), "running")
      yield* Fiber.join(handling)
    })
  )

  it.effect("a client that breaks the rules loses the stream", () =>
    Effect.gen(function* () {
      const { channel, handling } = yield* serving(pair)
      yield* channel.send(hello)
      yield* channel.receive
      yield* channel.send(Uint8Array.of(9, 9, 9))
      yield* Fiber.join(handling)
      assert.strictEqual((yield* Effect.flip(channel.receive)).reason, "Reset")
    })
  )

  it.effect("a client that reads nothing is given up after a while", () =>
    Effect.gen(function* () {
      const { channel, handling } = yield* serving(pair)
      yield* channel.send(hello)
      // Answers of a few bytes, more often than a channel holds chunks: each leaves in a write of its own.
      const call = (id: number) => {
        const body = Buffer.concat([header("echo"), Frame.encode(new TextEncoder().encode('{"text":"x"}'), 0)])
        return Uint8Array.from([0, ...varint(id), ...varint(body.length), ...body])
      }
      const sending = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 200 }, (_, i) => call(i + 1)),
          (bytes) => Effect.andThen(channel.send(bytes), Effect.yieldNow)
        )
      )
      for (let i = 0; i < 1000; i++) yield* Effect.yieldNow
      assert.isUndefined(handling.pollUnsafe())
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(handling.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(handling)
      yield* Fiber.interrupt(sending)
    })
  )

  it.effect("calls that are given up at once do not pile up", () =>
    Effect.gen(function* () {
      const running = { now: 0, most: 0 }
      const stubborn = Service.make("Stubborn").add(Rpc.unary("hold", { request: Text, response: Text }))
      const release = yield* Deferred.make<void>()
      // Interruption takes its time here, as a finalizer may.
      const live = stubborn.toLayer({
        hold: () =>
          Effect.suspend(() => {
            running.most = Math.max(running.most, ++running.now)
            return Effect.ensuring(
              Effect.uninterruptible(Deferred.await(release)),
              Effect.sync(() => running.now--)
            )
          }).pipe(Effect.as(new Text({ text: "" })))
      })
      const context = yield* Layer.build(live)
      const dispatcher = yield* Dispatcher.make({ implementations: Service.implementationsIn(context) })
      const [client, server] = pair()
      const serve = Multiplex.server(dispatcher, Dispatcher.LOCAL, Effect.never)
      yield* Effect.forkScoped(serve(server))
      const multiplex = yield* Multiplex.connect(client)
      const request = Buffer.concat([
        header("hold", "Stubborn"),
        Frame.encode(new TextEncoder().encode('{"text":""}'), 0)
      ])
      for (let i = 0; i < 1000; i++) {
        const call = multiplex!.open()!
        yield* call.send(request)
        yield* call.abort
        yield* Effect.yieldNow
      }
      for (let i = 0; i < 100; i++) yield* Effect.yieldNow
      assert.isAbove(running.most, 100)
      assert.isAtMost(running.most, 128 * 3)
      yield* Deferred.succeed(release, undefined)
    })
  )
})

describe("Multiplex, at once", () => {
  it.effect("calls of a peer that has sent very many leave others their turn", () =>
    Effect.gen(function* () {
      let served = 0
      const counting = Service.make("Counting").add(Rpc.unary("count", { request: Text, response: Text }))
      const live = counting.toLayer({ count: (request) => Effect.sync(() => (served++, request)) })
      const context = yield* Layer.build(live)
      const dispatcher = yield* Dispatcher.make({ implementations: Service.implementationsIn(context) })
      const [client, server] = directPair()
      yield* Effect.forkScoped(Multiplex.server(dispatcher, Dispatcher.LOCAL, Effect.never)(server))
      yield* client.send(hello)
      yield* client.receive
      const { trySend } = client.direct!(yield* Effect.context<never>())
      const body = Buffer.concat([
        header("count", "Counting"),
        Frame.encode(new TextEncoder().encode('{"text":"x"}'), 0)
      ])
      const total = 2000
      for (let id = 1; id <= total; id += 50) {
        const calls = Array.from({ length: 50 }, (_, i) => [0, ...varint(id + i), ...varint(body.length), ...body])
        assert.isTrue(trySend(Uint8Array.from(calls.flat())))
      }
      const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      yield* turn
      assert.isAbove(served, 0)
      assert.isBelow(served, total / 2)
      while (served < total) yield* turn
    })
  )
})

const header = (method: string, service = "Mux") =>
  Frame.encode(
    Control.encodeHeader(
      {
        service,
        method,
        version: 1,
        callId: "",
        deadlineEpochMs: 0,
        serializationMode: Control.SERIALIZATION_MODE.json,
        metadataKeys: [],
        metadataValues: []
      },
      "json"
    ),
    Frame.HEADER
  )

const varint = (value: number): Array<number> => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)])
