/** The interceptors that are there to be used, each around real calls. */
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as AuditLog from "@aster-effect/core/interceptor/AuditLog"
import * as Bearer from "@aster-effect/core/interceptor/Bearer"
import * as CallMetrics from "@aster-effect/core/interceptor/CallMetrics"
import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as CircuitBreaker from "@aster-effect/core/interceptor/CircuitBreaker"
import * as ConcurrencyLimit from "@aster-effect/core/interceptor/ConcurrencyLimit"
import * as Deadline from "@aster-effect/core/interceptor/Deadline"
import * as Interceptor from "@aster-effect/core/interceptor/Interceptor"
import * as LimitKey from "@aster-effect/core/interceptor/LimitKey"
import * as RateLimit from "@aster-effect/core/interceptor/RateLimit"
import * as Retry from "@aster-effect/core/interceptor/Retry"
import * as Tracing from "@aster-effect/core/interceptor/Tracing"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"

class N extends Wire.Class<N>("ready/N")({ n: Wire.Int }) {}

const Ready = Service.make("Ready").add(
  Rpc.unary("get", { request: N, response: N, idempotent: true }),
  Rpc.unary("put", { request: N, response: N }),
  Rpc.serverStream("list", { request: N, response: N })
)

const one = new N({ n: 1 })
const unavailable = (details: { readonly [key: string]: string } = {}) => RpcError.of("UNAVAILABLE", "away", details)

/** A client and a server whose every method is the same effect. */
const ready = Effect.fnUntraced(function* (
  answer: Effect.Effect<N, RpcError>,
  sides: {
    readonly server?: ReadonlyArray<Interceptor.Interceptor>
    readonly client?: ReadonlyArray<Interceptor.Interceptor>
    readonly stream?: Stream.Stream<N, RpcError>
    readonly peer?: Dispatcher.CallPeer
  } = {}
) {
  const live = Ready.toLayer({
    get: () => answer,
    put: () => answer,
    list: () => sides.stream ?? Stream.fromEffect(answer)
  })
  const dispatcher = yield* Dispatcher.make({
    implementations: Service.implementationsIn(yield* Layer.build(live)),
    interceptors: sides.server
  })
  const client = yield* LocalTransport.make(dispatcher, { interceptors: sides.client, peer: sides.peer })
  return client(Ready)
})

/** Fails the first `failures` times. */
const failing = (failures: number, error: RpcError = unavailable()) => {
  const times: Array<number> = []
  const answer = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    times.push(now) <= failures ? Effect.fail(error) : Effect.succeed(one)
  )
  return { answer, times }
}

describe("Deadline", () => {
  it.effect.each(["client", "server"] as const)("at most so much time has a call, at the %s too", (side) =>
    Effect.gen(function* () {
      const deadlines: Array<number | undefined> = []
      const seeing = Effect.andThen(
        Effect.map(CallContext, ({ deadline }) => deadlines.push(deadline)),
        Effect.never
      ) as never
      const calls = yield* ready(seeing, { [side]: [Deadline.atMost("2 seconds")] })
      const late = yield* Effect.forkChild(Effect.flip(calls.get(one)))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isTrue((yield* Fiber.join(late)).is("DEADLINE_EXCEEDED"))
      const earlier = yield* Effect.forkChild(Effect.flip(calls.get(one, { timeout: "1 second" })))
      yield* TestClock.adjust("1 second")
      assert.isTrue((yield* Fiber.join(earlier)).is("DEADLINE_EXCEEDED"))
      assert.deepStrictEqual(deadlines, [2000, 3000])
    })
  )
})

