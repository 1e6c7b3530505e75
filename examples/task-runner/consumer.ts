import { AsterClient } from "@aster-effect/client/AsterClient"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { TaskRequest, TaskRunner } from "./TaskRunner.ts"

const program = Effect.gen(function* () {
  const aster = yield* AsterClient
  const tasks = yield* aster.client(TaskRunner)
  const { status, result } = yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" }))
  yield* Console.log(`${status}: ${result}`)
})

const [, , address] = process.argv

runMain(program.pipe(Effect.provide(AsterClient.layer({ address, node: loopback }))))
