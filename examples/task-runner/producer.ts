import { loopback } from "@aster-effect/iroh/NodeOptions"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskRunnerLive } from "./TaskRunner.ts"

const program = Effect.gen(function* () {
  const server = yield* AsterServer
  yield* Console.log(`TaskRunner v2 serving at ${server.address}`)
  yield* Console.log(`root public key: ${server.rootPubkey}`)
  for (const { name, version, contractId } of server.services) {
    yield* Console.log(`${name} v${version}: contract ${contractId}`)
  }
  yield* Console.log("Ctrl+C stops it.")
  yield* server.serve
})

runMain(program.pipe(Effect.provide(AsterServer.layer({ node: loopback }).pipe(Layer.provide(TaskRunnerLive)))))
