import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Check } from "./ConsumerScenarios.ts"
import { type Outcome, PythonReference } from "./PythonReference.ts"

/** What the reference's consumer reports about one producer, by scenario. */
class Outcomes extends Context.Service<Outcomes, ReadonlyMap<string, Outcome>>()("test/interop/Outcomes") {}

/**
 * One test per scenario of `consumer.py`. They run once, one after the other in one process, before the first test.
 *
 * @param producer starts a producer of the kitchen services and answers its address
 * @param expected what has to come of every scenario there is
 */
export const testScenarios = <E>(
  producer: Effect.Effect<string, E, PythonReference | Scope.Scope>,
  expected: { readonly [scenario: string]: Check }
): void => {
  const outcomes = Layer.effect(
    Outcomes,
    Effect.gen(function* () {
      const { consumer } = yield* PythonReference
      const outcomes = yield* consumer(yield* producer)
      return new Map(outcomes.map((outcome) => [outcome.scenario, outcome]))
    })
  ).pipe(Layer.provide(PythonReference.layer))

  layer(outcomes, { timeout: "5 minutes", excludeTestServices: true })((it) => {
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
}
