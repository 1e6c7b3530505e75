/** What a server tells of itself: on a network in memory, with probes on a port of this machine. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import * as CallMetrics from "@aster-effect/core/interceptor/CallMetrics"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { nameOf } from "@aster-effect/core/wire/Status"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { HealthCheckRequest, HealthService } from "@aster-effect/observability/HealthService"
import { AsterServer, type AsterServerOptions } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import parsePrometheus from "parse-prometheus-text-format"
import { free, get } from "./Ports.ts"

class Item extends Wire.Class<Item>("observed/Item")({ n: Wire.Int }) {}

const Echo = Service.make("Echo", { public: true }).add(
  Rpc.unary("echo", { request: Item, response: Item }),
  Rpc.unary("wait", { request: Item, response: Item }),
  Rpc.serverStream("count", { request: Item, response: Item })
)

/** A server and a client of it; `wait` answers once the gate is open. */
const start = Effect.fnUntraced(function* (
  options: AsterServerOptions = {},
  node: Layer.Layer<IrohNode, never, MemoryNetwork> = IrohNode.layerMemory()
) {
  const begun = yield* Deferred.make<void>()
  const gate = yield* Deferred.make<void>()
  const live = Echo.toLayer({
    echo: Effect.succeed,
    wait: (item) => Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(gate)), item),
    count: ({ n }) => Stream.map(Stream.range(1, n), (n) => new Item({ n }))
  })
  const network = yield* Layer.build(MemoryNetwork.layer())
  const server = Context.get(
    yield* Layer.build(
      AsterServer.layerOnNode({ publish: false, ...options }).pipe(
        Layer.provide([live, Layer.fresh(node)]),
        Layer.provide(Layer.succeedContext(network))
      )
    ),
    AsterServer
  )
  const client = Context.get(
    yield* Layer.build(
      AsterClient.layerOnNode({ address: server.address }).pipe(
        Layer.provide(Layer.fresh(IrohNode.layerMemory())),
        Layer.provide(Layer.succeedContext(network))
      )
    ),
    AsterClient
  )
  return { server, client, begun, gate, echo: yield* client.client(Echo) }
})

/** With metrics that are nobody else's. */
const alone = <A, E>(body: Effect.Effect<A, E, Scope.Scope>) =>
  body.pipe(Effect.provideService(Metric.MetricRegistry, new Map()), Effect.provide(Logger.layer([])))

/** The values of a metric in the text of Prometheus, by their labels, as another program reads them. */
const read = (text: string, name: string) => {
  const family = parsePrometheus(text).find((family) => family.name === name)
  assert.isDefined(family, name)
  return family!
}

