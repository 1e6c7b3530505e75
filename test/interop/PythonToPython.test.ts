import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { referenceDefects, scenarios } from "./ConsumerScenarios.ts"
import { type Outcome, PythonReference } from "./PythonReference.ts"

// The yardstick itself: if the reference does not meet an expectation, nobody else can be asked to.
class Outcomes extends Context.Service<Outcomes, ReadonlyMap<string, Outcome>>()("test/interop/Outcomes") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const python = yield* PythonReference
      const producer = yield* python.producer()
      const outcomes = yield* python.consumer(producer.address)
      return new Map(outcomes.map((outcome) => [outcome.scenario, outcome]))
    })
  ).pipe(Layer.provide(PythonReference.layer))
}

const expected = { ...scenarios, ...referenceDefects }

describe("Python consumer, Python producer", () => {
  layer(Outcomes.layer, { timeout: "5 minutes" })((it) => {
    it.effect("every scenario has an expectation", () =>
      Effect.map(Outcomes, (outcomes) => assert.sameMembers([...outcomes.keys()], Object.keys(expected)))
    )
    for (const [name, check] of Object.entries(expected)) {
      it.effect(name, () =>
        Effect.map(Outcomes, (outcomes) => {
          const outcome = outcomes.get(name)
          if (outcome === undefined) return assert.fail("the scenario did not run")
          check(outcome)
        })
      )
    }
  })
})
