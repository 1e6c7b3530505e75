import { AsterClient } from "@aster-effect/client/AsterClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { TaskRequest, TaskRunner } from "../task-runner/TaskRunner.ts"

const [, , , address, name, identity] = process.argv
if (address === undefined || name === undefined) throw new Error("usage: consume ADDRESS HASH [IDENTITY]")

const program = Effect.gen(function* () {
  const { blobs, client } = yield* AsterClient
  const tasks = yield* client(TaskRunner)
  const { result, status } = yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" }))
  yield* Console.log(`${status}: ${result}`)
  const { hash } = yield* blobs.download(name)
  yield* Console.log(new TextDecoder().decode(yield* blobs.read(hash)))
})

runMain(program.pipe(Effect.provide(AsterClient.layer({ address, identity, node: loopback }))))
