import { describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { testScenarios } from "./ConsumerOutcomes.ts"
import { ofReference, scenarios, sessions } from "./ConsumerScenarios.ts"
import { PythonReference } from "./PythonReference.ts"

// The yardstick itself: if the reference does not meet an expectation, nobody else can be asked to.
describe("Python consumer, Python producer", () => {
  const producer = PythonReference.use((python) => python.producer())
  testScenarios(
    Effect.map(producer, ({ address }) => address),
    { ...scenarios, ...sessions, ...ofReference }
  )
})
