import { serve } from "@aster-effect/admission/Handshake"
import { HandshakeSlots } from "@aster-effect/admission/HandshakeSlots"
import type { Connection } from "@aster-effect/iroh/Connection"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import * as Router from "@aster-effect/iroh/Router"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { memoryNode, scenario } from "./Deployment.ts"

/** A node that answers every request with `ok`, and how many it answered. */
const answering = Effect.fnUntraced(function* (
  first: Effect.Effect<void> = Effect.void,
  padding = 0,
  known: ReadonlySet<string> = new Set()
) {
  const home = yield* memoryNode()
  const answered = { count: 0 }
  const limits = yield* Layer.build(HandshakeSlots.layer)
  const reply = () =>
    Effect.map(first, () => {
      answered.count++
      return new TextEncoder().encode(`ok${" ".repeat(padding)}`)
    })
  yield* Router.serve({
    protocols: [
      {
        alpn: "shake/1",
        handler: (connection: Connection) =>
          Effect.provide(serve(connection, reply, { known: Effect.succeed(known.has(connection.remoteId)) }), limits)
      }
    ]
  }).pipe(Effect.provideService(IrohNode, home))
  return { address: yield* home.address, answered }
})

const connect = (node: IrohNode["Service"], address: NodeAddr) => node.connect(address, "shake/1")

/** Opens a stream and says something without ever finishing. */
const stall = Effect.fnUntraced(function* (node: IrohNode["Service"], address: NodeAddr) {
  const connection = yield* connect(node, address)
  const { send } = yield* connection.openBi
  yield* send.write(Uint8Array.of(0x7b))
  return connection
})

const ask = Effect.fnUntraced(function* (connection: Connection) {
  const { recv, send } = yield* connection.openBi
  yield* send.write(Uint8Array.of(0x7b))
  yield* send.finish
  return new TextDecoder().decode((yield* recv.read()) ?? new Uint8Array())
})

