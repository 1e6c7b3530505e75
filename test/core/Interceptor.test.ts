/** What interceptors see, change and provide, on both sides and for every pattern. */
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import { type Call, CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as Interceptor from "@aster-effect/core/interceptor/Interceptor"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

class Item extends Wire.Class<Item>("seam/Item")({ n: Wire.Int }) {}

class Sold extends Schema.TaggedError<Sold>()("Sold", { n: Schema.Int }) {}

const Shop = Service.make("Shop").add(
  Rpc.unary("one", { request: Item, response: Item, error: Sold }),
  Rpc.serverStream("many", { request: Item, response: Item }),
  Rpc.clientStream("sum", { request: Item, response: Item }),
  Rpc.bidi("each", { request: Item, response: Item })
)

/** Negative numbers fail after two items. */
const breaking = (items: Stream.Stream<Item>) =>
  Stream.mapEffect(items, (item) =>
    item.n < 0 ? Effect.fail(RpcError.of("UNAVAILABLE", "broken")) : Effect.succeed(item)
  )

const ShopLive = Shop.toLayer({
  one: (item) =>
    item.n === 13
      ? Effect.fail(new Sold({ n: 13 }))
      : item.n === 66
        ? Effect.die(new Error("secret"))
        : item.n === 99
          ? Effect.never
          : Effect.succeed(item),
  many: ({ n }) =>
    n === 99
      ? Stream.concat(Stream.make(new Item({ n: 0 })), Stream.never)
      : breaking(Stream.fromIterable(Array.from({ length: 5 }, (_, i) => new Item({ n: n < 0 && i === 2 ? -1 : i })))),
  sum: (items) =>
    Effect.map(
      Stream.runFold(
        items,
        () => 0,
        (sum, { n }) => sum + n
      ),
      (n) => new Item({ n })
    ),
  each: (items) => breaking(items as Stream.Stream<Item>)
})

/** Writes down every call and how it ended. */
const recorder = () => {
  const seen: Array<string> = []
  const record: Interceptor.Interceptor = (call, next) =>
    Effect.onExit(next(call), (exit) =>
      Effect.sync(() => {
        seen.push(`${call.method} ${Interceptor.statusOf(exit)}`)
      })
    )
  return { seen, record }
}

interface Sides {
  readonly server?: ReadonlyArray<Interceptor.Interceptor>
  readonly client?: ReadonlyArray<Interceptor.Interceptor>
}

const shop = ({ client, server }: Sides) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(ShopLive)
    const dispatcher = yield* Dispatcher.make({
      implementations: Service.implementationsIn(context),
      ...(server === undefined ? {} : { interceptors: server })
    })
    return (yield* LocalTransport.make(dispatcher, { interceptors: client }))(Shop)
  })

const items = (...numbers: ReadonlyArray<number>) => Stream.fromIterable(numbers.map((n) => new Item({ n })))
const item = (n: number) => new Item({ n })
const numbers = (result: ReadonlyArray<Item>) => result.map(({ n }) => n)

