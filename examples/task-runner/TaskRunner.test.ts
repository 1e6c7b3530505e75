import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TaskRequest, TaskRunner, TaskRunnerLive } from "./TaskRunner.ts"

it.effect("completes tasks", () =>
  Effect.gen(function* () {
    const tasks = yield* LocalTransport.client(TaskRunner)
    const { result, status } = yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" }))
    assert.deepStrictEqual([status, result], ["completed", "Processed t-1"])
  }).pipe(Effect.provide(TaskRunnerLive))
)
