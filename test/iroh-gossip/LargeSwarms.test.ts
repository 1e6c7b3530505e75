/**
 * Simulated swarms of a thousand. `SEED=3 npx vitest run --project unit test/iroh-gossip/LargeSwarms.test.ts` runs one of
 * them again.
 */
import { assert, describe, it } from "@effect/vitest"
import { run } from "../../bench/gossip/Scenario.ts"
import { Simulator } from "../../bench/gossip/Simulator.ts"

const chosen = process.env["SEED"]
const seeds = chosen === undefined ? [1, 2, 3, 4, 5, 6] : [Number(chosen)]

describe("1,000 members, torn, healed and churning", () => {
  for (const seed of seeds)
    it(`seed ${seed}`, () => {
      const report = run({ seed, members: 1000, broadcasts: 10 })
      console.log(
        `1,000 members, seed ${seed}: last hop ${report.lastHop.toFixed(1)}, redundancy ${report.redundancy.toFixed(2)}; ` +
          `with churn and loss ${report.healedLastHop.toFixed(1)} and ${report.healedRedundancy.toFixed(2)}, ` +
          `delivered ${(100 * report.healed).toFixed(3)} %`
      )
      assert.strictEqual(report.calm, 1, `in calm; SEED=${seed} repeats it`)
      assert.isAtLeast(report.healed, 0.999, `after healing; SEED=${seed} repeats it`)
      assert.strictEqual(report.alone, 0, `members without neighbours; SEED=${seed} repeats it`)
    }, 120_000)
})

describe("beside what the authors of iroh-gossip hold theirs to", () => {
  // Their simulation of 100 members, 50 ms apart, asserts these bounds of the means over 30 broadcasts (tests/sim.rs).
  for (const [how, bound] of [
    ["one author", { lastHop: 15, redundancy: 0.2 }],
    ["any author", { lastHop: 18, redundancy: 1 }]
  ] as const)
    it(`${how}: last hop below ${bound.lastHop}, redundancy below ${bound.redundancy}, nothing missed`, () => {
      const simulator = new Simulator({ seed: 1, latency: [50, 50] })
      simulator.join([])
      for (let i = 1; i < 100; i++)
        simulator.at(i * 100, () => simulator.join([simulator.members[simulator.random.below(i)]!]))
      simulator.run(30_000)
      const author = simulator.members[simulator.random.below(100)]!
      for (let i = 0; i < 30; i++) {
        simulator.broadcast(how === "one author" ? author : simulator.members[simulator.random.below(100)]!)
        simulator.run(simulator.now + 5000)
      }
      const { outcomes } = simulator
      const lastHop = outcomes.reduce((sum, outcome) => sum + outcome.lastHop, 0) / 30
      const redundancy = outcomes.reduce((sum, { payloads }) => sum + payloads / 99 - 1, 0) / 30
      console.log(`100 members, ${how}: last hop ${lastHop.toFixed(1)}, redundancy ${redundancy.toFixed(2)}`)
      for (const { deliveries } of outcomes) assert.strictEqual(deliveries.size, 100)
      assert.isBelow(lastHop, bound.lastHop)
      assert.isBelow(redundancy, bound.redundancy)
    })
})
