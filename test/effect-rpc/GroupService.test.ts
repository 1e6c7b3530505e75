/** Groups of effect/rpc as services: what becomes of their schemas, and their handlers unchanged. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import * as Wire from "@aster-effect/core/message/Wire"
import * as AsterRpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { Caller } from "@aster-effect/effect-rpc/Caller"
import * as GroupService from "@aster-effect/effect-rpc/GroupService"
import { AsterTest } from "@aster-effect/testing/AsterTest"
import { assert, describe, it, layer } from "@effect/vitest"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as RpcTest from "effect/rpc/RpcTest"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Note, Notes, NotesGroup, NotesGroupLive, NotesLive } from "../../examples/effect-rpc/Notes.ts"

/** What a group becomes, or why nothing. */
const refusalOf = (group: RpcGroup.RpcGroup<any>): string => {
  try {
    GroupService.make("S", group)
  } catch (error) {
    if (error instanceof Wire.WireTypeError) return error.message
    throw error
  }
  return assert.fail("it was taken")
}

describe("the service of a group", () => {
  it("has the contract of the one that is written by hand", () => {
    class AddRequest extends Wire.Class<AddRequest>("Notes/AddRequest")({ text: Wire.String }) {}
    class GetRequest extends Wire.Class<GetRequest>("Notes/GetRequest")({ id: Wire.Int }) {}
    class ListRequest extends Wire.Class<ListRequest>("Notes/ListRequest")({}) {}
    class ClearRequest extends Wire.Class<ClearRequest>("Notes/ClearRequest")({}) {}
    class ClearResponse extends Wire.Class<ClearResponse>("Notes/ClearResponse")({}) {}
    const byHand = Service.make("Notes").add(
      AsterRpc.unary("add", { request: AddRequest, response: Note }),
      AsterRpc.unary("get", { request: GetRequest, response: Note, idempotent: true }),
      AsterRpc.serverStream("list", { request: ListRequest, response: Note }),
      AsterRpc.unary("clear", { request: ClearRequest, response: ClearResponse })
    )
    assert.strictEqual(Notes.contract.contractId, byHand.contract.contractId)
    const other = GroupService.make("Notes", NotesGroup, { version: 2, methods: { get: { timeout: "3 seconds" } } })
    assert.notStrictEqual(other.contract.contractId, byHand.contract.contractId)
    assert.strictEqual(other.version, 2)
  })

  it("is refused where a schema has no wire form, naming the field", () => {
    // With these types the compiler does not see that they have none.
    const text: Schema.Codec<string> = Schema.String
    const struct: Schema.Codec<{ readonly n: number }> = Schema.Struct({ n: Wire.Int })
    const cases = [
      [Rpc.make("a", { payload: { n: Schema.Int } }), "S.a payload.n: a plain number has no wire form: use Wire.Int"],
      [Rpc.make("b", { payload: Schema.Struct({ in: Wire.List(text) }) }), "S.b payload.in[]: plain text"],
      [Rpc.make("c", { success: Schema.Struct({ at: Schema.Date }) }), "S.c success.at: "],
      [Rpc.make("d", { success: Schema.Number, stream: true }), "S.d success: a plain number"],
      [Rpc.make("e", { payload: { n: Schema.optional(Wire.Int) } }), "S.e payload.n: a field is always there"],
      [Rpc.make("f", { success: Wire.List(struct) }), "S.f success[]: a plain struct"],
      [Rpc.make("g", { payload: { id: Wire.Int }, primaryKey: ({ id }) => `${id}` }), "S.g payload: a plain struct"]
    ] as const
    for (const [rpc, expected] of cases) assert.include(refusalOf(RpcGroup.make(rpc as Rpc.Any)), expected)
  })
})

