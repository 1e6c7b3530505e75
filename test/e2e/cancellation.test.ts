/** Calls that are given up: by the client, by a deadline, by the loss of the connection. Over real QUIC. */
import { StatusCode } from "@aster-effect/core/wire/Status"
import type { AsterClient, NodeClientOptions } from "@aster-effect/client/AsterClient"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import type { NodeServerOptions } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { consume, loopback, serve } from "../faults/Kitchen.ts"
import * as Watched from "../faults/Probe.ts"

const { Item, Probe } = Watched
const one = new Item({ value: 1 })
const unending = Stream.concat(Stream.make(one), Stream.never)

const clientOf = (consumer: AsterClient["Service"]) => consumer.client(Probe)
type Client = Effect.Success<ReturnType<typeof clientOf>>

/** A producer of `Probe`, a consumer, and what the handlers do. */
const pair = Effect.fnUntraced(function* (options: NodeServerOptions = {}, clientOptions: NodeClientOptions = {}) {
  const watcher = yield* Watched.make
  const server = yield* serve(options, watcher.layer)
  const probe = yield* Effect.flatMap(consume(server, clientOptions), clientOf)
  return { expect: expecting(watcher), probe, server, watcher }
})

const expecting =
  (watcher: Watched.Watcher) =>
  (...events: ReadonlyArray<string>) =>
    Effect.forEach(events, (event) => Effect.map(watcher.next, (next) => assert.strictEqual(next, event)), {
      discard: true
    })

/** How each pattern comes to hang, and what its handler has seen by then. */
const hanging: ReadonlyArray<{
  readonly method: string
  readonly when: string
  readonly call: (probe: Client) => Effect.Effect<unknown, unknown>
  readonly seen: ReadonlyArray<string>
}> = [
  { method: "hang", when: "after its request", call: (probe) => probe.hang(one), seen: [] },
  { method: "drip", when: "between items", call: (probe) => Stream.runDrain(probe.drip(one)), seen: [] },
  {
    method: "collect",
    when: "while its input goes on",
    call: (probe) => probe.collect(unending),
    seen: ["received 1"]
  },
  {
    method: "collect",
    when: "after its input",
    call: (probe) => probe.collect(Stream.make(one)),
    seen: ["received 1", "input ended"]
  },
  {
    method: "talk",
    when: "while its input goes on",
    call: (probe) => Stream.runDrain(probe.talk(unending)),
    seen: ["received 1"]
  },
  {
    method: "talk",
    when: "after its input",
    call: (probe) => Stream.runDrain(probe.talk(Stream.make(one))),
    seen: ["received 1", "input ended"]
  }
]

const quietly = <E>(body: Effect.Effect<void, E, Scope.Scope>) =>
  Effect.provideService(body, References.MinimumLogLevel, "None")

describe.each([
  { name: "a stream each", multiplex: false },
  { name: "small ones on one stream", multiplex: true }
])("a client that gives a call up, $name,", ({ multiplex }) => {
  const both = pair({}, { multiplex })

  for (const { call, method, seen, when } of hanging) {
    it.live(`interrupts the handler of ${method} ${when}`, () =>
      quietly(
        Effect.gen(function* () {
          const { expect, probe } = yield* both
          const running = yield* Effect.forkChild(call(probe))
          yield* expect(`started ${method}`, ...seen)
          yield* Fiber.interrupt(running)
          yield* expect(`interrupted ${method}`)
          assert.deepStrictEqual(yield* probe.echo(one), one)
        })
      )
    )
  }

  it.live("interrupts the handler of a stream it takes the head of", () =>
    quietly(
      Effect.gen(function* () {
        const { expect, probe } = yield* both
        yield* Stream.runHead(probe.drip(one))
        yield* expect("started drip", "interrupted drip")
      })
    )
  )

  it.live("before there is a connection, calls nobody", () =>
    quietly(
      Effect.gen(function* () {
        const { expect, probe } = yield* both
        yield* Fiber.interrupt(yield* Effect.forkChild(probe.hang(one), { startImmediately: true }))
        assert.deepStrictEqual(yield* probe.echo(one), one)
        // The first thing any handler did is this.
        const running = yield* Effect.forkChild(probe.collect(unending))
        yield* expect("started collect", "received 1")
        yield* Fiber.interrupt(running)
        yield* expect("interrupted collect")
      })
    )
  )

  it.live("does not disturb the calls beside it", () =>
    quietly(
      Effect.gen(function* () {
        const { expect, probe } = yield* both
        const doomed = yield* Effect.forkChild(probe.hang(one))
        yield* expect("started hang")
        const values = Array.from({ length: 50 }, (_, value) => value)
        const echoes = yield* Effect.forkChild(
          Effect.forEach(values, (value) => probe.echo(new Item({ value })), { concurrency: 10 })
        )
        yield* Fiber.interrupt(doomed)
        assert.deepStrictEqual(
          (yield* Fiber.join(echoes)).map(({ value }) => value),
          values
        )
        yield* expect("interrupted hang")
      })
    )
  )

  it.live("200 times over, has as many streams as before", () =>
    quietly(
      Effect.gen(function* () {
        const { expect, probe } = yield* both
        for (let i = 0; i < 200; i++) {
          const running = yield* Effect.forkChild(i % 2 === 0 ? probe.hang(one) : probe.collect(unending))
          yield* i % 2 === 0 ? expect("started hang") : expect("started collect", "received 1")
          yield* Fiber.interrupt(running)
          yield* expect(i % 2 === 0 ? "interrupted hang" : "interrupted collect")
        }
        // More at a time than what is left, had each of those taken a stream with it.
        const calls = Array.from({ length: 90 }, () => probe.echo(one))
        assert.lengthOf(yield* Effect.timeout(Effect.all(calls, { concurrency: "unbounded" }), "1 minute"), 90)
      })
    )
  )
})

