/** Calls that are answered before their handler first waits: without a fiber of their own, and told to interceptors. */
import * as Caller from "@aster-effect/core/call/Caller"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as CallMetrics from "@aster-effect/core/interceptor/CallMetrics"
import * as Deadline from "@aster-effect/core/interceptor/Deadline"
import type { Brief, Interceptor } from "@aster-effect/core/interceptor/Interceptor"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { ChannelError, type DirectChannel } from "@aster-effect/core/wire/CallChannel"
import * as Control from "@aster-effect/core/wire/Control"
import * as Frame from "@aster-effect/core/wire/Frame"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/testing/TestClock"

class Text extends Wire.Class<Text>("brief/Text")({ text: Wire.String }) {}

const Brevity = Service.make("Brevity").add(
  Rpc.unary("echo", { request: Text, response: Text }),
  Rpc.unary("wait", { request: Text, response: Text }),
  Rpc.unary("fail", { request: Text, response: Text }),
  Rpc.unary("die", { request: Text, response: Text })
)

/** A channel whose bytes are here, and which keeps what is sent. */
class Sent implements DirectChannel {
  readonly #incoming: Array<Uint8Array>
  readonly sent: Array<Uint8Array> = []
  released = 0
  aborted = 0
  over: DirectChannel["over"]
  hasRoom = true

  constructor(...incoming: ReadonlyArray<Uint8Array>) {
    this.#incoming = [...incoming]
  }

  poll(): Uint8Array | undefined {
    return this.#incoming.shift()
  }

  trySend(bytes: Uint8Array): boolean {
    if (this.hasRoom) this.sent.push(Uint8Array.from(bytes))
    return this.hasRoom
  }

  releaseNow(): void {
    this.released++
  }

  #readable: (() => void) | undefined

  listen(readable: (() => void) | undefined): void {
    this.#readable = readable
  }

  /** Further bytes come. */
  bring(...frames: ReadonlyArray<Uint8Array>): void {
    this.#incoming.push(Buffer.concat(frames))
    this.#readable?.()
  }

  /** Nothing comes any more. */
  end(over: DirectChannel["over"]): void {
    this.over = over
    this.#readable?.()
  }

  get isListenedTo(): boolean {
    return this.#readable !== undefined
  }

  readonly receive = Effect.suspend(() => {
    const bytes = this.poll()
    return bytes === undefined ? Effect.never : Effect.succeed(bytes)
  })

  send(bytes: Uint8Array) {
    return Effect.sync(() => void this.sent.push(Uint8Array.from(bytes)))
  }

  readonly finish = Effect.void
  readonly abort = Effect.sync(() => void this.aborted++)
  readonly release = Effect.sync(() => this.releaseNow())

  get text(): string {
    return new TextDecoder().decode(Buffer.concat(this.sent))
  }

  /** The name of the status, and the response if there is one. */
  get answer(): { readonly code: number; readonly response: string | undefined } {
    const decoder = new Frame.FrameDecoder()
    for (const bytes of this.sent) decoder.push(bytes)
    let response: string | undefined
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      if ((frame.flags & Frame.TRAILER) !== 0) return { code: Control.decodeStatus(frame.payload).code, response }
      response = new TextDecoder().decode(frame.payload)
    }
    throw new Error("no trailer was sent")
  }
}

const call = (method: string, text: string, fields?: Partial<Control.StreamHeader>): Uint8Array => {
  const header: Control.StreamHeader = {
    service: "Brevity",
    method,
    version: 1,
    callId: "",
    deadlineEpochMs: 0,
    serializationMode: Control.SERIALIZATION_MODE.json,
    metadataKeys: [],
    metadataValues: [],
    ...fields
  }
  return Buffer.concat([
    Frame.encode(Control.encodeHeader(header, "json"), Frame.HEADER),
    Frame.encode(new TextEncoder().encode(JSON.stringify({ text })), 0)
  ])
}

