import { describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { attacks } from "../../admission/Attacks.ts"
import { quicNode } from "../../admission/Deployment.ts"
import { scenarios, type Transport } from "../../admission/Scenarios.ts"

const quic: Transport<never> = {
  test: (title, body) => it.live(title, () => Effect.provide(body(), Logger.layer([]))),
  node: quicNode,
  pass: (seconds) => Effect.sleep(Duration.seconds(seconds))
}

describe("trust over QUIC", () => scenarios(quic))
describe("attacks over QUIC", () => attacks(quic))