describe("Handshake.serve", () => {
  scenario("13: a handshake that is not complete after ten seconds is over", () =>
    Effect.gen(function* () {
      const { address, answered } = yield* answering()
      const connection = yield* stall(yield* memoryNode(), address)
      yield* TestClock.adjust("9 seconds")
      assert.isFalse(connection.isClosed())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* connection.closed, { _tag: "Peer", code: 408, reason: "too slow" })
      assert.strictEqual(answered.count, 0)
    })
  )

  scenario("13: who opens no stream at all is not waited for either", () =>
    Effect.gen(function* () {
      const { address } = yield* answering()
      const connection = yield* connect(yield* memoryNode(), address)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* connection.closed)._tag, "Peer")
    })
  )

  scenario("13: a peer has at most four handshakes under way", () =>
    Effect.gen(function* () {
      const { address } = yield* answering()
      const node = yield* memoryNode()
      const open = yield* Effect.all(Array.from({ length: 4 }, () => stall(node, address)))
      const fifth = yield* connect(node, address)
      assert.deepStrictEqual(yield* fifth.closed, { _tag: "Peer", code: 403, reason: "not admitted" })
      assert.isTrue(open.every((connection) => !connection.isClosed()))
      assert.strictEqual(yield* ask(yield* connect(yield* memoryNode(), address)), "ok")
    })
  )

  scenario("13: a node has at most 64 handshakes under way, and a newcomer gets the place waited for longest", () =>
    Effect.gen(function* () {
      const { address, answered } = yield* answering()
      const stalled: Array<Connection> = []
      for (let i = 0; i < 64; i++) stalled.push(yield* stall(yield* memoryNode(), address))
      const late = yield* stall(yield* memoryNode(), address)
      const [longest, ...others] = stalled
      assert.deepStrictEqual(yield* longest!.closed, { _tag: "Peer", code: 503, reason: "too many handshakes" })
      assert.isTrue([late, ...others].every((connection) => !connection.isClosed()))
      assert.strictEqual(yield* ask(yield* connect(yield* memoryNode(), address)), "ok")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* late.closed, { _tag: "Peer", code: 408, reason: "too slow" })
      assert.strictEqual(answered.count, 1)
    })
  )

  scenario("newcomers end no wait for a peer that has shown a credential before", () =>
    Effect.gen(function* () {
      const member = yield* memoryNode()
      const { address } = yield* answering(Effect.void, 0, new Set([member.endpointId]))
      const waited = yield* stall(member, address)
      for (let i = 0; i < 70; i++) yield* stall(yield* memoryNode(), address)
      assert.isFalse(waited.isClosed())
      // It may come again, beside all of them.
      assert.strictEqual(yield* ask(yield* connect(member, address)), "ok")
      yield* TestClock.adjust("10 seconds")
    })
  )

  scenario("a clock that is set back keeps nobody out", () =>
    Effect.gen(function* () {
      const { address } = yield* answering()
      yield* TestClock.setTime(1_000_000_000)
      const node = yield* memoryNode()
      const attempt = Effect.flatMap(connect(node, address), ask)
      yield* Effect.repeat(attempt, { times: 9 })
      yield* TestClock.setTime(0)
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(yield* attempt, "ok")
    })
  )

  scenario("13: a handshake whose request is complete keeps its place", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe()
      const { address } = yield* answering(Latch.await(release))
      const early = yield* Effect.forkChild(Effect.flatMap(connect(yield* memoryNode(), address), ask))
      const asked = Array.from({ length: 63 }, () =>
        Effect.flatMap(memoryNode(), (node) => Effect.flatMap(connect(node, address), ask))
      )
      const others = yield* Effect.forkChild(Effect.all(asked, { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      const late = yield* connect(yield* memoryNode(), address)
      assert.deepStrictEqual(yield* late.closed, { _tag: "Peer", code: 503, reason: "too many handshakes" })
      yield* Latch.open(release)
      assert.strictEqual(yield* Fiber.join(early), "ok")
      assert.isTrue((yield* Fiber.join(others)).every((answer) => answer === "ok"))
    })
  )

  scenario("13: peers that do not take their answer keep nobody out, and are given up", () =>
    Effect.gen(function* () {
      const { address, answered } = yield* answering(Effect.void, 100_000)
      const deaf: Array<Connection> = []
      for (let i = 0; i < 70; i++) {
        const connection = yield* connect(yield* memoryNode(), address)
        const { send } = yield* connection.openBi
        yield* Effect.andThen(send.write(Uint8Array.of(0x7b)), send.finish)
        deaf.push(connection)
        yield* TestClock.adjust("1 millis")
      }
      assert.strictEqual(answered.count, 70)
      assert.strictEqual(deaf.filter((connection) => connection.isClosed()).length, 6)
      assert.match(yield* ask(yield* connect(yield* memoryNode(), address)), /^ok/)
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(deaf.every((connection) => connection.isClosed()))
    })
  )

  scenario("13: a peer has ten attempts a minute, others are not affected", () =>
    Effect.gen(function* () {
      const { address, answered } = yield* answering()
      const node = yield* memoryNode()
      for (let i = 0; i < 10; i++) {
        const connection = yield* connect(node, address)
        assert.strictEqual(yield* ask(connection), "ok")
        yield* connection.close(0, "done")
        yield* TestClock.adjust("1 second")
      }
      const eleventh = yield* connect(node, address)
      assert.deepStrictEqual(yield* eleventh.closed, { _tag: "Peer", code: 403, reason: "not admitted" })
      assert.strictEqual(answered.count, 10)
      assert.strictEqual(yield* ask(yield* connect(yield* memoryNode(), address)), "ok")
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(yield* ask(yield* connect(node, address)), "ok")
    })
  )

  scenario("a connection has one handshake: further streams are not looked at", () =>
    Effect.gen(function* () {
      const { address, answered } = yield* answering()
      const connection = yield* connect(yield* memoryNode(), address)
      assert.strictEqual(yield* ask(connection), "ok")
      const { send } = yield* connection.openBi
      yield* send.write(Uint8Array.of(0x7b))
      yield* send.finish
      // Five for us to close, and another that the router gives for it.
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* connection.closed)._tag, "Peer")
      assert.strictEqual(answered.count, 1)
    })
  )
})
