import { AsterTest } from "@aster-effect/testing"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskRequest, TaskRunner, TaskRunnerLive } from "./TaskRunner.ts"

layer(AsterTest.layer({ services: [TaskRunner] }).pipe(Layer.provide(TaskRunnerLive)))("TaskRunner", (it) => {
  it.effect("is there again after the connection was lost", () =>
    Effect.gen(function* () {
      const faults = yield* AsterTest
      const tasks = yield* AsterTest.client(TaskRunner)
      yield* faults.disconnect
      const { status } = yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" }))
      assert.strictEqual(status, "completed")
    })
  )
})
