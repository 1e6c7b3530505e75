import { describe, it } from "@effect/vitest"
import { Duration, Effect, Logger } from "effect"
import { quicNode } from "../../admission/Deployment.ts"
import { scenarios } from "../../admission/Scenarios.ts"

describe("trust over QUIC", () =>
  scenarios<never>({
    test: (title, body) => it.live(title, () => Effect.provide(body(), Logger.layer([]))),
    node: quicNode,
    pass: (seconds) => Effect.sleep(Duration.seconds(seconds))
  }))
