import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Effect from "effect/Effect"

export class TaskRequest extends Wire.Class<TaskRequest>("tasks/TaskRequest")({
  task_id: Wire.String,
  payload: Wire.String
}) {}

export class TaskResponse extends Wire.Class<TaskResponse>("tasks/TaskResponse")({
  status: Wire.String,
  result: Wire.String
}) {}

export const TaskRunner = Service.make("TaskRunner", { version: 2 }).add(
  Rpc.unary("run_task", { request: TaskRequest, response: TaskResponse, timeout: "30 seconds", idempotent: true })
)

export const TaskRunnerLive = TaskRunner.toLayer({
  run_task: (request) =>
    Effect.succeed(new TaskResponse({ status: "completed", result: `Processed ${request.task_id}` }))
})