describe.each(["client", "server"] as const)("an interceptor of a %s", (side) => {
  const withRecorder = Effect.gen(function* () {
    const { record, seen } = recorder()
    return { client: yield* shop({ [side]: [record] }), seen }
  })

  it.effect("sees how calls of every pattern end", () =>
    Effect.gen(function* () {
      const { client, seen } = yield* withRecorder
      yield* client.one(item(1))
      yield* Stream.runDrain(client.many(item(1)))
      yield* client.sum(items(1, 2))
      yield* Stream.runDrain(client.each(items(1, 2)))
      assert.deepStrictEqual(seen, ["one OK", "many OK", "sum OK", "each OK"])
    })
  )

  it.effect("sees failures: of handlers, declared ones, defects, and streams that break", () =>
    Effect.gen(function* () {
      const { client, seen } = yield* withRecorder
      assert.instanceOf(yield* Effect.flip(client.one(item(13))), Sold)
      yield* Effect.flip(client.one(item(66)))
      const many: Array<number> = []
      yield* Effect.flip(Stream.runForEach(client.many(item(-1)), ({ n }) => Effect.sync(() => many.push(n))))
      assert.deepStrictEqual(many, [0, 1])
      yield* Effect.flip(Stream.runDrain(client.each(items(1, -1))))
      assert.deepStrictEqual(seen, ["one FAILED_PRECONDITION", "one INTERNAL", "many UNAVAILABLE", "each UNAVAILABLE"])
    })
  )

  it.effect("sees calls that are given up and streams that end early", () =>
    Effect.gen(function* () {
      const { client, seen } = yield* withRecorder
      const one = yield* Effect.forkChild(client.one(item(99)), { startImmediately: true })
      yield* settle
      yield* Fiber.interrupt(one)
      assert.deepStrictEqual(numbers(yield* Stream.runCollect(Stream.take(client.many(item(99)), 1))), [0])
      const begun = yield* Deferred.make<void>()
      const each = yield* Effect.forkChild(
        Stream.runForEach(client.each(Stream.concat(items(1), Stream.never)), () => Deferred.succeed(begun, undefined))
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(each)
      yield* settle
      assert.deepStrictEqual(seen, ["one CANCELLED", "many CANCELLED", "each CANCELLED"])
    })
  )

  it.effect("looks at every message and may replace or refuse it", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const watch = (name: string) => (message: unknown) =>
        Effect.suspend(() => {
          const { n } = message as Item
          seen.push(`${name} ${n}`)
          return n === 7 ? Effect.fail(RpcError.of("OUT_OF_RANGE", "seven")) : Effect.succeed(item(n * 2))
        })
      const doubling: Interceptor.Interceptor = (call, next) =>
        next(call, { request: watch("request"), response: watch("response") })
      const client = yield* shop({ [side]: [doubling] })
      assert.strictEqual((yield* client.one(item(1))).n, 4)
      assert.deepStrictEqual(numbers(yield* Stream.runCollect(client.many(item(1)))), [0, 2, 4, 6, 8])
      assert.strictEqual((yield* client.sum(items(1, 2))).n, 12)
      assert.deepStrictEqual(numbers(yield* Stream.runCollect(client.each(items(1, 2)))), [4, 8])
      assert.deepStrictEqual(seen.slice(0, 2), ["request 1", "response 2"])
      assert.strictEqual((yield* Effect.flip(client.sum(items(1, 7)))).message, "seven")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(client.each(items(7))))).message, "seven")
    })
  )

  it.effect("messages pass several of them in order", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const named =
        (name: string): Interceptor.Interceptor =>
        (call, next) => {
          const watch = (what: string) => (message: unknown) =>
            Effect.sync(() => (seen.push(`${name} ${what}`), message))
          return next(call, { request: watch("request"), response: watch("response") })
        }
      const client = yield* shop({ [side]: [named("outer"), named("inner")] })
      yield* client.one(item(1))
      assert.deepStrictEqual(seen, ["outer request", "inner request", "inner response", "outer response"])
    })
  )

  it.effect("bounds a stream in time", () =>
    Effect.gen(function* () {
      const bounded: Interceptor.Interceptor = (call, next) =>
        Effect.timeoutOrElse(next(call), {
          duration: "2 seconds",
          orElse: () => Effect.fail(RpcError.of("ABORTED", "too long"))
        })
      const client = yield* shop({ [side]: [bounded] })
      const running = yield* Effect.forkChild(Effect.flip(Stream.runDrain(client.many(item(99)))))
      yield* settle
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(running)).message, "too long")
    })
  )

  it.effect("stands around the methods it applies to alone", () =>
    Effect.gen(function* () {
      const { record, seen } = recorder()
      const client = yield* shop({ [side]: [Interceptor.when(({ pattern }) => pattern === "unary", record)] })
      yield* client.one(item(1))
      yield* Stream.runDrain(client.many(item(1)))
      assert.deepStrictEqual(seen, ["one OK"])
    })
  )
})

/** Lets what has been started in other fibers come to rest; nothing here waits for time. */
const settle = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow, { discard: true })

