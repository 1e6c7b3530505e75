/** Probes over HTTP, on a port of this machine. */
import { Health, type Phase } from "@aster-effect/observability/Health"
import * as HealthServer from "@aster-effect/observability/HealthServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { connect } from "node:net"
import { get } from "./Ports.ts"

const make = (state: { phase: Phase; problem?: string | undefined }, services = ["Hello"]) =>
  Health.make({
    phase: Effect.sync(() => state.phase),
    services,
    registry: Effect.succeed(true),
    checks: [Effect.sync(() => state.problem)]
  })

const start = Effect.fnUntraced(function* (phase: Phase) {
  const state: { phase: Phase; problem?: string | undefined } = { phase }
  const port = yield* HealthServer.serve(yield* make(state), { port: 0 })
  return { state, port }
})

describe("the health server", () => {
  it.live("says whether a server lives", () =>
    Effect.gen(function* () {
      const { port, state } = yield* start("starting")
      assert.strictEqual((yield* get(port, "/healthz")).status, 503)
      state.phase = "serving"
      const answer = yield* get(port, "/healthz")
      assert.deepStrictEqual([answer.status, answer.type], [200, "application/json"])
      const { status, uptime_s, ...rest } = JSON.parse(answer.text)
      assert.deepStrictEqual([status, typeof uptime_s, rest], ["ok", "number", {}])
      assert.match(answer.text, /^\{\n {2}"status": "ok",\n/)
      state.phase = "draining"
      assert.strictEqual((yield* get(port, "/healthz")).status, 200)
      state.phase = "closed"
      const closed = yield* get(port, "/healthz")
      assert.deepStrictEqual([closed.status, JSON.parse(closed.text).status], [503, "unhealthy"])
    })
  )

  it.live("says whether it is ready, and why not", () =>
    Effect.gen(function* () {
      const { port, state } = yield* start("serving")
      const ready = yield* get(port, "/readyz")
      assert.strictEqual(ready.status, 200)
      assert.deepStrictEqual(JSON.parse(ready.text), { status: "ready", services: 1, registry: true })
      state.problem = "the node has no relay"
      state.phase = "draining"
      const not = yield* get(port, "/readyz")
      assert.strictEqual(not.status, 503)
      assert.deepStrictEqual(JSON.parse(not.text), {
        status: "not_ready",
        services: 1,
        registry: true,
        problems: ["the server is draining", "the node has no relay"]
      })
    })
  )

  it.live("answers every method, knows queries, and nothing else", () =>
    Effect.gen(function* () {
      const { port } = yield* start("serving")
      for (const method of ["POST", "PUT", "DELETE"]) {
        assert.strictEqual((yield* get(port, "/readyz", { method, body: "x" })).status, 200)
      }
      assert.strictEqual((yield* get(port, "/healthz?verbose=1")).status, 200)
      for (const path of ["/", "/healthz/", "/metrics/json", "/..%2fetc"]) {
        const answer = yield* get(port, path)
        assert.deepStrictEqual([answer.status, JSON.parse(answer.text)], [404, { error: "not found" }], path)
      }
    })
  )

  it.live("has metrics as JSON and as the text of Prometheus, for who asks for it", () =>
    Effect.gen(function* () {
      const { port } = yield* start("serving")
      assert.deepStrictEqual(Object.keys(JSON.parse((yield* get(port, "/metrics")).text)), [
        "health",
        "ready",
        "connections",
        "admission",
        "rpc"
      ])
      const accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
      for (const answer of [
        yield* get(port, "/metrics/prometheus"),
        yield* get(port, "/metrics?format=prometheus"),
        yield* get(port, "/metrics", { headers: { accept } })
      ]) {
        assert.deepStrictEqual([answer.status, answer.type], [200, "text/plain; version=0.0.4; charset=utf-8"])
        assert.match(answer.text, /^aster_ready 1$/m)
      }
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.live("ends though somebody holds a connection open and says nothing", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { port } = yield* Scope.provide(start("serving"), scope)
      const silent = connect(port, "127.0.0.1")
      yield* Effect.promise(() => new Promise((resolve) => silent.on("connect", resolve)))
      const gone = new Promise((resolve) => silent.on("close", resolve))
      silent.on("error", () => {})
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => gone)
    })
  )

  it.live("says which port it cannot have", () =>
    Effect.gen(function* () {
      const { port } = yield* start("serving")
      const error = yield* Effect.flip(HealthServer.serve(yield* make({ phase: "serving" }), { port }))
      assert.strictEqual(error._tag, "HealthServerError")
      assert.include(error.message, `127.0.0.1 port ${port}`)
      assert.include(error.message, "ASTER_HEALTH_PORT")
    })
  )
})

describe("Health", () => {
  it.effect("a server without services is not ready", () =>
    Effect.gen(function* () {
      const { problems, ready } = yield* (yield* make({ phase: "serving" }, [])).status
      assert.deepStrictEqual([ready, problems], [false, ["there are no services"]])
    })
  )

  it.effect("has checks of the program for as long as their scope", () =>
    Effect.gen(function* () {
      const health = yield* make({ phase: "serving" })
      const scope = yield* Scope.make()
      yield* Scope.provide(health.addCheck(Effect.succeed("the database is gone")), scope)
      yield* Scope.provide(health.addCheck(Effect.die("broken")), scope)
      assert.deepStrictEqual((yield* health.status).problems, ["the database is gone", "a check failed"])
      yield* Scope.close(scope, Exit.void)
      assert.isTrue((yield* health.status).ready)
    })
  )

  it.effect("tells changes, and not that time passes", () =>
    Effect.gen(function* () {
      const state: { phase: Phase; problem?: string | undefined } = { phase: "serving" }
      const { changes } = yield* make(state)
      const seen = yield* changes.pipe(Stream.take(2), Stream.runCollect, Effect.forkChild({ startImmediately: true }))
      yield* TestClock.adjust("10 seconds")
      state.problem = "x"
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        (yield* Fiber.join(seen)).map(({ ready }) => ready),
        [true, false]
      )
    })
  )
})
