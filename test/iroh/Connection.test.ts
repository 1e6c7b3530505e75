import { StreamClosed, StreamError } from "@aster-effect/iroh/BiStream"
import type { CloseReason } from "@aster-effect/iroh/Connection"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { RawBi, RawConnection, RawEndpoint } from "../../packages/iroh/src/internal/binding.ts"
import { parseCloseReason } from "../../packages/iroh/src/internal/closeReason.ts"
import { endpointOf, QuicConnection } from "../../packages/iroh/src/internal/connection.ts"
import { makeNode } from "../../packages/iroh/src/internal/node.ts"

const id = EndpointId.parse("ab".repeat(32))
const never = <A>(): Promise<A> => new Promise<A>(() => {})

/** A transport that counts what it is asked for, and answers when the test says so. */
const transport = () => {
  const opens: Array<(bi: RawBi) => void> = []
  const accepts: Array<(bi: RawBi) => void> = []
  const calls: Array<string> = []
  let reason: CloseReason | undefined
  const log = (name: string) => () => {
    calls.push(name)
    return Promise.resolve()
  }
  /** A stream whose halves say what is done to them. */
  const stream = (name: string): RawBi => ({
    send: { writeAll: log(`${name} write`), finish: log(`${name} finish`), reset: log(`${name} reset`) },
    recv: { read: never, stop: log(`${name} stop`) }
  })
  const raw: RawConnection = {
    remoteId: id,
    alpn: "test/1",
    openBi: () => new Promise((resolve) => opens.push(resolve)),
    acceptBi: () => new Promise((resolve) => accepts.push(resolve)),
    openUni: never,
    acceptUni: never,
    close: (code, text) => {
      reason ??= { _tag: "Local", code, reason: text }
    },
    closed: never,
    closeReason: () => reason,
    isClosed: () => reason !== undefined,
    bytesReceived: () => 0,
    failure: () => new StreamError({ reason: new StreamClosed() })
  }
  return { accepts, calls, connection: new QuicConnection(raw), opens, raw, stream }
}
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("Connection.openBi", () => {
  it.effect("a single call opens nothing ahead, the second begins to, one stream after the other", () =>
    Effect.gen(function* () {
      const { calls, connection, opens, stream } = transport()
      assert.lengthOf(opens, 0)
      const first = yield* Effect.forkChild(connection.openBi, { startImmediately: true })
      opens[0]?.(stream("0"))
      yield* Fiber.join(first)
      yield* turn
      assert.lengthOf(opens, 1)
      const second = yield* Effect.forkChild(connection.openBi, { startImmediately: true })
      opens[1]?.(stream("1"))
      yield* Fiber.join(second)
      for (const ready of [2, 3, 4]) {
        yield* turn
        assert.lengthOf(opens, ready + 1)
        opens[ready]?.(stream(String(ready)))
      }
      yield* turn
      assert.lengthOf(opens, 5) // three lie ready, no more are asked for
      for (const name of ["2", "3", "4"]) {
        const { send } = yield* connection.openBi // in the order of their opening
        yield* send.write(Uint8Array.of(1))
        assert.strictEqual(calls.pop(), `${name} write`)
      }
    })
  )

  it.effect("takers that wait are asked for all at once", () =>
    Effect.gen(function* () {
      const { connection, opens, stream } = transport()
      const takers = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 20 }, () => connection.openBi),
          { concurrency: "unbounded" }
        )
      )
      yield* turn
      assert.lengthOf(opens, 20)
      for (const open of opens) open(stream("x"))
      assert.lengthOf(yield* Fiber.join(takers), 20)
    })
  )

  it.effect("what lies ready is worth nothing once the connection is closed", () =>
    Effect.gen(function* () {
      const { connection, opens, stream } = transport()
      const waiting = yield* Effect.forkChild(connection.openBi, { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      opens[0]?.(stream("0"))
      yield* turn
      yield* connection.close(4, "done")
      const error = yield* Effect.flip(connection.openBi)
      assert.deepStrictEqual(error.reason, { _tag: "Local", code: 4, reason: "done" })
    })
  )
})

describe("Connection.acceptBi", () => {
  it.effect("nothing is accepted before it is asked for, then four at a time", () =>
    Effect.gen(function* () {
      const { accepts, connection, stream } = transport()
      yield* turn
      assert.lengthOf(accepts, 0)
      const accepting = yield* Effect.forkChild(connection.acceptBi, { startImmediately: true })
      assert.lengthOf(accepts, 4)
      for (const accept of accepts.slice(0, 4)) accept(stream("x"))
      yield* Fiber.join(accepting)
      yield* turn
      assert.lengthOf(accepts, 5) // three lie ready and one is under way: a peer cannot fill our memory
      for (let i = 0; i < 3; i++) yield* connection.acceptBi
      assert.lengthOf(accepts, 8)
    })
  )
})

