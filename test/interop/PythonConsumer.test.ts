import { AsterServer } from "@aster-effect/server/AsterServer"
import { describe } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KitchenJsonLive, KitchenSinkLive } from "../../examples/kitchen-sink/KitchenSink.ts"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"
import { testScenarios } from "./ConsumerOutcomes.ts"
import { ofOurs, scenarios, sessions } from "./ConsumerScenarios.ts"
import { KitchenSessionLive } from "./KitchenSession.ts"

const services = Layer.mergeAll(KitchenSinkLive, KitchenJsonLive, KitchenSessionLive, TaskRunnerLive)

describe("Python consumer, our producer", () => {
  const server = Layer.build(AsterServer.layer({ node: loopback }).pipe(Layer.provide(services)))
  testScenarios(
    Effect.map(server, (context) => Context.get(context, AsterServer).address),
    { ...scenarios, ...sessions, ...ofOurs }
  )
})