describe("metadata", () => {
  it.effect("goes out with the call and comes back with its end, good or bad", () =>
    Effect.gen(function* () {
      const tag: Interceptor.Interceptor = (call, next) => {
        const given = new Map([["tenant", call.metadata.get("tenant") ?? ""]])
        return next(call).pipe(
          Effect.map((answer) => answer.with({ ...Object.fromEntries(given), left: "3" })),
          Effect.mapError((error) => error.with({ left: "2" }))
        )
      }
      const got: Array<ReadonlyMap<string, string>> = []
      const send: Interceptor.Interceptor = (call, next) =>
        Effect.tap(next({ ...call, metadata: new Map([["tenant", "t1"]]) }), ({ metadata }) =>
          Effect.sync(() => got.push(metadata))
        )
      const client = yield* shop({ server: [tag], client: [send] })
      yield* client.one(item(1))
      yield* Stream.runDrain(client.many(item(1)))
      yield* client.sum(items(1))
      yield* Stream.runDrain(client.each(items(1)))
      const expected = new Map([
        ["tenant", "t1"],
        ["left", "3"]
      ])
      assert.deepStrictEqual(got, [expected, expected, expected, expected])
      const broken = yield* Effect.flip(Stream.runDrain(client.many(item(-1))))
      assert.deepStrictEqual([broken.status, broken.details], ["UNAVAILABLE", { left: "2" }])
    })
  )
})

describe("a retry", () => {
  /** Never after a message was seen. */
  const retry: Interceptor.Interceptor = (call, next) =>
    Effect.suspend(() => {
      let seen = false
      const attempt = next(call, {
        response: (message) => Effect.sync(() => ((seen = true), message))
      })
      return Effect.retry(attempt, {
        schedule: Schedule.exponential("100 millis"),
        times: 4,
        while: (error) => !seen && error.is("UNAVAILABLE")
      })
    })

  const flaky = (failures: number) => {
    const attempts: Array<string> = []
    const interceptor: Interceptor.Interceptor = (call, next) =>
      Effect.suspend(() => {
        attempts.push(call.method)
        return attempts.length <= failures ? Effect.fail(RpcError.of("UNAVAILABLE", "again")) : next(call)
      })
    return { attempts, interceptor }
  }

  it.effect("is an interceptor of the client, for every pattern", () =>
    Effect.gen(function* () {
      const calls = {
        one: (client: Effect.Success<ReturnType<typeof shop>>) => client.one(item(5)),
        many: (client: Effect.Success<ReturnType<typeof shop>>) => Stream.runCollect(client.many(item(1))),
        sum: (client: Effect.Success<ReturnType<typeof shop>>) => client.sum(items(1, 2)),
        each: (client: Effect.Success<ReturnType<typeof shop>>) => Stream.runCollect(client.each(items(1, 2)))
      }
      for (const [method, call] of Object.entries(calls)) {
        const { attempts, interceptor } = flaky(2)
        const client = yield* shop({ server: [interceptor], client: [retry] })
        const running = yield* Effect.forkChild(call(client) as Effect.Effect<unknown, unknown>)
        yield* settle
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(running)
        assert.deepStrictEqual(attempts, [method, method, method])
      }
    })
  )

  it.effect("stops once a message was seen", () =>
    Effect.gen(function* () {
      const { record, seen } = recorder()
      const client = yield* shop({ server: [record], client: [retry] })
      const got: Array<number> = []
      const error = yield* Effect.flip(
        Stream.runForEach(client.many(item(-1)), ({ n }) => Effect.sync(() => got.push(n)))
      )
      assert.strictEqual(error.status, "UNAVAILABLE")
      assert.deepStrictEqual([got, seen], [[0, 1], ["many UNAVAILABLE"]])
    })
  )
})

