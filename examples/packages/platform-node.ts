import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

const program = Effect.gen(function* () {
  yield* Effect.addFinalizer(() => Console.log("closed"))
  yield* Console.log("open")
})

runMain(Effect.scoped(program))
