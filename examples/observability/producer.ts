import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Otlp from "@aster-effect/observability/Otlp"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskRunner, TaskRunnerLive } from "../task-runner/TaskRunner.ts"

const port = Number(process.env["ASTER_HEALTH_PORT"] ?? 9090)

/** Stands for what this server cannot do without: a database, another producer, free space. */
const database = { reachable: true }

const program = Effect.gen(function* () {
  const server = yield* AsterServer
  yield* server.health.addCheck(
    Effect.sync(() => (database.reachable ? undefined : "the database cannot be reached: see the runbook"))
  )
  const probe = (path: string) => Effect.promise(() => fetch(`http://127.0.0.1:${port}${path}`))
  yield* Console.log("ready:", (yield* probe("/readyz")).status)
  database.reachable = false
  const answer = yield* probe("/readyz")
  yield* Console.log("ready:", answer.status, yield* Effect.promise(() => answer.json()))
})

const Server = AsterServer.layer({ node: loopback, health: { port, service: true }, services: [TaskRunner] }).pipe(
  Layer.provide(TaskRunnerLive),
  // Around the server: spans of calls are made where a tracer is installed when it starts.
  Layer.provide(Otlp.layerEnv)
)

runMain(program.pipe(Effect.scoped, Effect.provide(Server)))
