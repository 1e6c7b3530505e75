/** Calls when something on the way or at the other end goes wrong, on real connections. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import * as Caller from "@aster-effect/core/call/Caller"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as RpcDialer from "@aster-effect/transport/RpcDialer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { start } from "./Child.ts"
import { Faulty, FaultyLive, Item } from "./Faulty.ts"
import { bare, consume, node, serve } from "./Kitchen.ts"

const item = (n: number) => new Item({ n })

const scenario = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(body()), 180_000)

/** A client whose small calls share a stream already. */
const clientOf = Effect.fnUntraced(function* (
  server: { readonly address: string },
  options: Parameters<typeof consume>[1] = {}
) {
  const client = yield* Effect.flatMap(consume(server, options), (consumer) => consumer.client(Faulty))
  for (const n of [1, 2, 3]) yield* client.echo(item(n))
  yield* Effect.sleep("200 millis")
  return client
})

/** Subscribes and waits for the first tick. */
const subscribe = Effect.fnUntraced(function* (client: Effect.Success<ReturnType<typeof clientOf>>) {
  const begun = yield* Deferred.make<void, RpcError>()
  yield* Effect.forkScoped(
    Stream.runForEach(client.tick(item(200)), () => Deferred.succeed(begun, undefined)).pipe(
      Effect.catch((error) => Deferred.fail(begun, error))
    )
  )
  return yield* Deferred.await(begun)
})

const serverOf = Effect.fnUntraced(function* (options: { readonly [key: string]: unknown } = {}) {
  const child = yield* start("test/faults/faultyServer.ts", [JSON.stringify(options)])
  const said = JSON.parse(yield* child.line) as { address: string; directAddresses: ReadonlyArray<string> }
  return { ...said, child }
})

describe("subscriptions", () => {
  scenario("are more than one connection carries, and leave room for other calls", () =>
    Effect.gen(function* () {
      const server = yield* serve({}, FaultyLive)
      const client = yield* clientOf(server)
      yield* Effect.forEach(Array.from({ length: 250 }), () => subscribe(client), { concurrency: 50, discard: true })
      assert.strictEqual((yield* client.echo(item(4))).n, 4)
      yield* subscribe(client)
    })
  )

  scenario("end at the limit with an error that names it, and calls that share a stream go on", () =>
    Effect.gen(function* () {
      const server = yield* serve({}, FaultyLive)
      const client = yield* clientOf(server, { maxConnections: 2 })
      const some = yield* Scope.make()
      yield* Effect.forEach(Array.from({ length: 192 }), () => subscribe(client), {
        concurrency: 50,
        discard: true
      }).pipe(Effect.provideService(Scope.Scope, some))
      const error = yield* Effect.flip(subscribe(client))
      assert.strictEqual(error.status, "RESOURCE_EXHAUSTED")
      assert.include(error.message, "192 calls with streams of their own run on 2 connections")
      assert.strictEqual((yield* client.echo(item(5))).n, 5)
      yield* Scope.close(some, Exit.void)
      yield* subscribe(client)
    })
  )
})

describe("a handler that does not end when it is interrupted", () => {
  scenario("keeps neither its caller nor the end of the server waiting, and is named", () =>
    Effect.gen(function* () {
      const server = yield* serverOf({ handlerTimeout: "1 seconds", gracePeriod: "1 seconds" })
      const client = yield* clientOf(server)
      // The handler would never end.
      const error = yield* Effect.flip(client.stuck(item(1)))
      assert.strictEqual(error.status, "DEADLINE_EXCEEDED")
      server.child.process.kill("SIGTERM")
      const ended = yield* Effect.timeout(server.child.ended, "1 minute")
      assert.strictEqual(ended.code, 0)
      assert.include(ended.stderr, "the handler of Faulty.stuck is still running though it was interrupted")
    })
  )

  scenario("does not keep a connection that is full of them from serving others", () =>
    Effect.gen(function* () {
      const server = yield* serve({}, FaultyLive)
      const client = yield* clientOf(server)
      const long = yield* Effect.forkChild(client.sleep(item(90_000)))
      const givenUp = client.cleanUp(item(1000)).pipe(Effect.timeoutOption("60 millis"))
      for (let burst = 0; burst < 4; burst++) {
        yield* Effect.forEach(Array.from({ length: 110 }), () => givenUp, { concurrency: "unbounded", discard: true })
      }
      assert.strictEqual((yield* client.echo(item(6))).n, 6)
      assert.isUndefined(long.pollUnsafe())
      yield* Fiber.interrupt(long)
    })
  )

  scenario("and one whose clean-up fails says so in the log", () =>
    Effect.gen(function* () {
      const server = yield* serverOf()
      const client = yield* clientOf(server)
      // Given up before it has begun, a handler has nothing to clean up: so some are given longer.
      yield* Effect.forEach(
        [200, 2_000, 5_000],
        (millis) => Effect.timeoutOption(client.failsToCleanUp(item(1)), millis),
        {
          concurrency: "unbounded"
        }
      )
      yield* client.echo(item(1))
      server.child.process.kill("SIGTERM")
      const { stderr } = yield* server.child.ended
      assert.include(stderr, "a finalizer of the handler of Faulty.failsToCleanUp failed")
      assert.include(stderr, "no way back")
    })
  )
})

