/** Probes and metrics over HTTP: the reference's health server and ours answer the same. */
import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import { Health, type Phase } from "@aster-effect/observability/Health"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as HealthServer from "@aster-effect/observability/HealthServer"
import * as Logging from "@aster-effect/observability/Logging"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as TestConsole from "effect/testing/TestConsole"
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

/** The events of `logging_lines.py`, as lines of ours. */
const linesOf = (settings: Logging.LogSettings) =>
  Effect.gen(function* () {
    const id = "ab".repeat(32)
    yield* Effect.logInfo("plain")
    yield* Effect.logWarning("within a call", { duration_ms: 12, status_code: 5, payload_size: 1024 }).pipe(
      Effect.provideService(CallContext, {
        service: "Echo",
        version: 1,
        method: "echo",
        pattern: "unary",
        idempotent: false,
        callId: "call-7-and-more",
        peer: id,
        metadata: new Map(),
        attributes: new Map(),
        deadline: undefined
      })
    )
    yield* Effect.logDebug("ids", { endpointId: id, contractId: "c1".repeat(32), version: 2 })
    const error = new Error("gone")
    error.name = "ValueError"
    yield* Effect.logError("failed", Cause.fail(error))
    return (yield* TestConsole.errorLines).map(String)
  }).pipe(
    Effect.provide(Logging.layer({ ...settings, level: "debug", color: false })),
    Effect.provideService(Logger.CurrentLoggers, new Set([Logger.defaultLogger])),
    Effect.provide(TestConsole.layer)
  )

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

  it.effect("has the same lines in its log", () =>
    Effect.gen(function* () {
      const { script } = yield* PythonReference
      const printed = yield* script(fileURLToPath(new URL("./python/logging_lines.py", import.meta.url)))
      const theirs = printed.trim().split("\n")
      const json = (lines: ReadonlyArray<string>) =>
        lines.map((line) => {
          const { ts, ...event } = JSON.parse(line)
          assert.match(ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
          return event
        })
      const count = 4
      assert.deepStrictEqual(json(yield* linesOf({ format: "json" })), json(theirs.slice(0, count)))
      // Of the text ours has more: fields that the reference leaves out stand behind its own.
      const words = (text: string) => text.replaceAll(/^\d\d:\d\d:\d\d\.\d{3} /gm, "")
      const ours = (yield* linesOf({ format: "text" })).map(words)
      const text = words(theirs.slice(count).join("\n"))
        .replaceAll(/\n {2}/g, "\u0000")
        .split("\n")
      assert.deepStrictEqual(
        ours.map((line) =>
          line
            .replaceAll(/ (peer|endpoint_id|contract_id|version)=\S+?(?=[\] ])/g, "")
            .replaceAll("\n  ", "\u0000")
            .replace(/ \[\S*\]$/, "")
        ),
        text
      )
    })
  )
})
