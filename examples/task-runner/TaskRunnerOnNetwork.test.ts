import { AsterClient } from "@aster-effect/client/AsterClient"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskRequest, TaskRunner, TaskRunnerLive } from "./TaskRunner.ts"

// The same server and client, each on a node of a network in memory: gates, streams and cancellation are the real ones.
const ServerTest = AsterServer.layerOnNode().pipe(Layer.provide([TaskRunnerLive, IrohNode.layerMemory()]))

const ClientTest = Layer.unwrap(
  AsterServer.useSync(({ address }) =>
    AsterClient.layerOnNode({ address }).pipe(Layer.provide(Layer.fresh(IrohNode.layerMemory())))
  )
)

layer(ClientTest.pipe(Layer.provide(ServerTest), Layer.provide(MemoryNetwork.layer())))("TaskRunner", (it) => {
  it.effect("completes tasks", () =>
    Effect.gen(function* () {
      const aster = yield* AsterClient
      const tasks = yield* aster.client(TaskRunner)
      const { result, status } = yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "{}" }))
      assert.deepStrictEqual([status, result], ["completed", "Processed t-1"])
    })
  )
})
