/**
 * Simulated swarms. `SEED=17 npx vitest run --project unit test/iroh-gossip/Swarms.test.ts` runs one of them again; the
 * same seed always takes the same course.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Report, run } from "../../bench/gossip/Scenario.ts"

const chosen = process.env["SEED"]
const seeds = chosen === undefined ? Array.from({ length: 200 }, (_, i) => i) : [Number(chosen)]

const mean = (reports: ReadonlyArray<Report>, figure: (report: Report) => number): string =>
  (reports.reduce((sum, report) => sum + figure(report), 0) / reports.length).toFixed(2)

describe("100 members, torn, healed and churning", () => {
  it(`${seeds.length} seeds`, () => {
    const reports = seeds.map((seed) => {
      const report = run({ seed, members: 100, broadcasts: 25 })
      assert.strictEqual(report.calm, 1, `in calm; SEED=${seed} repeats it`)
      assert.isAtLeast(report.healed, 0.999, `after healing; SEED=${seed} repeats it`)
      assert.strictEqual(report.alone, 0, `members without neighbours; SEED=${seed} repeats it`)
      return report
    })
    console.log(
      `100 members, mean of ${reports.length} seeds: last hop ${mean(reports, (r) => r.lastHop)}, ` +
        `redundancy ${mean(reports, (r) => r.redundancy)}; with churn and loss ` +
        `${mean(reports, (r) => r.healedLastHop)} and ${mean(reports, (r) => r.healedRedundancy)}`
    )
  }, 600_000)
})