describe("the compiler", () => {
  const wrong = {
    number: RpcGroup.make(Rpc.make("a", { payload: { n: Schema.Number, fine: Wire.Int } })),
    text: RpcGroup.make(Rpc.make("ok", { success: Wire.Int }), Rpc.make("b", { success: Schema.String, stream: true })),
    optional: RpcGroup.make(Rpc.make("c", { payload: { n: Schema.optional(Wire.Int) } }))
  }

  /** What is said of a group. */
  type Said<G> = G extends RpcGroup.RpcGroup<infer R> ? GroupService.CheckedGroup<R> : never

  it("refuses a group in which something has no wire form, naming the rpc and the field", () => {
    const said: {
      readonly [K in keyof typeof wrong]: Said<(typeof wrong)[K]> extends { readonly "~wire.form": infer Why } ? Why : 0
    } = {
      number: {
        rpc: "a",
        payload: {
          n: {
            "~wire.form": "a plain number has no wire form: use Wire.Int, Wire.Float64 or a width such as Wire.Int32"
          },
          fine: undefined
        },
        success: undefined
      },
      text: {
        rpc: "b",
        payload: undefined,
        success: { "~wire.form": "plain text has no wire form: use Wire.String, with checks of your own on top" }
      },
      optional: {
        rpc: "c",
        payload: {
          n: {
            "~wire.form":
              "a field is always there: use Wire.Optional for null, or Wire.withDefault for what may be left out"
          }
        },
        success: undefined
      }
    }
    // @ts-expect-error - a plain number
    assert.throws(() => GroupService.make("S", wrong.number), said.number.payload.n["~wire.form"])
    // @ts-expect-error - plain text, in a stream
    assert.throws(() => GroupService.make("S", wrong.text), said.text.success["~wire.form"])
    // @ts-expect-error - a field that may be left out
    assert.throws(() => GroupService.make("S", wrong.optional), said.optional.payload.n["~wire.form"])
  })

  it("lets through what it cannot see, and groups of any rpcs", () => {
    const hidden: Schema.Codec<string> = Schema.String
    assert.include(refusalOf(RpcGroup.make(Rpc.make("a", { success: hidden }))), "plain text")
    const of = <R extends Rpc.Any>(group: RpcGroup.RpcGroup<R> & GroupService.CheckedGroup<R>) =>
      GroupService.make("S", group)
    assert.strictEqual(of(RpcGroup.make(Rpc.make("b", { success: Wire.Int }))).name, "S")
  })
})

layer(AsterTest.layer({ services: [Notes] }).pipe(Layer.provide(NotesLive)))("a group that is served", (it) => {
  it.effect.each(["xlang", "json"] as const)("answers calls, streams and declared errors in %s", (encoding) =>
    Effect.gen(function* () {
      const notes = yield* (yield* AsterClient).client(Notes, { encoding })
      assert.deepStrictEqual(yield* notes.add({ text: "a" }), new Note({ id: 1, text: "a" }))
      assert.deepStrictEqual(yield* notes.get({ id: 1 }), new Note({ id: 1, text: "a" }))
      const error = yield* Effect.flip(notes.get({ id: 7 }))
      assert.deepInclude(error, { _tag: "NoSuchNote", id: 7 })
      assert.deepStrictEqual(yield* Stream.runCollect(notes.list({})), [new Note({ id: 1, text: "a" })])
      assert.deepStrictEqual(yield* notes.clear({}), {})
      assert.deepStrictEqual(yield* Stream.runCollect(notes.list({})), [])
    })
  )
})

it.effect("the same group and handlers go on under Effect's own protocol", () =>
  Effect.gen(function* () {
    const notes = yield* RpcTest.makeClient(NotesGroup)
    assert.strictEqual((yield* notes.add({ text: "a" })).id, 1)
    assert.deepInclude(yield* Effect.flip(notes.get({ id: 7 })), { _tag: "NoSuchNote", id: 7 })
  }).pipe(Effect.scoped, Effect.provide(NotesGroupLive))
)

// What handlers and middleware are told, and how calls end.

class User extends Context.Service<User, string>()("test/User") {}

class Unknown extends Schema.TaggedError<Unknown>()("Unknown", { token: Schema.String }) {}

class Auth extends RpcMiddleware.Service<Auth, { provides: User }>()("test/Auth", { error: Unknown }) {}

const AuthLive = Layer.succeed(Auth, (effect, { headers }) =>
  headers["token"] === "t"
    ? Effect.provideService(effect, User, "ada")
    : Effect.fail(new Unknown({ token: headers["token"] ?? "" }))
)

const Text = Schema.Struct({ text: Wire.String })

class Told extends Context.Service<
  Told,
  { readonly begun: Queue.Queue<string>; readonly interrupted: Queue.Queue<string> }
>()("test/Told") {
  static readonly layer = Layer.effect(
    this,
    Effect.map(Effect.all([Queue.unbounded<string>(), Queue.unbounded<string>()]), ([begun, interrupted]) => ({
      begun,
      interrupted
    }))
  )
}