describe("Retry", () => {
  it.effect("repeats idempotent calls, with growing waits", () =>
    Effect.gen(function* () {
      const { answer, times } = failing(3)
      const client = yield* ready(answer, { client: [Retry.make()] })
      const running = yield* Effect.forkChild(client.get(one))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(running), one)
      assert.lengthOf(times, 4)
      const waits = times.slice(1).map((at, i) => at - times[i]!)
      assert.isTrue(
        waits.every((wait, i) => wait >= 80 * 2 ** i && wait <= 120 * 2 ** i + 1),
        `${waits}`
      )
    })
  )

  it.effect("repeats nothing else: methods that are not idempotent, other errors, more often than told", () =>
    Effect.gen(function* () {
      const put = failing(1)
      assert.isTrue(
        (yield* Effect.flip((yield* ready(put.answer, { client: [Retry.make()] })).put(one))).is("UNAVAILABLE")
      )
      assert.lengthOf(put.times, 1)
      const refused = failing(1, RpcError.of("NOT_FOUND", "none"))
      yield* Effect.flip((yield* ready(refused.answer, { client: [Retry.make()] })).get(one))
      assert.lengthOf(refused.times, 1)
      const always = failing(100)
      const client = yield* ready(always.answer, { client: [Retry.make({ times: 2 })] })
      const running = yield* Effect.forkChild(Effect.flip(client.get(one)))
      yield* TestClock.adjust("1 minute")
      assert.isTrue((yield* Fiber.join(running)).is("UNAVAILABLE"))
      assert.lengthOf(always.times, 3)
    })
  )

  it.effect("repeats a stream only while none of its messages was seen", () =>
    Effect.gen(function* () {
      const listing = Retry.make({ methods: ({ method }) => method === "list" })
      let begun = 0
      const breaks = (after: number) =>
        Stream.suspend(() =>
          begun++ === 0
            ? Stream.concat(Stream.fromIterable(Array.from({ length: after }, () => one)), Stream.fail(unavailable()))
            : Stream.make(one)
        )
      const early = yield* ready(Effect.succeed(one), { client: [listing], stream: breaks(0) })
      const running = yield* Effect.forkChild(Stream.runCollect(early.list(one)))
      yield* TestClock.adjust("1 second")
      assert.lengthOf(yield* Fiber.join(running), 1)
      assert.strictEqual(begun, 2)
      begun = 0
      const late = yield* ready(Effect.succeed(one), { client: [listing], stream: breaks(1) })
      assert.isTrue((yield* Effect.flip(Stream.runCollect(late.list(one)))).is("UNAVAILABLE"))
      assert.strictEqual(begun, 1)
    })
  )

  it.effect("waits as long as the server says, and not at all when it says never or too long", () =>
    Effect.gen(function* () {
      const asked = failing(1, unavailable(Retry.pushback("3 seconds")))
      const client = yield* ready(asked.answer, { client: [Retry.make()] })
      const running = yield* Effect.forkChild(client.get(one))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(running)
      assert.strictEqual(asked.times[1]! - asked.times[0]!, 3000)
      for (const details of [Retry.pushback("never"), Retry.pushback("31 seconds")]) {
        const { answer, times } = failing(1, unavailable(details))
        yield* Effect.flip((yield* ready(answer, { client: [Retry.make()] })).get(one))
        assert.lengthOf(times, 1)
      }
      const odd = failing(1, unavailable({ [Retry.PUSHBACK]: "1e3" }))
      const patient = yield* ready(odd.answer, { client: [Retry.make()] })
      const tried = yield* Effect.forkChild(patient.get(one))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(tried)
      assert.isBelow(odd.times[1]! - odd.times[0]!, 130)
    })
  )

  it.effect("does not begin what the deadline does not leave time for", () =>
    Effect.gen(function* () {
      const { answer, times } = failing(100)
      const deadline: Interceptor.Interceptor = (call, next) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => next({ ...call, deadline: now + 250 }))
      const client = yield* ready(answer, { client: [deadline, Retry.make()] })
      const running = yield* Effect.forkChild(Effect.flip(client.get(one)))
      yield* TestClock.adjust("1 minute")
      assert.isTrue((yield* Fiber.join(running)).is("UNAVAILABLE"))
      assert.isTrue(times.every((at) => at - times[0]! < 250))
      assert.isAtLeast(times.length, 2)
    })
  )
})