describe("the caller's own requests", () => {
  it.effect("fail the call with their own error, and interceptors see it cancelled", () =>
    Effect.gen(function* () {
      const { record, seen } = recorder()
      const client = yield* shop({ client: [record] })
      const requests = Stream.concat(items(1), Stream.fail("mine" as const))
      assert.strictEqual(yield* Effect.flip(client.sum(requests)), "mine")
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(client.each(requests))), "mine")
      assert.deepStrictEqual(seen, ["sum CANCELLED", "each CANCELLED"])
    })
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// Interceptors that belong to services and methods
// ---------------------------------------------------------------------------------------------------------------------

class Principal extends Context.Service<Principal, { readonly name: string }>()("seam/Principal") {}

class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", { hint: Schema.String }) {}

class Auth extends Interceptor.Service<Auth, { provides: Principal }>()("seam/Auth", { error: Unauthorized }) {}

class Tenant extends Context.Service<Tenant, string>()("seam/Tenant") {}

class Tenancy extends Interceptor.Service<Tenancy, { provides: Tenant; requires: Principal }>()("seam/Tenancy") {}

class Users extends Context.Service<Users, ReadonlyMap<string, string>>()("seam/Users") {}

class Text extends Wire.Class<Text>("seam/Text")({ text: Wire.String }) {}

const Notes = Service.make("Notes", { interceptors: [Auth] }).add(
  Rpc.unary("whoami", { request: Text, response: Text }),
  Rpc.serverStream("greet", { request: Text, response: Text, interceptors: [Tenancy] })
)

const NotesLive = Notes.toLayer({
  whoami: () => Effect.map(Principal, ({ name }) => new Text({ text: name })),
  greet: () =>
    Stream.unwrap(
      Effect.gen(function* () {
        const { name } = yield* Principal
        const tenant = yield* Tenant
        const { method } = yield* CallContext
        return Stream.make(new Text({ text: `${method} ${name}@${tenant}` }))
      })
    )
})

const AuthLive = Auth.toLayer((call, next) =>
  Effect.gen(function* () {
    const name = (yield* Users).get(call.metadata.get("token") ?? "")
    if (name === undefined) return yield* new Unauthorized({ hint: "send a token" })
    return yield* Effect.provideService(next(call), Principal, { name })
  })
)

const TenancyLive = Tenancy.toLayer((call: Call, next) =>
  Effect.flatMap(Principal, ({ name }) => Effect.provideService(next(call), Tenant, `tenant of ${name}`))
)

const UsersLive = Layer.succeed(Users, new Map([["t", "ada"]]))

describe("interceptors of services and methods", () => {
  const notes = Effect.gen(function* () {
    const context = yield* Layer.build(NotesLive.pipe(Layer.provide([AuthLive, TenancyLive]), Layer.provide(UsersLive)))
    const dispatcher = yield* Dispatcher.make({ implementations: Service.implementationsIn(context) })
    return (yield* LocalTransport.make(dispatcher))(Notes)
  })

  it.effect("provide what handlers ask for", () =>
    Effect.gen(function* () {
      const client = yield* notes
      const options = { metadata: { token: "t" } }
      assert.strictEqual((yield* client.whoami(new Text({ text: "" }), options)).text, "ada")
      const greeted = yield* Stream.runCollect(client.greet(new Text({ text: "" }), options))
      assert.deepStrictEqual(
        greeted.map(({ text }) => text),
        ["greet ada@tenant of ada"]
      )
    })
  )

  it.effect("fail with an error of their own, which callers see typed", () =>
    Effect.gen(function* () {
      const client = yield* notes
      const error: Unauthorized | RpcError = yield* Effect.flip(client.whoami(new Text({ text: "" })))
      assert.deepStrictEqual(error, new Unauthorized({ hint: "send a token" }))
      const result = yield* client.greet(new Text({ text: "" })).pipe(
        Stream.catchTag("Unauthorized", ({ hint }) => Stream.make(new Text({ text: hint }))),
        Stream.runCollect,
        Effect.result
      )
      assert.isTrue(Result.isSuccess(result) && result.success[0]?.text === "send a token")
    })
  )

  it("are required by the layer of the handlers, and so is what they do not provide", () => {
    // @ts-expect-error Tenancy is missing
    const withoutTenancy: Layer.Layer<Service.Handlers<"Notes">, never, Users> = Layer.provide(NotesLive, AuthLive)
    assert.isDefined(withoutTenancy)
    const Bare = Service.make("Bare").add(Rpc.unary("whoami", { request: Text, response: Text }))
    // @ts-expect-error nothing provides a Principal
    const bare: Layer.Layer<Service.Handlers<"Bare">> = Bare.toLayer({
      whoami: () => Effect.map(Principal, ({ name }) => new Text({ text: name }))
    })
    assert.isDefined(bare)
  })

  it("handlers of one version are not those of another", () => {
    const V2 = Service.make("Bare", { version: 2 }).add(Rpc.unary("whoami", { request: Text, response: Text }))
    const V2Live = V2.toLayer({ whoami: Effect.succeed })
    // @ts-expect-error version 2 is not version 1
    const v1: Layer.Layer<Service.Handlers<"Bare", 1>> = V2Live
    assert.isDefined(v1)
  })
})