describe("a deadline", () => {
  it.live("ends the call at the client and its handler at the server", () =>
    quietly(
      Effect.gen(function* () {
        const { expect, probe } = yield* pair()
        // There is a connection: what is short is the deadline's.
        yield* probe.echo(one)
        const error = yield* Effect.flip(probe.hang(one, { timeout: "2 seconds" }))
        assert.strictEqual(error.code, StatusCode.DEADLINE_EXCEEDED)
        yield* expect("started hang", "interrupted hang")
        const streamed = yield* Effect.flip(Stream.runDrain(probe.drip(one, { timeout: "2 seconds" })))
        assert.strictEqual(streamed.code, StatusCode.DEADLINE_EXCEEDED)
        yield* expect("started drip", "interrupted drip")
      })
    )
  )

  it.live("of the server's own ends a handler that no client hurries", () =>
    quietly(
      Effect.gen(function* () {
        const { expect, probe } = yield* pair({ handlerTimeout: "2 seconds" })
        const error = yield* Effect.flip(probe.collect(unending))
        assert.strictEqual(error.code, StatusCode.DEADLINE_EXCEEDED)
        yield* expect("started collect", "received 1", "interrupted collect")
      })
    )
  )
})

describe("a lost connection", () => {
  it.live("interrupts the handlers of all its calls, when the client's node is closed", () =>
    quietly(
      Effect.gen(function* () {
        const { expect, server, watcher } = yield* pair()
        const own = yield* Scope.make()
        const probe = yield* Effect.flatMap(Scope.provide(consume(server), own), clientOf)
        yield* Effect.forkChild(Effect.exit(probe.hang(one)))
        yield* expect("started hang")
        yield* Effect.forkChild(Effect.exit(probe.collect(unending)))
        yield* expect("started collect", "received 1")
        yield* Scope.close(own, Exit.void)
        const ended = [yield* watcher.next, yield* watcher.next]
        assert.sameMembers(ended, ["interrupted hang", "interrupted collect"])
      })
    )
  )

  it.live("fails calls, and the next one connects again to the server that came back", () =>
    quietly(
      Effect.gen(function* () {
        const secretKey = SecretKey.fromHex("42".repeat(32))
        const watcher = yield* Watched.make
        const expect = expecting(watcher)
        const first = yield* Scope.make()
        const server = yield* Scope.provide(
          serve({ node: { ...loopback, secretKey }, gracePeriod: "100 millis" }, watcher.layer),
          first
        )
        const bindAddress = server.directAddresses.find((address) => address.startsWith("127.0.0.1:"))
        assert.isDefined(bindAddress)
        const probe = yield* Effect.flatMap(consume(server), clientOf)
        const failed = yield* Effect.forkChild(Effect.flip(probe.hang(one)))
        yield* expect("started hang")
        yield* Scope.close(first, Exit.void)
        yield* expect("interrupted hang")
        assert.strictEqual((yield* Fiber.join(failed)).code, StatusCode.UNAVAILABLE)
        yield* serve({ node: { ...loopback, secretKey, bindAddress } }, watcher.layer)
        assert.deepStrictEqual(yield* probe.echo(one), one)
      })
    )
  )
})