const serving = Effect.fnUntraced(function* (interceptors: ReadonlyArray<Interceptor>) {
  const go = yield* Deferred.make<void>()
  const ran: Array<string> = []
  const note = (text: string) => Effect.sync(() => void ran.push(text))
  const live = Brevity.toLayer({
    echo: (request) => Effect.as(note(request.text), request),
    wait: (request) => Effect.as(Deferred.await(go), request),
    fail: () => Effect.fail(RpcError.of("NOT_FOUND", "there is none")),
    die: () => Effect.die(new Error("a defect"))
  })
  const context = yield* Layer.build(live)
  const dispatcher = yield* Dispatcher.make({ implementations: Service.implementationsIn(context), interceptors })
  const surrounding = yield* Effect.context<never>()
  const handle = (channel: DirectChannel) => dispatcher.handleNow(channel, Dispatcher.LOCAL, surrounding)
  return { dispatcher, go, handle, ran }
})

/** Interceptors that surround a call, and those that were told of one. */
const noting = (passes: Brief["passes"]) => {
  const surrounded: Array<string> = []
  const told: Array<string> = []
  const interceptor: Interceptor = (seen, next) => {
    surrounded.push(seen.method)
    return next(seen)
  }
  const brief: Brief = { passes, ended: ({ method }, status) => void told.push(`${method} ${status}`) }
  return { interceptor: Object.assign(interceptor, { brief }), surrounded, told }
}

