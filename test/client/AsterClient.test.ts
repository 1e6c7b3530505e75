/** What a consumer makes of addresses and of producers that are not what they should be. */
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import type { Resolved } from "@aster-effect/config/AsterConfig"
import { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Router from "@aster-effect/iroh/Router"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { HelloRequest, KitchenSink } from "../../examples/kitchen-sink/KitchenSink.ts"
import { consume, keyB, memoryNode, scenario, serve, settings, Vault } from "../admission/Deployment.ts"
import { kitchen } from "../faults/Kitchen.ts"

/** A producer whose answer to every request for admission are these bytes. */
const answering = Effect.fnUntraced(function* (answer: Uint8Array) {
  const node = yield* memoryNode()
  const handler: Router.Handler = (connection) =>
    Effect.gen(function* () {
      const { send } = yield* connection.acceptBi
      yield* Effect.ignore(Effect.andThen(send.write(answer), send.finish))
      yield* connection.closed
    })
  yield* Router.serve({ protocols: [{ alpn: ConsumerAdmission.ALPN, handler }] }).pipe(
    Effect.provideService(IrohNode, node)
  )
  return { address: NodeAddr.toTicket(yield* node.address) }
})

const encode = (json: object): Uint8Array => new TextEncoder().encode(JSON.stringify(json))

const summary = { name: "KitchenSink", version: 1, contract_id: "" }

describe("an address", () => {
  scenario("is a ticket, base64, or an id", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { config: settings() }, kitchen)
      for (const address of [server.address, server.endpointAddrB64, server.endpointId, ` ${server.address}\n`]) {
        const client = yield* Effect.flatMap(consume(yield* memoryNode(), { address }), (own) =>
          own.client(KitchenSink)
        )
        assert.strictEqual((yield* client.say_hello(new HelloRequest({ name: "x" }))).message, "Hello, x!")
      }
    })
  )

  scenario("has to be there and to be one", () =>
    Effect.gen(function* () {
      const node = yield* memoryNode()
      assert.strictEqual((yield* Effect.flip(consume(node, { address: " " })))._tag, "AsterConfigError")
      for (const address of ["aster1nonsense", "!", "ab".repeat(31)]) {
        assert.strictEqual((yield* Effect.flip(consume(node, { address })))._tag, "TicketError")
      }
    })
  )
})

