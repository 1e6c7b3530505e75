import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { TaskRunnerLive } from "../task-runner/TaskRunner.ts"

const TAG = "weights/v2.1"

const program = Effect.gen(function* () {
  const { address, blobs, mode, serve } = yield* AsterServer
  const kept = yield* blobs.tags.get(TAG)
  const { hash } = Option.isSome(kept)
    ? kept.value
    : yield* blobs.addBytes(new TextEncoder().encode("model weights v2.1"), { tag: TAG })
  yield* Console.log(`TaskRunner v2 serving at ${address} (${mode})`)
  yield* Console.log(`model weights: ${hash} (${Option.isSome(kept) ? "kept" : "stored"})`)
  yield* serve
})

const identity = process.argv[3]

runMain(
  program.pipe(Effect.provide(AsterServer.layer({ node: loopback, identity }).pipe(Layer.provide(TaskRunnerLive))))
)