describe("RateLimit", () => {
  it.effect("is a token bucket, which says when to come back", () =>
    Effect.gen(function* () {
      const client = yield* ready(Effect.succeed(one), { server: [RateLimit.make({ limit: 2, window: "2 seconds" })] })
      yield* client.put(one)
      yield* client.put(one)
      const refused = yield* Effect.flip(client.put(one))
      assert.isTrue(refused.is("RESOURCE_EXHAUSTED"))
      assert.isAtMost(Number(refused.details[Retry.PUSHBACK]), 1000)
      yield* TestClock.adjust("1 second")
      yield* client.put(one)
      assert.isTrue((yield* Effect.flip(client.put(one))).is("RESOURCE_EXHAUSTED"))
    })
  )

  it.effect("a client that retries keeps to it", () =>
    Effect.gen(function* () {
      const client = yield* ready(Effect.succeed(one), {
        server: [RateLimit.make({ limit: 1, window: "1 second" })],
        client: [Retry.make()]
      })
      yield* client.get(one)
      const second = yield* Effect.forkChild(client.get(one))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(second), one)
    })
  )

  it.effect("counts peers, methods or what a function names apart", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 1, per: "method" })
      const client = yield* ready(Effect.succeed(one), { server: [limit] })
      yield* client.put(one)
      yield* client.get(one)
      assert.isTrue((yield* Effect.flip(client.put(one))).is("RESOURCE_EXHAUSTED"))
      const perPeer = RateLimit.make({ limit: 1 })
      for (const id of ["a", "b"]) {
        const peer = { id, attributes: new Map() }
        const own = yield* ready(Effect.succeed(one), { server: [perPeer], peer })
        yield* own.put(one)
        assert.isTrue((yield* Effect.flip(own.put(one))).is("RESOURCE_EXHAUSTED"))
      }
    })
  )

  it("remembers so many groups at most", () => {
    const kept = new LimitKey.PerKey(
      () => ({ busy: false }),
      ({ busy }) => !busy
    )
    kept.get("busy").busy = true
    for (let i = 0; i < 2 * LimitKey.MAX_KEYS; i++) kept.get(`${i}`)
    assert.strictEqual(kept.size, LimitKey.MAX_KEYS)
    assert.isTrue(kept.get("busy").busy)
  })

  it("refuses limits that mean nothing", () => {
    for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => RateLimit.make({ limit }), RangeError)
      assert.throws(() => ConcurrencyLimit.make({ limit }), RangeError)
    }
  })
})

describe("ConcurrencyLimit", () => {
  it.effect("runs so many calls, lets so many wait, sheds the rest, and takes new ones afterwards", () =>
    Effect.gen(function* () {
      const answer = Effect.as(Effect.sleep("1 second"), one)
      const client = yield* ready(answer, { server: [ConcurrencyLimit.make({ limit: 2, queue: 1 })] })
      const running = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(client.put(one), { startImmediately: true })
      )
      yield* Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))
      assert.isTrue((yield* Effect.flip(client.put(one))).is("RESOURCE_EXHAUSTED"))
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      yield* Fiber.joinAll(running)
      const after = yield* Effect.forkChild(client.put(one))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(after), one)
    })
  )
})

describe("CircuitBreaker", () => {
  it.effect("stops sending after failures in a row, and closes when a call succeeds", () =>
    Effect.gen(function* () {
      const { answer, times } = failing(5)
      const client = yield* ready(answer, { client: [yield* CircuitBreaker.make()] })
      for (let i = 0; i < 5; i++) yield* Effect.flip(client.put(one))
      const left = yield* Effect.flip(client.put(one))
      assert.isTrue(left.is("UNAVAILABLE"))
      assert.include(left.message, "left alone")
      assert.lengthOf(times, 5)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* client.put(one), one)
      assert.deepStrictEqual(yield* client.put(one), one)
      assert.lengthOf(times, 7)
    })
  )

  it.effect("does not count what the caller did wrong", () =>
    Effect.gen(function* () {
      const { answer, times } = failing(20, RpcError.of("INVALID_ARGUMENT", "no"))
      const client = yield* ready(answer, { client: [yield* CircuitBreaker.make()] })
      for (let i = 0; i < 10; i++) yield* Effect.flip(client.put(one))
      assert.lengthOf(times, 10)
    })
  )
})

