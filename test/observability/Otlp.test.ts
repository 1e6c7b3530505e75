/** What arrives at a collector, which is a server of this test. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as Otlp from "@aster-effect/observability/Otlp"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { TaskRequest, TaskRunner, TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"

/** What stands in for the console: exported logs are beside it. */
const quiet = Logger.layer([])

interface Posted {
  readonly path: string
  readonly type: string
  readonly key: string | undefined
  readonly body: string
}

/** A collector: the port it listens on, and what was posted to it so far. */
const collector = Effect.acquireRelease(
  Effect.promise(
    () =>
      new Promise<{ port: number; posted: Array<Posted>; close: () => void }>((resolve) => {
        const posted: Array<Posted> = []
        const server = createServer((request, response) => {
          const chunks: Array<Buffer> = []
          request.on("data", (chunk: Buffer) => chunks.push(chunk))
          request.on("end", () => {
            posted.push({
              path: request.url ?? "",
              type: request.headers["content-type"] ?? "",
              key: request.headers["x-key"]?.toString(),
              body: Buffer.concat(chunks).toString("latin1")
            })
            response.writeHead(200, { "content-type": "application/json" }).end("{}")
          })
        }).listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          resolve({ port, posted, close: () => server.close().closeAllConnections() })
        })
      })
  ),
  ({ close }) => Effect.sync(close)
)

/** A call between a server and a client that export; the layers are closed with this, which exports the rest. */
const call = <E>(telemetry: Layer.Layer<never, E>) =>
  Effect.gen(function* () {
    const { address } = yield* AsterServer
    const client = AsterClient.layerOnNode({ address }).pipe(Layer.provide(Layer.fresh(IrohNode.layerMemory())))
    yield* Effect.provide(
      Effect.gen(function* () {
        const tasks = yield* (yield* AsterClient).client(TaskRunner)
        yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" }))
      }),
      client
    )
  }).pipe(
    Effect.provide(
      AsterServer.layerOnNode({ services: [TaskRunner], publish: false }).pipe(
        Layer.provide([TaskRunnerLive, IrohNode.layerMemory()])
      )
    ),
    Effect.provide(MemoryNetwork.layer()),
    Effect.provide(telemetry),
    Effect.provide(quiet),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

const bodies = (posted: ReadonlyArray<Posted>, path: string) =>
  posted.filter((post) => post.path === path).map(({ body }) => JSON.parse(body))

describe("OTLP", () => {
  it.live("brings traces of both sides, metrics and logs to a collector", () =>
    Effect.gen(function* () {
      const { port, posted } = yield* collector
      yield* call(
        Layer.effectDiscard(Effect.void).pipe(
          Layer.provideMerge(
            Otlp.layer({
              baseUrl: `http://127.0.0.1:${port}`,
              serviceName: "observed",
              attributes: { "deployment.environment": "test" },
              headers: { "x-key": "k" },
              encoding: "json"
            })
          )
        )
      )
      assert.isTrue(posted.every(({ key, type }) => key === "k" && type === "application/json"))

      const traces = bodies(posted, "/v1/traces").flatMap(({ resourceSpans }) => resourceSpans)
      const resource = Object.fromEntries(
        traces[0].resource.attributes.map((attribute: { key: string; value: { stringValue: string } }) => [
          attribute.key,
          attribute.value.stringValue
        ])
      )
      assert.strictEqual(resource["service.name"], "observed")
      assert.strictEqual(resource["deployment.environment"], "test")
      const spans = traces
        .flatMap(({ scopeSpans }) => scopeSpans)
        .flatMap(({ spans }) => spans)
        .filter(({ name }) => name === "TaskRunner/run_task")
      // SPAN_KIND_SERVER and SPAN_KIND_CLIENT of opentelemetry/proto/trace/v1.
      const server = spans.find(({ kind }) => kind === 2)
      const client = spans.find(({ kind }) => kind === 3)
      assert.deepStrictEqual([server.traceId, server.parentSpanId], [client.traceId, client.spanId])

      const metrics = bodies(posted, "/v1/metrics")
        .at(-1)
        .resourceMetrics[0].scopeMetrics.flatMap(({ metrics }: { metrics: ReadonlyArray<unknown> }) => metrics)
      const calls = metrics.find(({ name }: { name: string }) => name === "aster_rpc_calls_total")
      assert.deepInclude(
        calls.sum.dataPoints.map(({ asDouble, attributes }: { asDouble: number; attributes: unknown }) => ({
          asDouble,
          attributes
        })),
        {
          asDouble: 1,
          attributes: [
            { key: "side", value: { stringValue: "server" } },
            { key: "service", value: { stringValue: "TaskRunner" } },
            { key: "method", value: { stringValue: "run_task" } },
            { key: "status", value: { stringValue: "OK" } }
          ]
        }
      )
      assert.isTrue(calls.sum.isMonotonic)
      assert.isDefined(metrics.find(({ name }: { name: string }) => name === "aster_rpc_duration_seconds").histogram)

      const logs = JSON.stringify(bodies(posted, "/v1/logs"))
      assert.include(logs, "server starting")
    })
  )

  it.live("goes where OpenTelemetry's variables say, and nowhere without them", () =>
    Effect.gen(function* () {
      const { port, posted } = yield* collector
      const environment = (env: Record<string, string>) =>
        Otlp.layerEnv.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))), (layer) =>
          Layer.provideMerge(Layer.effectDiscard(Effect.void), layer)
        )
      yield* call(environment({}))
      assert.lengthOf(posted, 0)
      yield* call(
        environment({
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
          OTEL_EXPORTER_OTLP_HEADERS: "x-key=k"
        })
      )
      assert.sameMembers([...new Set(posted.map(({ path }) => path))], ["/v1/traces", "/v1/metrics", "/v1/logs"])
      assert.isTrue(posted.every(({ key, type }) => key === "k" && type === "application/x-protobuf"))
      assert.isTrue(posted.some(({ body }) => body.includes("TaskRunner/run_task")))
    })
  )
})