describe("calls that are answered at once", () => {
  it.effect("leave nothing to be done", () =>
    Effect.gen(function* () {
      const { interceptor, surrounded, told } = noting(() => true)
      const { dispatcher, handle } = yield* serving([Deadline.make(), interceptor])
      const channel = new Sent(call("echo", "hello"))
      assert.isUndefined(handle(channel))
      assert.deepStrictEqual(channel.answer, { code: 0, response: '{"text":"hello"}' })
      assert.deepStrictEqual([channel.released, channel.aborted, channel.sent.length], [1, 0, 1])
      assert.deepStrictEqual([surrounded, told], [[], ["echo OK"]])
      assert.strictEqual(dispatcher.budget.used, 0)
    })
  )

  it.effect("go on by effects where the handler waits, once for all of it", () =>
    Effect.gen(function* () {
      const { interceptor, surrounded, told } = noting(() => true)
      const { dispatcher, go, handle } = yield* serving([interceptor])
      const channel = new Sent(call("wait", "hello"))
      const running = yield* Effect.forkChild(handle(channel)!, { startImmediately: true })
      assert.deepStrictEqual([channel.sent.length, surrounded, told], [0, ["wait"], []])
      assert.isAbove(dispatcher.budget.used, 0)
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(running)
      assert.deepStrictEqual(channel.answer, { code: 0, response: '{"text":"hello"}' })
      assert.strictEqual(dispatcher.budget.used, 0)
    })
  )

  it.effect("end within their deadline, also where the handler waits", () =>
    Effect.gen(function* () {
      const { handle } = yield* serving([Deadline.make()])
      const channel = new Sent(call("wait", "hello", { deadlineEpochMs: 1000 }))
      const running = yield* Effect.forkChild(handle(channel)!, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(running)
      assert.strictEqual(channel.answer.code, 4)
    })
  )

  it.effect("are refused where they come too late, and the handler does not run", () =>
    Effect.gen(function* () {
      const { handle, ran } = yield* serving([Deadline.make()])
      yield* TestClock.adjust("2 seconds")
      const late = new Sent(call("echo", "late", { deadlineEpochMs: 1000 }))
      yield* handle(late)!
      assert.strictEqual(late.answer.code, 4)
      const early = new Sent(call("echo", "early", { deadlineEpochMs: 3000 }))
      assert.isUndefined(handle(early))
      assert.deepStrictEqual(ran, ["early"])
    })
  )

  it.effect("are refused when they come too late at a server without interceptors", () =>
    Effect.gen(function* () {
      const { handle, ran } = yield* serving([])
      yield* TestClock.adjust("2 seconds")
      const late = new Sent(call("echo", "late", { deadlineEpochMs: 1000 }))
      yield* handle(late)!
      assert.deepStrictEqual([late.answer.code, ran], [4, []])
    })
  )

  it.effect("that come far too late are told to compare clocks", () =>
    Effect.gen(function* () {
      const { handle } = yield* serving([Deadline.make()])
      yield* TestClock.adjust("1 minute")
      const late = new Sent(call("echo", "late", { deadlineEpochMs: 1000 }))
      yield* handle(late)!
      assert.include(late.text, "compare the clocks")
    })
  )

  it.effect("fail as others do, and defects stay in the process", () =>
    Effect.gen(function* () {
      const { interceptor, surrounded } = noting(() => true)
      const { handle } = yield* serving([interceptor])
      const failing = new Sent(call("fail", "x"))
      yield* handle(failing)!
      assert.deepStrictEqual(failing.answer, { code: 5, response: undefined })
      const dying = new Sent(call("die", "x"))
      yield* handle(dying)!
      assert.deepStrictEqual(dying.answer, { code: 13, response: undefined })
      assert.deepStrictEqual(surrounded, ["fail", "die"])
    })
  )

  it.effect("end as INTERNAL where an interceptor throws, and hold nothing", () =>
    Effect.gen(function* () {
      const thrower = (): never => {
        throw new Error("thrown")
      }
      for (const brief of [{ passes: thrower }, { passes: () => true, ended: thrower }]) {
        const interceptor: Interceptor = (seen, next) => next(seen)
        const { dispatcher, handle } = yield* serving([Object.assign(interceptor, { brief })])
        const channel = new Sent(call("echo", "x"))
        yield* handle(channel)!
        assert.strictEqual(channel.answer.code, 13)
        assert.strictEqual(dispatcher.budget.used, 0)
      }
    })
  )

  it.effect("take the usual way where an interceptor does not let them pass, or has no brief form", () =>
    Effect.gen(function* () {
      const { interceptor, surrounded, told } = noting(({ metadata }) => !metadata.has("look"))
      const refusing: Interceptor = (_, next) => Effect.andThen(Effect.fail(RpcError.of("ABORTED", "no")), next(_))
      const { handle } = yield* serving([interceptor])
      const channel = new Sent(call("echo", "x", { metadataKeys: ["look"], metadataValues: ["1"] }))
      yield* handle(channel)!
      assert.deepStrictEqual([channel.answer.code, surrounded, told], [0, ["echo"], []])
      const strict = yield* serving([interceptor, refusing])
      const refused = new Sent(call("echo", "x"))
      yield* strict.handle(refused)!
      assert.deepStrictEqual([refused.answer.code, strict.ran], [10, []])
    })
  )

  it.effect("send by effects what there is no room for", () =>
    Effect.gen(function* () {
      const { handle } = yield* serving([])
      const channel = new Sent(call("echo", "x"))
      channel.hasRoom = false
      const rest = handle(channel)
      assert.strictEqual(channel.sent.length, 0)
      yield* rest!
      assert.deepStrictEqual(channel.answer, { code: 0, response: '{"text":"x"}' })
      assert.strictEqual(channel.released, 1)
    })
  )

  it.effect("wait for a request that is not there as a whole", () =>
    Effect.gen(function* () {
      const { handle } = yield* serving([])
      const bytes = call("echo", "hello")
      for (const at of [3, 20, bytes.length - 1]) {
        const channel = new Sent(bytes.subarray(0, at), bytes.subarray(at))
        yield* handle(channel)!
        assert.deepStrictEqual(channel.answer, { code: 0, response: '{"text":"hello"}' })
      }
    })
  )

  it.effect("are refused when they are no calls", () =>
    Effect.gen(function* () {
      const { handle } = yield* serving([])
      const codes: Array<number> = []
      const requests = [
        call("none", "x"),
        call("echo", "x", { service: "Nobody" }),
        Frame.encode(Uint8Array.of(1), 0),
        Uint8Array.of(0, 0, 0, 0, 0)
      ]
      for (const bytes of requests) {
        const channel = new Sent(bytes)
        yield* handle(channel)!
        codes.push(channel.answer.code)
      }
      assert.deepStrictEqual(codes, [12, 5, 13, 13])
    })
  )

  it.effect("count like those that wait", () =>
    Effect.gen(function* () {
      const { go, handle } = yield* serving([CallMetrics.make("server", { messages: false })])
      yield* Deferred.succeed(go, undefined)
      for (let i = 0; i < 3; i++) assert.isUndefined(handle(new Sent(call("echo", "x"))))
      yield* handle(new Sent(call("fail", "x")))!
      const counted = (yield* Metric.snapshot).flatMap(({ attributes, id, state }) =>
        id === "aster_rpc_calls_total" && attributes?.["service"] === "Brevity"
          ? [[attributes["method"], attributes["status"], (state as Metric.CounterState<number>).count]]
          : []
      )
      assert.sameDeepMembers(counted, [
        ["echo", "OK", 3],
        ["fail", "NOT_FOUND", 1]
      ])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("clients on channels that need not wait", () => {
  const calling = (channel: Sent) =>
    Caller.make(Brevity, {
      open: () => Effect.die(new Error("there is a channel")),
      openNow: () => channel,
      encoding: "json",
      peer: "server",
      version: 1
    }).echo(new Text({ text: "hello" }))
  const response = Frame.encode(new TextEncoder().encode('{"text":"hello"}'), 0)
  const trailer = (code: number) =>
    Frame.encode(Control.encodeStatus({ ...Control.OK, code, message: "said" }, "json"), Frame.TRAILER)

  it.effect("send at once, and give the channel back with the answer", () =>
    Effect.gen(function* () {
      const channel = new Sent()
      const running = yield* Effect.forkChild(calling(channel), { startImmediately: true })
      assert.strictEqual(channel.sent.length, 1)
      channel.bring(response)
      assert.isUndefined(running.pollUnsafe())
      channel.bring(trailer(0))
      assert.strictEqual((yield* Fiber.join(running)).text, "hello")
      assert.deepStrictEqual([channel.released, channel.aborted, channel.isListenedTo], [1, 0, false])
    })
  )

  it.effect("fail with the status that comes", () =>
    Effect.gen(function* () {
      const channel = new Sent()
      const running = yield* Effect.forkChild(Effect.flip(calling(channel)), { startImmediately: true })
      channel.bring(trailer(5))
      assert.strictEqual((yield* Fiber.join(running)).status, "NOT_FOUND")
      assert.deepStrictEqual([channel.released, channel.aborted], [1, 0])
    })
  )

  it.effect("give up what is no answer, what breaks, and what nobody waits for any more", () =>
    Effect.gen(function* () {
      const outcomes: Array<string> = []
      const lost = new ChannelError({ reason: "Lost", detail: "lost" })
      const breaking: ReadonlyArray<(channel: Sent) => void> = [
        (channel) => channel.bring(Uint8Array.of(0, 0, 0, 0, 0)),
        (channel) => channel.bring(response, response),
        (channel) => channel.end(lost),
        (channel) => channel.end("finished")
      ]
      for (const broken of breaking) {
        const channel = new Sent()
        const running = yield* Effect.forkChild(Effect.flip(calling(channel)), { startImmediately: true })
        broken(channel)
        outcomes.push((yield* Fiber.join(running)).status)
        assert.deepStrictEqual([channel.released, channel.aborted, channel.isListenedTo], [0, 1, false])
      }
      assert.deepStrictEqual(outcomes, ["INTERNAL", "INTERNAL", "UNAVAILABLE", "UNAVAILABLE"])
      const channel = new Sent()
      const running = yield* Effect.forkChild(calling(channel), { startImmediately: true })
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual([channel.released, channel.aborted, channel.isListenedTo], [0, 1, false])
    })
  )
})