describe("a consumer", () => {
  scenario("can be given up while it dials", () =>
    Effect.gen(function* () {
      const nobody = { address: SecretKey.toEndpointId(keyB) }
      const dialling = yield* Effect.forkChild(consume(yield* memoryNode(), nobody))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(dialling.pollUnsafe())
      yield* Fiber.interrupt(dialling)
    })
  )

  scenario("dials while its configuration is read, and lets go when there is none", () =>
    Effect.gen(function* () {
      const home = yield* memoryNode({ alpns: [ConsumerAdmission.ALPN] })
      const config = yield* Deferred.make<Resolved, AsterConfigError>()
      const connecting = yield* Effect.forkChild(
        consume(
          yield* memoryNode(),
          { address: NodeAddr.toTicket(yield* home.address) },
          { config: Deferred.await(config) }
        )
      )
      const connection = yield* home.accept
      assert.isFalse(connection.isClosed())
      const origin = { file: "aster.toml" }
      yield* Deferred.fail(config, new AsterConfigError({ reason: "InvalidValue", origin, detail: "as the test says" }))
      assert.strictEqual((yield* Effect.flip(Fiber.join(connecting)))._tag, "AsterConfigError")
      assert.strictEqual((yield* connection.closed)._tag, "Peer")
    })
  )

  scenario("comes back as often as it likes to a producer that admits everybody", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { config: settings() }, kitchen)
      const node = yield* memoryNode()
      for (let i = 0; i < 30; i++) {
        const client = yield* Effect.flatMap(consume(node, server), (own) => own.client(KitchenSink))
        assert.strictEqual((yield* client.say_hello(new HelloRequest({ name: "x" }))).message, "Hello, x!")
      }
    })
  )

  scenario("is told that it was not admitted", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(consume(yield* memoryNode(), yield* serve(yield* memoryNode())))
      assert.strictEqual(error._tag, "AdmissionDenied")
      assert.include(error.message, "ask its operator for a credential")
    })
  )

  scenario("is told what is offered in place of what is not", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { config: settings() }, kitchen)
      const consumer = yield* consume(yield* memoryNode(), server)
      const error = yield* Effect.flip(consumer.client(Vault))
      assert.strictEqual(error._tag, "ServiceNotOffered")
      assert.include(error.message, "KitchenJson v1")
      assert.strictEqual((yield* Effect.flip(consumer.proxy("KitchenSink", 2)))._tag, "ServiceNotOffered")
    })
  )

  const hostile = [
    ["has no end in sight", new Uint8Array(200_000).fill(0x20), "TooLarge"],
    ["is garbage", Uint8Array.of(0xff, 0xfe, 0x00), "Malformed"],
    ["is not an object", new TextEncoder().encode("[true]"), "Malformed"],
    ["does not say whether it is admitted", encode({ services: [] }), "Malformed"],
    ["is nested beyond reason", new TextEncoder().encode(`{"admitted":${"[".repeat(30_000)}`), "Malformed"],
    ["is empty", new Uint8Array(0), "NoAnswer"]
  ] as const
  for (const [name, answer, reason] of hostile) {
    scenario(`fails when the answer ${name}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(consume(yield* memoryNode(), yield* answering(answer)))
        assert.strictEqual(error._tag === "HandshakeError" ? error.reason : error._tag, reason)
      })
    )
  }

  scenario("asks again while the producer is under pressure, and no longer than it was told to wait", () =>
    Effect.gen(function* () {
      const node = yield* memoryNode()
      let busy = 3
      const answer = encode({ admitted: true, services: [summary], attributes: {} })
      const handler: Router.Handler = (connection) =>
        Effect.gen(function* () {
          if (busy-- > 0) return yield* connection.close(503, "too many handshakes")
          const { send } = yield* connection.acceptBi
          yield* Effect.ignore(Effect.andThen(send.write(answer), send.finish))
          yield* connection.closed
        })
      yield* Router.serve({ protocols: [{ alpn: ConsumerAdmission.ALPN, handler }] }).pipe(
        Effect.provideService(IrohNode, node)
      )
      const producer = { address: NodeAddr.toTicket(yield* node.address) }
      const connecting = yield* Effect.forkChild(consume(yield* memoryNode(), producer))
      yield* TestClock.adjust("5 seconds")
      assert.lengthOf((yield* Fiber.join(connecting)).services, 1)
      busy = Infinity
      const failing = yield* Effect.forkChild(Effect.flip(consume(yield* memoryNode(), producer)))
      yield* TestClock.adjust("30 seconds")
      const error = yield* Fiber.join(failing)
      assert.strictEqual(error._tag === "HandshakeError" ? error.reason : error._tag, "Busy")
    })
  )

  scenario("drops services that break a rule and keeps the others", () =>
    Effect.gen(function* () {
      const services = [
        summary,
        { ...summary, name: "../etc" },
        { ...summary, name: 7 },
        { ...summary, version: 1.5 },
        { ...summary, contract_id: "xyz" },
        null,
        { ...summary, name: "Other", channels: { rpc: "not an address" } }
      ]
      const producer = yield* answering(encode({ admitted: true, services, attributes: { a: 1, b: "2" } }))
      const consumer = yield* consume(yield* memoryNode(), producer)
      assert.deepStrictEqual(
        consumer.services.map(({ name }) => name),
        ["KitchenSink", "Other"]
      )
      assert.deepStrictEqual([...consumer.attributes], [["b", "2"]])
    })
  )
})