describe("AuditLog", () => {
  it.effect("tells who called what with which outcome, and nothing of what was said", () =>
    Effect.gen(function* () {
      const entries: Array<AuditLog.AuditEntry> = []
      const audit = AuditLog.make((entry) => Effect.sync(() => entries.push(entry)))
      const deny: Interceptor.Interceptor = Interceptor.when(
        ({ method }) => method === "put",
        () => Effect.fail(RpcError.of("PERMISSION_DENIED", "secret reason"))
      )
      const client = yield* ready(Effect.succeed(one), {
        server: [audit, deny],
        peer: { id: "ada", attributes: new Map() }
      })
      yield* client.get(one)
      yield* Effect.flip(client.put(one))
      assert.deepStrictEqual(
        entries.map(({ method, peer, status }) => [peer, method, status]),
        [
          ["ada", "get", "OK"],
          ["ada", "put", "PERMISSION_DENIED"]
        ]
      )
      assert.notInclude(JSON.stringify(entries), "secret")
    })
  )

  it.effect("a sink that fails changes nothing for the caller", () =>
    Effect.gen(function* () {
      const client = yield* ready(Effect.succeed(one), { server: [AuditLog.make(() => Effect.fail("full disk"))] })
      assert.deepStrictEqual(yield* client.get(one), one)
    })
  )
})

describe("Bearer", () => {
  class Principal extends Context.Service<Principal, { readonly name: string }>()("ready/Principal") {}
  class Auth extends Interceptor.Service<Auth, { provides: Principal }>()("ready/Auth") {}
  const Guarded = Service.make("Guarded", { interceptors: [Auth] }).add(
    Rpc.unary("whoami", { request: N, response: N })
  )
  const seen: Array<string> = []
  const GuardedLive = Guarded.toLayer({
    whoami: (request) =>
      Effect.map(Principal, ({ name }) => {
        seen.push(name)
        return request
      })
  })
  const AuthLive = Auth.toLayer(
    Bearer.provide(Principal, (token) =>
      Redacted.value(token) === "t-ada"
        ? Effect.succeed({ name: "ada" })
        : Effect.fail(RpcError.of("UNAUTHENTICATED", "nobody has this token"))
    )
  )
  const guarded = Effect.fnUntraced(function* (interceptors: ReadonlyArray<Interceptor.Interceptor>) {
    const context = yield* Layer.build(GuardedLive.pipe(Layer.provide(AuthLive)))
    const dispatcher = yield* Dispatcher.make({ implementations: Service.implementationsIn(context) })
    return (yield* LocalTransport.make(dispatcher, { interceptors }))(Guarded)
  })

  it.effect("handlers know who a token stands for; without one nobody gets in", () =>
    Effect.gen(function* () {
      yield* (yield* guarded([Bearer.send(Redacted.make("t-ada"))])).whoami(one)
      assert.deepStrictEqual(seen, ["ada"])
      for (const interceptors of [[], [Bearer.send(Redacted.make("t-eve"))]]) {
        const error = yield* Effect.flip((yield* guarded(interceptors)).whoami(one))
        assert.isTrue(error.is("UNAUTHENTICATED"))
      }
      assert.lengthOf(seen, 1)
    })
  )

  it.effect("a token may be fetched for each call", () =>
    Effect.gen(function* () {
      const tokens = ["t-eve", "t-ada"]
      const send = Bearer.send(Effect.sync(() => Redacted.make(tokens.shift() ?? "")))
      const client = yield* guarded([send])
      yield* Effect.flip(client.whoami(one))
      yield* client.whoami(one)
    })
  )
})

