/** A lease whose document cannot be written for a while. */
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { DocsStoreError } from "@aster-effect/iroh-docs/DocsError"
import type { Document } from "@aster-effect/iroh-docs/Document"
import * as Leases from "@aster-effect/registry/Leases"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import { peer } from "../iroh-docs/Peers.ts"

const terms = {
  alpn: "aster/1",
  contractId: "c".repeat(64),
  endpointId: "1".repeat(64),
  serializationModes: ["fory-xlang"],
  service: "Greeter",
  version: 2
}

const broken = new DocsStoreError({ operation: "write", cause: new Error("the disk is full") })

const moment = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))

describe("a lease that cannot be renewed", () => {
  it.effect("is a problem once it has run out, and none from the next renewal on; each is logged once", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${[message].flat().join(" ")}`))
    return Effect.gen(function* () {
      const { docs } = yield* peer()
      const document = yield* docs.create
      let isBroken = false
      const set: Document["set"] = (...args) => (isBroken ? Effect.fail(broken) : document.set(...args))
      const held = yield* Leases.hold({
        document: { ...document, set },
        terms,
        address: Effect.succeed({ directAddrs: ["127.0.0.1:7"], relayUrl: undefined })
      })
      isBroken = true
      yield* TestClock.adjust("30 seconds")
      assert.isUndefined(yield* held.problem)
      yield* TestClock.adjust("15 seconds")
      assert.match((yield* held.problem)!, /^the lease of Greeter was not renewed 3 times in a row: .*the disk is full/)
      yield* TestClock.adjust("10 minutes")
      assert.match((yield* held.problem)!, /not renewed 43 times/)
      isBroken = false
      yield* TestClock.adjust("15 seconds")
      // A document is written outside of the test's time.
      yield* Effect.repeat(Effect.andThen(moment, held.problem), { until: (problem) => problem === undefined })
      assert.deepStrictEqual(
        lines.filter((line) => line.includes("lease")),
        [
          "Warn The registry has no lease of Greeter any more, and is tried again",
          "Info The registry has the lease of Greeter again"
        ]
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(MemoryNetwork.layer()),
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "Info")
    )
  })
})