describe("a server that drains", () => {
  /** Calls that run at servers of this process. */
  const inFlight = Effect.map(Metric.snapshot, (all) =>
    all
      .flatMap((metric) =>
        metric.id === "aster_rpc_in_flight" && metric.type === "Gauge" ? [Number(metric.state.value)] : []
      )
      .reduce((sum, value) => sum + value, 0)
  )

  for (const multiplex of [true, false]) {
    scenario(`refuses further calls at once, ${multiplex ? "shared streams" : "streams of their own"}`, () =>
      Effect.gen(function* () {
        const server = yield* serve({}, FaultyLive)
        const client = yield* clientOf(server, { multiplex })
        const before = yield* inFlight
        const running = yield* Effect.forkChild(client.sleep(item(5_000)))
        yield* Effect.repeat(Effect.delay(inFlight, "20 millis"), { until: (now) => now > before })
        const draining = yield* Effect.forkChild(server.drain, { startImmediately: true })
        yield* Effect.repeat(Effect.delay(server.health.status, "20 millis"), {
          until: ({ phase }) => phase === "draining"
        })
        const error = yield* Effect.flip(client.echo(item(1)))
        assert.strictEqual(error.status, "UNAVAILABLE")
        assert.isUndefined(running.pollUnsafe(), "it waited for the call that runs")
        assert.strictEqual((yield* Fiber.join(running)).n, 5_000)
        yield* Fiber.join(draining)
      })
    )
  }
})

describe("a server that was killed and is back", () => {
  scenario("serves a client that was connected, long before the loss of its connection is noticed", () =>
    Effect.gen(function* () {
      const secretKey = "5a".repeat(32)
      const first = yield* serverOf({ secretKey })
      const bindAddress = first.directAddresses[0]
      const client = yield* clientOf(first)
      first.child.process.kill("SIGKILL")
      yield* first.child.ended
      yield* serverOf({ secretKey, bindAddress })
      const echo = client.echo(item(1), { timeout: "1 seconds" })
      assert.strictEqual((yield* Effect.retry(echo, { times: 15 })).n, 1)
    })
  )

  scenario("at another port is reached there at once, and by a client that is told so", () =>
    Effect.gen(function* () {
      const secretKey = "5b".repeat(32)
      const first = yield* serverOf({ secretKey })
      const home = yield* node
      const dialer = yield* RpcDialer.make(home, { timeout: "30 seconds" })
      const callerAt = ({ address }: { readonly address: string }) => {
        const at = NodeAddr.parse(address)
        return Caller.make(Faulty, { open: dialer.open(at), peer: at.endpointId, version: 1 })
      }
      const client = callerAt(first)
      for (const n of [1, 2, 3]) yield* client.echo(item(n))
      first.child.process.kill("SIGKILL")
      yield* first.child.ended
      const second = yield* serverOf({ secretKey })
      // The path of the connection that is dead holds up all that is for this peer, for half a minute.
      const other = yield* Effect.map(
        Layer.build(
          AsterClient.layerOnNode({ config: bare, address: second.address, connectTimeout: "25 seconds" }).pipe(
            Layer.provide(Layer.succeed(IrohNode, home))
          )
        ),
        Context.get(AsterClient)
      )
      assert.strictEqual((yield* Effect.flatMap(other.client(Faulty), ({ echo }) => echo(item(4)))).n, 4)
      assert.strictEqual((yield* callerAt(second).echo(item(5))).n, 5)
      assert.strictEqual((yield* client.echo(item(6))).n, 6)
    })
  )
})
