/** Spans of a server and a client that nobody told to make any. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { TaskRequest, TaskRunner, TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"

const run = (tracing?: boolean) =>
  Effect.gen(function* () {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = Tracer.nativeTracer.span(options)
        spans.push(span)
        return span
      }
    })
    const program = Effect.gen(function* () {
      const { address } = yield* AsterServer
      const call = Effect.gen(function* () {
        const tasks = yield* (yield* AsterClient).client(TaskRunner)
        yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" }))
      })
      const client = AsterClient.layerOnNode({ address, tracing }).pipe(
        Layer.provide(Layer.fresh(IrohNode.layerMemory()))
      )
      yield* Effect.provide(call, client)
    })
    const server = AsterServer.layerOnNode({ services: [TaskRunner], tracing }).pipe(
      Layer.provide([TaskRunnerLive, IrohNode.layerMemory()])
    )
    yield* program.pipe(Effect.provide(server), Effect.provide(MemoryNetwork.layer()), Effect.withTracer(tracer))
    return spans.filter(({ name }) => name === "TaskRunner/run_task")
  })

describe("tracing", () => {
  it.effect("is on where a tracer is installed: both sides are one trace", () =>
    Effect.gen(function* () {
      const spans = yield* run()
      assert.deepStrictEqual(
        spans.map(({ kind }) => kind),
        ["client", "server"]
      )
      assert.strictEqual(Option.getOrUndefined(spans[1]!.parent)?.spanId, spans[0]!.spanId)
      assert.strictEqual(spans[1]!.traceId, spans[0]!.traceId)
    })
  )

  it.effect("can be turned off", () => Effect.map(run(false), (spans) => assert.lengthOf(spans, 0)))
})