describe("a server with a port for probes", () => {
  it.live("is ready when it serves, is not from the moment it drains, and lets calls end", () =>
    alone(
      Effect.gen(function* () {
        const port = yield* free
        const { begun, echo, gate, server } = yield* start({ health: { port } })
        assert.strictEqual((yield* get(port, "/readyz")).status, 200)
        const waiting = yield* Effect.forkChild(echo.wait(new Item({ n: 7 })))
        yield* Deferred.await(begun)
        const draining = yield* Effect.forkChild(server.drain, { startImmediately: true })
        const readiness = yield* get(port, "/readyz")
        assert.strictEqual(readiness.status, 503)
        assert.deepStrictEqual(JSON.parse(readiness.text).problems, ["the server is draining"])
        assert.strictEqual((yield* get(port, "/healthz")).status, 200)
        const refused = yield* Effect.flip(echo.echo(new Item({ n: 1 })))
        assert.strictEqual(nameOf(refused.code), "UNAVAILABLE")
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual((yield* Fiber.join(waiting)).n, 7)
        yield* Fiber.join(draining)
        yield* server.close
        assert.strictEqual((yield* get(port, "/healthz")).status, 503)
      })
    )
  )

  it.live("has its metrics in a form that others read, with labels of its own choice", () =>
    alone(
      Effect.gen(function* () {
        const port = yield* free
        const { client, echo } = yield* start({ health: { port } })
        const before = parsePrometheus((yield* get(port, "/metrics/prometheus")).text).map(({ name }) => name)
        for (const name of [
          "aster_uptime_seconds",
          "aster_connections_active",
          "aster_connections_total",
          "aster_streams_active",
          "aster_streams_total",
          "aster_admission_consumer_admitted_total",
          "aster_admission_consumer_denied_total",
          "aster_admission_producer_admitted_total",
          "aster_rpc_started_total",
          "aster_rpc_completed_total",
          "aster_rpc_in_flight",
          "aster_healthy",
          "aster_ready"
        ]) {
          assert.include(before, name)
        }
        for (const n of [1, 2, 3]) yield* echo.echo(new Item({ n }))
        yield* Stream.runDrain(echo.count(new Item({ n: 1000 })))
        const strange = yield* Effect.flip((yield* client.proxy("Echo")).unary("n".repeat(100)))
        assert.strictEqual(nameOf(strange.code), "UNIMPLEMENTED")

        const { text } = yield* get(port, "/metrics/prometheus")
        const calls = read(text, "aster_rpc_calls_total")
        assert.deepStrictEqual([calls.type, calls.help], ["COUNTER", "Calls that have ended, by outcome"])
        const server = calls.metrics.filter(({ labels }) => labels?.["side"] === "server")
        assert.deepStrictEqual(
          server.map(({ labels, value }) => [labels?.["service"], labels?.["method"], labels?.["status"], value]),
          [
            ["Echo", "echo", "OK", "3"],
            ["Echo", "count", "OK", "1"],
            ["other", "other", "UNIMPLEMENTED", "1"]
          ]
        )
        // Of histograms with labels the parser reads the buckets of one set of them.
        const echoes = text.split("\n").filter((line) => line.startsWith("#") || line.includes('method="echo"'))
        const duration = read(echoes.join("\n"), "aster_rpc_duration_seconds")
        assert.strictEqual(duration.type, "HISTOGRAM")
        const { buckets } = duration.metrics[0]!
        assert.strictEqual(buckets?.["+Inf"], "3")
        assert.isAtMost(Number(buckets?.["0.001"]), Number(buckets?.["60"]))
        const sum = /^aster_rpc_duration_seconds_sum\{.*method="echo".*\} (\S+)$/m.exec(text)?.[1]
        assert.isAbove(Number(sum), 0)
        for (const gauge of ["aster_rpc_in_flight", "aster_streams_active"]) {
          assert.strictEqual(read(text, gauge).metrics[0]?.value, gauge === "aster_rpc_in_flight" ? "0" : "1")
        }
        const sent = read(text, "aster_rpc_bytes_total").metrics.find(
          ({ labels }) => labels?.["side"] === "server" && labels["direction"] === "sent"
        )
        assert.isAbove(Number(sent?.value), 1000)
        const connections = read(text, "iroh_connections_total").metrics
        assert.includeDeepMembers(
          connections.map(({ labels, value }) => [labels, value]),
          [
            [{ alpn: "aster/1", outcome: "served" }, "1"],
            [{ alpn: "aster.consumer_admission", outcome: "served" }, "1"]
          ]
        )
        const { admission, rpc } = JSON.parse((yield* get(port, "/metrics")).text)
        assert.deepStrictEqual(rpc, { started: 4, succeeded: 4, failed: 1, in_flight: 0 })
        assert.deepInclude(admission, { consumer_admitted: 1, consumer_denied: 0, consumer_errors: 0 })
      })
    )
  )

  it.live("counts a call once, whoever counts it", () =>
    alone(
      Effect.gen(function* () {
        const { echo, server } = yield* start({ interceptors: [CallMetrics.make("server")] })
        yield* echo.echo(new Item({ n: 1 }))
        yield* server.drain
        const ended = (yield* Metric.snapshot).filter(
          ({ attributes, id }) => id === "aster_rpc_calls_total" && attributes?.["side"] === "server"
        )
        assert.deepStrictEqual(
          ended.map(({ state }) => state),
          [{ count: 1, incremental: true }]
        )
      })
    )
  )
})

