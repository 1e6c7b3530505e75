import * as Role from "@aster-effect/admission/Role"
import * as Caller from "@aster-effect/core/call/Caller"
import * as Control from "@aster-effect/core/wire/Control"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as Frame from "@aster-effect/core/wire/Frame"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import * as Multiplex from "@aster-effect/transport/Multiplex"
import * as Rpc from "@aster-effect/core/service/Rpc"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Service from "@aster-effect/core/service/Service"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Note } from "./Deployment.ts"
import vectors from "./vectors/trust.json" with { type: "json" }

const holding = (roles: string | null): ReadonlyMap<string, string> =>
  new Map(roles === null ? [] : [["aster.role", roles]])

describe("Capability", () => {
  it.each(vectors.capability)("$kind of $roles against $aster_role", ({ aster_role, expect, kind, roles }) => {
    const requirement = { kind: kind as Role.Requirement["kind"], roles }
    assert.strictEqual(Role.isSatisfied(requirement, holding(aster_role)), expect)
  })

  it("constructors make the contract's form", () => {
    assert.deepStrictEqual(Role.role("a"), { kind: "role", roles: ["a"] })
    assert.deepStrictEqual(Role.anyOf("a", "b"), { kind: "any_of", roles: ["a", "b"] })
    assert.deepStrictEqual(Role.allOf("a", "b"), { kind: "all_of", roles: ["a", "b"] })
  })

  it("an empty list is refused when declared and satisfied by nobody", () => {
    // @ts-expect-error an empty list does not type-check either
    assert.throws(() => Role.anyOf())
    // @ts-expect-error an empty list does not type-check either
    assert.throws(() => Role.allOf())
    for (const kind of ["role", "any_of", "all_of"] as const) {
      assert.isFalse(Role.isSatisfied({ kind, roles: [] }, holding("a")))
    }
  })

  it("an unknown kind is satisfied by nobody", () => {
    const unknown = { kind: "none_of", roles: ["a"] } as unknown as Role.Requirement
    assert.isFalse(Role.isSatisfied(unknown, holding("a")))
  })

  it("roles that no attribute can hold are refused", () => {
    for (const name of ["", " ", "a,b", " a"]) assert.throws(() => Role.role(name))
  })

  it("a peer without attributes has no roles", () => {
    assert.strictEqual(Role.heldRoles(new Map()).size, 0)
  })
})

