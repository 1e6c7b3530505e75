import { describe } from "@effect/vitest"
import { TestClock } from "effect/testing"
import { Duration } from "effect"
import { memoryNode, scenario } from "./Deployment.ts"
import { scenarios } from "./Scenarios.ts"

describe("trust in memory", () =>
  scenarios({ test: scenario, node: memoryNode, pass: (seconds) => TestClock.adjust(Duration.seconds(seconds)) }))