class Calls extends RpcGroup.make(
  Rpc.make("whoAmI", { success: Text }).middleware(Auth),
  Rpc.make("mine", { payload: { count: Wire.Int }, success: Text, stream: true }).middleware(Auth),
  Rpc.make("peer", { success: Text }),
  Rpc.make("wait"),
  Rpc.make("trickle", { success: Text, stream: true }),
  Rpc.make("queued", { success: Wire.Int, stream: true }),
  Rpc.make("later", { success: Wire.Int }),
  Rpc.make("scoped", { success: Wire.Int })
) {}

const CallsGroupLive = Calls.toLayer(
  Effect.gen(function* () {
    const { begun, interrupted } = yield* Told
    const waiting = (name: string) =>
      Effect.onInterrupt(Effect.andThen(Queue.offer(begun, name), Effect.never), () => Queue.offer(interrupted, name))
    return Calls.of({
      whoAmI: () => Effect.map(User, (text) => ({ text })),
      mine: ({ count }) =>
        Stream.mapEffect(Stream.range(1, count), (n) => Effect.map(User, (name) => ({ text: `${name} ${n}` }))),
      peer: () => Effect.map(Caller, (peer) => ({ text: peer?.id ?? "nobody" })),
      wait: () => waiting("wait"),
      trickle: () => Stream.concat(Stream.make({ text: "first" }), Stream.drain(Stream.fromEffect(waiting("trickle")))),
      queued: () =>
        Effect.gen(function* () {
          const queue = yield* Queue.unbounded<number, Cause.Done>()
          yield* Queue.offerAll(queue, [1, 2, 3])
          yield* Queue.end(queue)
          return queue
        }),
      later: () => Effect.tap(Deferred.make<number>(), (deferred) => Effect.forkChild(Deferred.succeed(deferred, 4))),
      scoped: () =>
        Rpc.uninterruptible(
          Effect.as(
            Effect.addFinalizer(() => Queue.offer(interrupted, "scope")),
            5
          )
        )
    })
  })
)

const CallsService = GroupService.make("Calls", Calls)

const CallsLive = GroupService.layer(CallsService).pipe(Layer.provide([CallsGroupLive, AuthLive]))

layer(AsterTest.layer({ services: [CallsService] }).pipe(Layer.provide(CallsLive), Layer.provideMerge(Told.layer)))(
  "the handlers of a group",
  (it) => {
    const known = { metadata: { Token: "t" } }

    it.effect("have their middleware around them, which reads the metadata and provides services", () =>
      Effect.gen(function* () {
        const calls = yield* AsterTest.client(CallsService)
        assert.deepStrictEqual(yield* calls.whoAmI({}, known), { text: "ada" })
        const items = yield* Stream.runCollect(calls.mine({ count: 100 }, known))
        assert.deepStrictEqual(
          items,
          Array.from({ length: 100 }, (_, i) => ({ text: `ada ${i + 1}` }))
        )
        for (const refused of [calls.whoAmI({}), Stream.runCollect(calls.mine({ count: 1 }))]) {
          assert.deepInclude(yield* Effect.flip(refused as Effect.Effect<unknown, unknown>), { _tag: "Unknown" })
        }
      })
    )

    it.effect("know who calls", () =>
      Effect.gen(function* () {
        const { node } = yield* AsterClient
        const calls = yield* AsterTest.client(CallsService)
        assert.strictEqual((yield* calls.peer({})).text, node.endpointId)
      })
    )

    it.effect("are interrupted when their caller gives up", () =>
      Effect.gen(function* () {
        const { begun, interrupted } = yield* Told
        const calls = yield* AsterTest.client(CallsService)
        const unary = yield* Effect.forkChild(calls.wait({}))
        assert.strictEqual(yield* Queue.take(begun), "wait")
        yield* Fiber.interrupt(unary)
        assert.strictEqual(yield* Queue.take(interrupted), "wait")
        const streaming = yield* Effect.forkChild(Stream.runDrain(calls.trickle({})))
        assert.strictEqual(yield* Queue.take(begun), "trickle")
        yield* Fiber.interrupt(streaming)
        assert.strictEqual(yield* Queue.take(interrupted), "trickle")
      })
    )

    it.effect("may answer in every way that RpcServer knows", () =>
      Effect.gen(function* () {
        const { interrupted } = yield* Told
        const calls = yield* AsterTest.client(CallsService)
        assert.deepStrictEqual(yield* Stream.runCollect(calls.queued({})), [1, 2, 3])
        assert.strictEqual(yield* calls.later({}), 4)
        assert.strictEqual(yield* calls.scoped({}), 5)
        assert.strictEqual(yield* Queue.take(interrupted), "scope")
      })
    )
  }
)