describe("Role.enforce", () => {
  const message = { request: Note, response: Note }
  const make = (version: number, requires?: Role.Requirement) =>
    Service.make("Guarded", { version, requires }).add(
      Rpc.unary("plain", message),
      Rpc.unary("admin", { ...message, requires: Role.role("admin") }),
      Rpc.serverStream("many", { ...message, requires: Role.anyOf("admin", "reader") }),
      Rpc.clientStream("pour", { ...message, requires: Role.allOf("admin", "writer") }),
      Rpc.bidi("chat", { ...message, requires: Role.role("admin") })
    )
  const note = Effect.succeed(new Note({}))
  const handlers = {
    plain: () => note,
    admin: () => note,
    many: () => Stream.fromEffect(note),
    pour: (notes: Stream.Stream<Note, RpcError>) => Effect.andThen(Stream.runDrain(notes), note),
    chat: (notes: Stream.Stream<Note, RpcError>) => notes
  }
  const first = make(1, Role.role("staff"))
  const second = make(2)

  const dispatcher = Effect.gen(function* () {
    const context = yield* Layer.build(Layer.mergeAll(first.toLayer(handlers), second.toLayer(handlers)))
    const interceptors = [Role.enforce([first, second])]
    return yield* Dispatcher.make({ implementations: Service.implementationsIn(context), interceptors })
  })
  const calling = (roles: string | null) =>
    Effect.flatMap(dispatcher, (dispatcher) =>
      LocalTransport.make(dispatcher, { peer: { id: "peer", attributes: holding(roles) } })
    )
  const outcomeOf = <A>(call: Effect.Effect<A, RpcError>) =>
    Effect.match(call, { onSuccess: () => "OK", onFailure: (error) => `${error.status}: ${error.message}` })
  const denied = (what: string) => `PERMISSION_DENIED: ${what} requires a role that the caller does not hold`
  const request = new Note({})

  /** On a stream that calls share, where those that are answered at once have no effects around them. */
  const sharing = Effect.fnUntraced(function* (roles: string | null) {
    const [near, far] = LocalTransport.pair()
    const serve = Multiplex.server(yield* dispatcher, { id: "peer", attributes: holding(roles) }, Effect.never)
    yield* Effect.forkScoped(serve(far))
    const shared = yield* Multiplex.connect(near)
    assert(shared !== undefined)
    const open = Effect.sync(() => shared.open()!)
    return (service: typeof first) => Caller.make(service, { open: () => open, peer: "server", version: 1 })
  })

  const needsBoth = (using: typeof sharing | typeof calling) => () =>
    Effect.gen(function* () {
      const outcomes = (roles: string | null) =>
        Effect.gen(function* () {
          const client = (yield* using(roles))(first)
          return [yield* outcomeOf(client.plain(request)), yield* outcomeOf(client.admin(request))]
        })
      assert.deepStrictEqual(yield* outcomes(null), [denied("service 'Guarded'"), denied("service 'Guarded'")])
      assert.deepStrictEqual(yield* outcomes("admin"), [denied("service 'Guarded'"), denied("service 'Guarded'")])
      assert.deepStrictEqual(yield* outcomes("staff"), ["OK", denied("method 'Guarded.admin'")])
      assert.deepStrictEqual(yield* outcomes("staff, admin"), ["OK", "OK"])
    })

  it.effect("a call needs what the service and what the method asks for", needsBoth(calling))
  it.effect("a call needs what both ask for on a shared stream, too", needsBoth(sharing))

  it.effect("9: each version has its own requirement", () =>
    Effect.gen(function* () {
      const client = yield* calling(null)
      assert.strictEqual(yield* outcomeOf(client(second).plain(request)), "OK")
      assert.strictEqual(yield* outcomeOf(client(first).plain(request)), denied("service 'Guarded'"))
    })
  )

  it.effect("holds for all four patterns", () =>
    Effect.gen(function* () {
      const outcomes = (roles: string) =>
        Effect.gen(function* () {
          const client = (yield* calling(roles))(second)
          return yield* Effect.all([
            outcomeOf(client.admin(request)),
            outcomeOf(Stream.runDrain(client.many(request))),
            outcomeOf(client.pour(Stream.make(request))),
            outcomeOf(Stream.runDrain(client.chat(Stream.make(request))))
          ])
        })
      const all = ["admin", "many", "pour", "chat"].map((method) => denied(`method 'Guarded.${method}'`))
      assert.deepStrictEqual(yield* outcomes("nobody"), all)
      assert.deepStrictEqual(yield* outcomes("reader,writer"), all.with(1, "OK"))
      assert.deepStrictEqual(yield* outcomes("admin,writer"), ["OK", "OK", "OK", "OK"])
    })
  )

  it.effect("a call is denied before its request has come", () =>
    Effect.gen(function* () {
      const { handle } = yield* dispatcher
      const [client, server] = LocalTransport.pair()
      yield* Effect.forkChild(handle(server, { id: "peer", attributes: new Map() }))
      const header = { service: "Guarded", method: "admin", version: 2, callId: "", deadlineEpochMs: 0 }
      const payload = Control.encodeHeader(
        { ...header, serializationMode: 3, metadataKeys: [], metadataValues: [] },
        "json"
      )
      yield* client.send(Frame.encode(payload, Frame.HEADER))
      const answer = yield* client.receive
      assert.include(new TextDecoder().decode(answer), "requires a role")
    })
  )

  it.effect("a service that was left out is denied", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(second.toLayer(handlers))
      const interceptors = [Role.enforce([first])]
      const server = yield* Dispatcher.make({ implementations: Service.implementationsIn(context), interceptors })
      const client = (yield* LocalTransport.make(server))(second)
      assert.strictEqual(yield* outcomeOf(client.plain(request)), denied("service 'Guarded'"))
    })
  )

  it("is no part of the contract", () => {
    const plain = (version: number) =>
      Service.make("Guarded", { version }).add(...first.methods.map((method) => ({ ...method, requires: undefined })))
    assert.strictEqual(first.contract.contractId, plain(1).contract.contractId)
    assert.strictEqual(second.contract.contractId, plain(2).contract.contractId)
  })

  it("a requirement nobody can meet is refused where the service is declared", () => {
    const impossible = { kind: "any_of", roles: [] } as const
    assert.throws(() => Service.make("S", { requires: impossible }), "service S: an empty any_of requirement")
    const method = Rpc.unary("m", { ...message, requires: { kind: "role", roles: ["a,b"] } })
    assert.throws(() => Service.make("S").add(method), 'service S: method m: "a,b" cannot be a role')
  })
})
