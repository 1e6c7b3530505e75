import * as Interceptor from "@aster-effect/core/interceptor/Interceptor"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { TaskRequest, TaskRunner, TaskRunnerLive } from "./TaskRunner.ts"

const logging: Interceptor.Interceptor = (call, next) =>
  Effect.onExit(next(call), (exit) => Console.log(`${call.service}.${call.method}: ${Interceptor.statusOf(exit)}`))

const program = Effect.gen(function* () {
  const tasks = yield* LocalTransport.client(TaskRunner, { interceptors: [logging] })
  yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" }))
})

runMain(program.pipe(Effect.scoped, Effect.provide(TaskRunnerLive)))