describe("AsterHealth", () => {
  it.live("is served where the server is told to, and follows its health", () =>
    alone(
      Effect.gen(function* () {
        const { client, server } = yield* start({ health: { service: true } })
        const health = yield* client.client(HealthService)
        assert.strictEqual((yield* health.check(new HealthCheckRequest({}))).status, "SERVING")
        assert.strictEqual((yield* health.check(new HealthCheckRequest({ service: "Echo" }))).status, "SERVING")
        const unknown = yield* Effect.flip(health.check(new HealthCheckRequest({ service: "Billing" })))
        assert.strictEqual(nameOf(unknown.code), "NOT_FOUND")
        const seen = yield* Queue.unbounded<readonly [string, ReadonlyArray<string>]>()
        const watching = yield* health.watch(new HealthCheckRequest({})).pipe(
          Stream.runForEach(({ problems, status }) => Queue.offer(seen, [status, problems] as const)),
          Effect.forkChild
        )
        assert.deepStrictEqual(yield* Queue.take(seen), ["SERVING", []])
        yield* server.health.addCheck(Effect.succeed("the database is gone"))
        assert.deepStrictEqual(yield* Queue.take(seen), ["NOT_SERVING", ["the database is gone"]])
        const draining = yield* Effect.forkChild(server.drain)
        assert.deepStrictEqual(yield* Queue.take(seen), [
          "NOT_SERVING",
          ["the server is draining", "the database is gone"]
        ])
        yield* Fiber.join(watching)
        yield* Fiber.join(draining)
      })
    )
  )

  it.live("is not served by default", () =>
    alone(
      Effect.gen(function* () {
        const { server } = yield* start()
        assert.deepStrictEqual(
          server.services.map(({ name }) => name),
          ["Echo"]
        )
      })
    )
  )
})

describe("a server whose node ends under it", () => {
  it.live("is not ready any more, and says which loop is gone", () =>
    alone(
      Effect.gen(function* () {
        const { server } = yield* start()
        assert.isTrue((yield* server.health.status).ready)
        yield* server.node.close
        const status = yield* Effect.repeat(server.health.status, {
          until: ({ ready }) => !ready,
          schedule: Schedule.spaced("10 millis")
        }).pipe(Effect.timeout("20 seconds"))
        assert.deepStrictEqual([status.live, status.problems], [true, ["given up: the router, whose node is closed"]])
      })
    )
  )
})

describe("a server whose address names a relay", () => {
  /** A node whose relay comes and goes as the test says. */
  const onRelay = (relay: { url: string | undefined }) =>
    Layer.effect(
      IrohNode,
      Effect.map(IrohNode, (node) => ({
        ...node,
        address: Effect.map(node.address, ({ directAddresses, endpointId }) =>
          NodeAddr.make(endpointId, directAddresses, relay.url)
        )
      }))
    ).pipe(Layer.provide(IrohNode.layerMemory()))
  const problems = ["the node has no relay"]

  it.live("is not ready while the relay is gone", () =>
    alone(
      Effect.gen(function* () {
        const relay: { url: string | undefined } = { url: "https://relay.example" }
        const { server } = yield* start({}, onRelay(relay))
        assert.isTrue((yield* server.health.status).ready)
        relay.url = undefined
        assert.deepStrictEqual((yield* server.health.status).problems, problems)
        relay.url = "https://other.example"
        assert.isTrue((yield* server.health.status).ready)
      })
    )
  )

  it.live("needs one or none where the options say so", () =>
    alone(
      Effect.gen(function* () {
        const relay: { url: string | undefined } = { url: "https://relay.example" }
        const { server } = yield* start({ health: { needsRelay: false } }, onRelay(relay))
        relay.url = undefined
        assert.isTrue((yield* server.health.status).ready)
        const needing = yield* start({ health: { needsRelay: true } })
        assert.deepStrictEqual((yield* needing.server.health.status).problems, problems)
      })
    )
  )
})

describe("a server that is to be found in a registry", () => {
  it.effect("is not ready while it has no lease there, and says so by HTTP and to peers", () =>
    alone(
      Effect.gen(function* () {
        const port = yield* free
        const host = yield* start({ health: { needsRelay: false } })
        const ticket = yield* (yield* host.server.docs.create).share("write")
        const { client, server } = yield* start({ health: { port, service: true }, registry: ticket })
        const health = yield* client.client(HealthService)
        assert.isTrue((yield* server.health.status).ready)
        const [registry] = yield* server.docs.list
        yield* server.docs.drop(registry!.id)
        yield* TestClock.adjust("45 seconds")
        const { problems, status } = yield* health.check(new HealthCheckRequest({}))
        assert.strictEqual(status, "NOT_SERVING")
        assert.match(problems[0]!, /^registry: the lease of Echo was not renewed 3 times in a row: /)
        const answer = yield* get(port, "/readyz")
        assert.deepStrictEqual([answer.status, JSON.parse(answer.text).problems], [503, problems])
      })
    )
  )
})