describe("SendStream", () => {
  const open = Effect.fnUntraced(function* () {
    const { calls, connection, opens, stream } = transport()
    const opening = yield* Effect.forkChild(connection.openBi, { startImmediately: true })
    opens[0]?.(stream("s"))
    return { ...(yield* Fiber.join(opening)), calls }
  })

  it.effect("writes in chunks of 16 KiB, finishes after the last one", () =>
    Effect.gen(function* () {
      const { calls, send } = yield* open()
      const writing = yield* Effect.forkChild(send.write(new Uint8Array(40_000)), { startImmediately: true })
      yield* send.finish
      assert.deepStrictEqual(calls, ["s write"])
      yield* Fiber.join(writing)
      assert.deepStrictEqual(calls, ["s write", "s write", "s write", "s finish"])
    })
  )

  it.effect("a reset drops the chunks that have not been written", () =>
    Effect.gen(function* () {
      const { calls, send } = yield* open()
      const writing = yield* Effect.forkChild(send.write(new Uint8Array(1 << 20)), { startImmediately: true })
      yield* send.finish
      yield* send.reset(7)
      yield* turn
      assert.deepStrictEqual(calls, ["s write", "s reset"])
      assert.strictEqual((yield* Effect.flip(Fiber.join(writing))).reason._tag, "StreamClosed")
    })
  )

  it.effect("ending an idle stream costs one call", () =>
    Effect.gen(function* () {
      const { calls, recv, send } = yield* open()
      yield* send.write(new Uint8Array(0))
      yield* send.finish
      yield* recv.stop(Number.NaN)
      yield* recv.stop(2)
      yield* recv.discard
      assert.deepStrictEqual(calls, ["s finish", "s stop"])
    })
  )
})

/** An endpoint that answers nothing. */
const stuck: RawEndpoint = {
  endpointId: id,
  boundSockets: [],
  address: () => ({ endpointId: id, directAddresses: [] }),
  setAlpns: () => {},
  connect: never,
  connectFailure: () => ({ _tag: "Refused", detail: "as the test says" }),
  acceptNext: never,
  close: never
}

describe("IrohNode.connect", () => {
  /** A dial that has not been answered for two seconds, and what the transport was asked for. */
  const dialling = Effect.gen(function* () {
    const dials: Array<PromiseWithResolvers<RawConnection>> = []
    const connect = () => {
      const dial = Promise.withResolvers<RawConnection>()
      dials.push(dial)
      return dial.promise
    }
    const node = yield* makeNode(
      () => Effect.succeed(endpointOf({ ...stuck, close: () => Promise.resolve(), connect })),
      {}
    )
    const dial = yield* Effect.forkChild(node.connect(NodeAddr.make(id), "test/1"), { startImmediately: true })
    yield* TestClock.adjust(1_999)
    assert.lengthOf(dials, 1)
    yield* TestClock.adjust(1)
    assert.lengthOf(dials, 2)
    return { dial, dials }
  })

  it.effect("dials once more when nobody answers, and closes what comes too late", () =>
    Effect.gen(function* () {
      const { dial, dials } = yield* dialling
      const [late, first] = [transport().raw, transport().raw]
      dials[1]!.resolve(first)
      yield* Fiber.join(dial)
      dials[0]!.resolve(late)
      yield* turn
      assert.isTrue(late.isClosed())
      assert.isFalse(first.isClosed())
    })
  )

  it.effect("fails as the first dial does", () =>
    Effect.gen(function* () {
      const { dial, dials } = yield* dialling
      dials[1]!.reject(new Error("the second one"))
      yield* turn
      assert.isUndefined(dial.pollUnsafe())
      dials[0]!.reject(new Error("the first one"))
      const error = yield* Effect.flip(Fiber.join(dial))
      assert.deepStrictEqual(error.reason, { _tag: "Refused", detail: "as the test says" })
    })
  )
})

describe("IrohNode.close", () => {
  it.effect("does not wait for a transport that never closes", () =>
    Effect.gen(function* () {
      const node = yield* makeNode(() => Effect.succeed(endpointOf(stuck)), {})
      const closing = yield* Effect.forkChild(Effect.all([node.close, node.close], { concurrency: 2 }))
      yield* TestClock.adjust("2900 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(closing)
      assert.strictEqual((yield* Effect.flip(node.accept))._tag, "NodeClosed")
    })
  )
})

describe("close reasons of the QUIC library", () => {
  const cases: ReadonlyArray<readonly [string, CloseReason]> = [
    ["closed", { _tag: "Local", code: 5, reason: "ours" }],
    ["timed out", { _tag: "TimedOut" }],
    ["closed by peer: 0", { _tag: "Peer", code: 0, reason: "" }],
    ["closed by peer: not admitted (code 403)", { _tag: "Peer", code: 403, reason: "not admitted" }],
    ["closed by peer: a\nb (code 1) (code 2)", { _tag: "Peer", code: 2, reason: "a\nb (code 1)" }],
    ["closed by peer: 17 (code 3)", { _tag: "Peer", code: 3, reason: "17" }],
    ["closed by peer: timed out (code 3)", { _tag: "Peer", code: 3, reason: "timed out" }],
    ["reset by peer", { _tag: "Transport", detail: "reset by peer" }]
  ]
  for (const [said, meant] of cases) {
    it(JSON.stringify(said), () => {
      assert.deepStrictEqual(parseCloseReason(said, { code: 5, reason: "ours" }), meant)
    })
  }
})
