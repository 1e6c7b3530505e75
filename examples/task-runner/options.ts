import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { TaskRequest, TaskResponse, TaskRunner } from "./TaskRunner.ts"

const TaskRunnerLive = TaskRunner.toLayer({
  run_task: Effect.fnUntraced(function* ({ task_id }) {
    const { callId, metadata } = yield* CallContext
    return new TaskResponse({ status: "completed", result: `${task_id} for ${metadata.get("tenant")} (${callId})` })
  })
})

const program = Effect.gen(function* () {
  const tasks = yield* LocalTransport.client(TaskRunner)
  const request = new TaskRequest({ task_id: "t-1", payload: "{}" })
  const options = { timeout: "2 seconds", metadata: { tenant: "acme" }, callId: "call-7" } as const
  const { result } = yield* tasks.run_task(request, options)
  yield* Console.log(result)
})

runMain(program.pipe(Effect.scoped, Effect.provide(TaskRunnerLive)))
