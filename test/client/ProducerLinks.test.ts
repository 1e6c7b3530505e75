/** Defects in what a client's links are made of: they are said, and end no loop. */
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import { nameOf } from "@aster-effect/core/wire/Status"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import type * as RpcDialer from "@aster-effect/transport/RpcDialer"
import * as Producers from "@aster-effect/transport/Producers"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { ProducerLinks } from "../../packages/client/src/internal/producerLinks.ts"
import { keyA, logs } from "../admission/Deployment.ts"
import { consumer, fleet, Ledger, member, Oracle, Question, whileTimePasses } from "./Fleet.ts"

describe("the links of a client", () => {
  fleet("follow a source of producers that broke once", () =>
    Effect.gen(function* () {
      const log = logs()
      const ledger = new Ledger()
      const [first, second] = [yield* member(1, ledger), yield* member(2, ledger)]
      const [a, b] = [first, second].map(({ server }) => Producers.fromList([server.address]))
      let reads = 0
      const producers: Producers.Producers = {
        get: a!.get,
        changes: Stream.suspend(() =>
          ++reads === 1
            ? Stream.concat(Stream.take(a!.changes, 1), Stream.die(new Error("a bug in a source")))
            : b!.changes
        )
      }
      const aster = yield* whileTimePasses(consumer({ producers }).pipe(Effect.provide(log.layer)))
      const client = yield* aster.client(Oracle)
      assert.strictEqual((yield* client.tell(new Question({ number: 1, millis: 0 }))).by, first.id)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* client.tell(new Question({ number: 2, millis: 0 }))).by, second.id)
      assert.match(log.lines.join("\n"), /Error a client's list of producers failed and is started again/)
    })
  )

  it.effect("try a producer again with which linking broke, and give up one whose watch does", () => {
    const log = logs()
    return Effect.gen(function* () {
      let attempts = 0
      let looks = 0
      const dialer: Pick<RpcDialer.RpcDialer, "connect" | "isAlive"> = {
        connect: () => Effect.void,
        isAlive: () => (++looks === 1 ? Effect.die(new Error("a bug in a dialer")) : Effect.succeed(true))
      }
      const links = yield* ProducerLinks.make<never>(
        {
          producers: Producers.fromList([NodeAddr.make(SecretKey.toEndpointId(keyA))]),
          strategy: "round_robin",
          admit: () =>
            ++attempts === 1
              ? Effect.die(new Error("a bug in admission"))
              : Effect.succeed({ ...ConsumerAdmission.denied("0".repeat(64)), admitted: true }),
          isFinal: () => false,
          dial: () => Effect.succeed(dialer as RpcDialer.RpcDialer),
          addressOf: (_, producer) => producer
        },
        () => 0.5
      )
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        [links.open.length, [...links.failures.values()].map(({ code }) => nameOf(code))],
        [0, ["INTERNAL"]]
      )
      yield* TestClock.adjust("1 second")
      const [first] = links.open
      assert.isFalse(first!.ended)
      // With a call that waits it is looked whether the producer is there.
      links.enter(first!)
      yield* TestClock.adjust("1 second")
      assert.isTrue(first!.ended)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([attempts, links.open.length, links.open[0] === first], [3, 1, false])
      const told = log.lines.join("\n")
      assert.match(told, /Error Linking with producer \w+ failed, and is tried again/)
      assert.match(told, /Error The watch on producer \w+ failed, and its link is given up/)
    }).pipe(Effect.scoped, Effect.provide(log.layer))
  })
})