/** A tracer that keeps its spans, as a backend would. */
const tracing = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = Tracer.nativeTracer.span(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

describe("Tracing", () => {
  const parentOf = (span: Tracer.Span) => Option.getOrUndefined(span.parent)?.spanId

  it.effect("spans of both sides are one trace, and the handler's are inside", () =>
    Effect.gen(function* () {
      const { spans, tracer } = tracing()
      const answer = Effect.withSpan(Effect.succeed(one), "inner")
      yield* Effect.gen(function* () {
        const client = yield* ready(answer, { client: [Tracing.client], server: [Tracing.server] })
        yield* client.get(one)
        yield* Stream.runDrain(client.list(one))
      }).pipe(Effect.withTracer(tracer))
      const [sent, served, inner] = spans
      assert.deepStrictEqual(
        [sent?.name, sent?.kind, served?.name, served?.kind],
        ["Ready/get", "client", "Ready/get", "server"]
      )
      assert.strictEqual(parentOf(served!), sent!.spanId)
      assert.strictEqual(served!.traceId, sent!.traceId)
      assert.strictEqual(inner?.name, "inner")
      assert.strictEqual(parentOf(inner!), served!.spanId)
      assert.strictEqual(served!.attributes.get("rpc.service"), "Ready")
      assert.strictEqual(served!.attributes.get("rpc.response.status_code"), "OK")
      const streamed = spans.filter(({ name }) => name === "Ready/list")
      assert.deepStrictEqual(
        streamed.map(({ status }) => status._tag),
        ["Ended", "Ended"]
      )
      assert.strictEqual(parentOf(streamed[1]!), streamed[0]!.spanId)
    })
  )

  it.effect("a trace context that is none is a new trace", () =>
    Effect.gen(function* () {
      const { spans, tracer } = tracing()
      const liar: Interceptor.Interceptor = (call, next) =>
        next({ ...call, metadata: new Map([[Tracing.TRACEPARENT, "00-zz-zz-01"]]) })
      const client = yield* ready(Effect.fail(unavailable()), { client: [liar], server: [Tracing.server] })
      yield* Effect.withTracer(Effect.flip(client.get(one)), tracer)
      assert.isTrue(spans.every(({ parent }) => Option.isNone(parent)))
      assert.strictEqual(spans[0]?.attributes.get("rpc.response.status_code"), "UNAVAILABLE")
    })
  )

  it.effect("knows whether anybody looks", () =>
    Effect.gen(function* () {
      assert.isFalse(yield* Tracing.isInstalled)
      assert.isTrue(yield* Effect.withTracer(Tracing.isInstalled, tracing().tracer))
    })
  )
})

describe("CallMetrics", () => {
  it.effect("counts calls by outcome, their messages and their time, with labels that a peer cannot invent", () =>
    Effect.gen(function* () {
      const answers = [
        Effect.succeed(one),
        Effect.fail(new RpcError({ code: 4711, message: "own" })),
        Effect.succeed(one)
      ]
      const client = yield* ready(
        Effect.suspend(() => answers.shift()!),
        { server: [CallMetrics.make("server")], stream: Stream.make(one, one, one) }
      )
      yield* client.get(one)
      yield* Effect.flip(client.get(one))
      yield* Stream.runDrain(client.list(one))
      const snapshot = yield* Metric.snapshot
      const value = (id: string, labels: { readonly [key: string]: string }) =>
        snapshot.find(
          (metric) =>
            metric.id === id && Object.entries(labels).every(([key, wanted]) => metric.attributes?.[key] === wanted)
        )?.state
      const get = { service: "Ready", method: "get" }
      assert.deepInclude(value("aster_rpc_calls_total", { ...get, status: "OK" }), { count: 1 })
      assert.deepInclude(value("aster_rpc_calls_total", { ...get, status: "OTHER" }), { count: 1 })
      assert.deepInclude(value("aster_rpc_active_calls", get), { value: 0 })
      assert.deepInclude(value("aster_rpc_duration_seconds", get), { count: 2 })
      assert.deepInclude(value("aster_rpc_messages_total", { method: "list", direction: "response" }), { count: 3 })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
