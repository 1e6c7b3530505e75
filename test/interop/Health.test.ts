/** Probes and metrics over HTTP: the reference's health server and ours answer the same. */
import { Health, type Phase } from "@aster-effect/observability/Health"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as HealthServer from "@aster-effect/observability/HealthServer"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import parsePrometheus from "parse-prometheus-text-format"
import { fileURLToPath } from "node:url"
import { TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"
import { type Answer, free, get } from "../observability/Ports.ts"
import { PythonReference } from "./PythonReference.ts"

type Answers = Readonly<Record<string, Answer>>

const theirs = Effect.gen(function* () {
  const { script } = yield* PythonReference
  const printed = yield* script(fileURLToPath(new URL("./python/health.py", import.meta.url)))
  return JSON.parse(printed.trim().split("\n").at(-1)!) as { running: Answers; stopped: Answers }
})

/** The same of ours, for every path that was asked of the reference. */
const answersAt = (port: number, paths: ReadonlyArray<string>) =>
  Effect.map(
    Effect.forEach(paths, (path) => Effect.map(get(port, path), (answer) => [path, answer] as const)),
    (entries): Answers => Object.fromEntries(entries)
  )

/** A body without the numbers that differ from run to run, and with nothing but their types instead. */
const shape = (value: unknown): unknown =>
  typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]))
    : typeof value === "number"
      ? "number"
      : value

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })("health of release 0.1.2", (it) => {
  it.effect("has the same paths, statuses, types and bodies as ours", () =>
    Effect.gen(function* () {
      const { running, stopped } = yield* theirs
      const paths = Object.keys(running)
      const port = yield* free
      const ours = yield* Effect.provide(
        answersAt(port, paths),
        AsterServer.layerOnNode({ health: { port } }).pipe(
          Layer.provide([TaskRunnerLive, IrohNode.layerMemory()]),
          Layer.provide(MemoryNetwork.layer())
        )
      )
      for (const path of paths) {
        const [a, b] = [running[path]!, ours[path]!]
        assert.deepStrictEqual([b.status, b.type], [a.status, a.type], path)
        if (!path.endsWith("prometheus")) {
          assert.deepStrictEqual(shape(JSON.parse(b.text)), shape(JSON.parse(a.text)), path)
        }
      }
      const types = (text: string) => new Map(parsePrometheus(text).map(({ name, type }) => [name, type]))
      const mine = types(ours["/metrics/prometheus"]!.text)
      for (const [name, type] of types(running["/metrics/prometheus"]!.text)) {
        assert.strictEqual(mine.get(name), type, name)
      }

      const phase: Phase = "starting"
      const health = yield* Health.make({
        phase: Effect.succeed(phase),
        services: [],
        registry: Effect.succeed(false),
        checks: []
      })
      const idle = yield* answersAt(yield* HealthServer.serve(health, { port: 0 }), ["/healthz", "/readyz"])
      for (const path of ["/healthz", "/readyz"]) {
        const { problems: _, ...body } = JSON.parse(idle[path]!.text)
        assert.strictEqual(idle[path]!.status, stopped[path]!.status)
        assert.deepStrictEqual(shape(body), shape(JSON.parse(stopped[path]!.text)))
      }
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
