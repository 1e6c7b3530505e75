import { describe } from "@effect/vitest"
import * as TestClock from "effect/testing/TestClock"
import * as Duration from "effect/Duration"
import { attacks } from "./Attacks.ts"
import { memoryNode, scenario } from "./Deployment.ts"
import { scenarios, type Transport } from "./Scenarios.ts"
import type { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"

const memory: Transport<MemoryNetwork> = {
  test: scenario,
  node: memoryNode,
  pass: (seconds) => TestClock.adjust(Duration.seconds(seconds))
}

describe("trust in memory", () => scenarios(memory))
describe("attacks in memory", () => attacks(memory))
