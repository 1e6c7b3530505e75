/** Connections to a peer that is dialled anew: which of them are closed. */
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Dialled } from "../../packages/iroh/src/internal/dialled.ts"
import { alpn, node } from "./contract.ts"

const makeNode = node(IrohNode.layerMemory({ alpns: [alpn] }))

const test = (title: string, body: () => Effect.Effect<void, unknown, Scope.Scope | MemoryNetwork>) =>
  it.effect(title, () => Effect.provide(Effect.scoped(body()), MemoryNetwork.layer()))

/** A connection that was dialled at one address, and whose peer is dialled at another without an answer. */
const dialledAnew = Effect.fnUntraced(function* (before: ReadonlyArray<string>, now: ReadonlyArray<string>) {
  const home = yield* makeNode
  const connection = yield* (yield* makeNode).connect(yield* home.address, alpn)
  const accepted = yield* home.accept
  const dialled = new Dialled()
  yield* Effect.forkScoped(dialled.remember(connection, NodeAddr.make(home.endpointId, before)), {
    startImmediately: true
  })
  const dialling = yield* Effect.forkScoped(
    dialled.unheld(NodeAddr.make(home.endpointId, now), Effect.never as Effect.Effect<typeof connection>),
    { startImmediately: true }
  )
  yield* TestClock.adjust(1_999)
  assert.isFalse(connection.isClosed())
  return { accepted, connection, dialled, dialling, home }
})

describe("a connection to a peer that is dialled without an answer", () => {
  test("is closed when all addresses are new and nothing comes for two seconds", () =>
    Effect.gen(function* () {
      const { connection, dialling } = yield* dialledAnew(["1.1.1.1:1", "[::1]:1"], ["1.1.1.1:2", "[::1]:2"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* connection.closed, { _tag: "Local", code: 0, reason: "the peer has moved" })
      assert.isUndefined(dialling.pollUnsafe())
    }))

  test("is left when something comes", () =>
    Effect.gen(function* () {
      const { accepted, connection } = yield* dialledAnew(["1.1.1.1:1"], ["1.1.1.1:2"])
      const { send } = yield* accepted.openBi
      yield* send.write(Uint8Array.of(1))
      yield* (yield* connection.acceptBi).recv.read()
      yield* TestClock.adjust("1 minute")
      assert.isFalse(connection.isClosed())
    }))

  for (const [title, before, now] of [
    ["one address is the same", ["1.1.1.1:1", "[::1]:1"], ["1.1.1.1:2", "[::1]:1"]],
    ["no addresses are given", ["1.1.1.1:1"], []],
    ["it was dialled by its id alone", [], ["1.1.1.1:1"]]
  ] as const) {
    test(`is left when ${title}`, () =>
      Effect.gen(function* () {
        const { connection } = yield* dialledAnew(before, now)
        yield* TestClock.adjust("1 minute")
        assert.isFalse(connection.isClosed())
      }))
  }

  test("is left when the peer answers in time", () =>
    Effect.gen(function* () {
      const { connection, dialled, dialling, home } = yield* dialledAnew(["1.1.1.1:1"], ["1.1.1.1:2"])
      yield* Fiber.interrupt(dialling)
      const again = Effect.succeed(connection)
      assert.strictEqual(yield* dialled.unheld(NodeAddr.make(home.endpointId, ["1.1.1.1:2"]), again), connection)
      yield* TestClock.adjust("1 minute")
      assert.isFalse(connection.isClosed())
    }))
})
