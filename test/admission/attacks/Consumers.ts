/** Attacks of a producer on its consumers. */
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import type { SendStream } from "@aster-effect/iroh/BiStream"
import type { Connection } from "@aster-effect/iroh/Connection"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { consume, directory, issue, otherRoot, root, serve, settings, Vault } from "../Deployment.ts"
import type { Transport } from "../Scenarios.ts"
import { ask, deployment, type Json, type Node, protocols, utf8 } from "./Kit.ts"

/** A node that answers every request for admission with `reply`, and takes calls without answering them. */
const impostor = Effect.fnUntraced(function* (node: Node, reply: (address: NodeAddr.NodeAddr) => Uint8Array) {
  const address = yield* node.address
  const dialled: Array<string> = []
  const answer = Effect.fnUntraced(function* (connection: Connection) {
    dialled.push(connection.alpn)
    if (connection.alpn === RpcConnection.ALPN) return yield* connection.close(0, "so that the caller need not wait")
    const { send } = yield* connection.acceptBi
    yield* Effect.andThen(send.write(reply(address)), send.finish)
  })
  yield* node.accept.pipe(
    Effect.flatMap((connection) => Effect.forkChild(Effect.ignore(answer(connection)))),
    Effect.forever,
    Effect.ignore,
    Effect.forkScoped
  )
  return { address: NodeAddr.toTicket(address), dialled }
})

const summary = (name: string, more: Json = {}): Json => ({
  name,
  version: 1,
  contract_id: "ab".repeat(32),
  channels: {},
  pattern: "shared",
  serialization_modes: [],
  ...more
})

const admitting = (more: Json): Uint8Array =>
  utf8.encode(
    JSON.stringify({ admitted: true, attributes: {}, services: [], registry_namespace: "", root_pubkey: "", ...more })
  )

export const attacksOnConsumers = <R>({ node, pass, test }: Transport<R>): void => {
  const { gated } = deployment(node)

  test("22: a producer's reply cannot name a path, and touches no file", () =>
    Effect.gen(function* () {
      const folder = yield* directory
      const target = path.join(folder, "nonces")
      const names = ["../../x", "a/b", "a\\b", "C\u0000", "\u001b[2J", "", "x".repeat(257), 7]
      const services = [
        ...names.map((name) => summary("", { name })),
        ...[target, "../nonces", "AB".repeat(32), "ab", 7].map((contract_id) => summary("Id", { contract_id })),
        summary("Good")
      ]
      const home = yield* node({ alpns: [ConsumerAdmission.ALPN] })
      const reply = admitting({ services, registry_namespace: target, gossip_topic: "../x" })
      const client = yield* consume(yield* node(), yield* impostor(home, () => reply))
      assert.deepStrictEqual(
        client.services.map(({ contractId, name }) => [name, contractId]),
        [["Good", "ab".repeat(32)]]
      )
      assert.deepStrictEqual([client.registryNamespace, client.rootPubkey, client.gossipTopic], ["", "", ""])
      assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(folder)), [])
    }))

  test("23: names from a producer are data: what looks like code is never run", () =>
    Effect.gen(function* () {
      const code = '");globalThis.hacked=1;("'
      const home = yield* node({ alpns: [ConsumerAdmission.ALPN, RpcConnection.ALPN] })
      const fake = yield* impostor(home, () =>
        admitting({ services: [summary(code)], attributes: { [code]: "${globalThis.hacked=1}" } })
      )
      const client = yield* consume(yield* node(), fake)
      for (const { name } of client.services) {
        yield* Effect.exit(Effect.flatMap(client.proxy(name), (proxy) => proxy.unary(code, { [code]: code })))
      }
      assert.notProperty(globalThis, "hacked")
    }))

  test("a producer cannot fill its consumers' memory", () =>
    Effect.gen(function* () {
      const home = yield* node({ alpns: [ConsumerAdmission.ALPN, RpcConnection.ALPN] })
      const outcomes: Array<string> = []
      const all = { concurrency: "unbounded" } as const
      const filled = (send: SendStream) =>
        Effect.map(Effect.flip(Effect.forever(send.write(new Uint8Array(16_384)))), ({ reason }) => reason._tag)
      const flood = ({ openBi, openUni }: Connection) =>
        Effect.forEach(
          Array.from({ length: 5 }),
          () => Effect.all([Effect.flatMap(openUni, filled), Effect.flatMap(openBi, ({ send }) => filled(send))], all),
          all
        ).pipe(Effect.map((tags) => void outcomes.push(...tags.flat())))
      const floods = { now: false }
      const serving = Effect.fnUntraced(function* (connection: Connection) {
        if (floods.now) return yield* flood(connection)
        const { send } = yield* connection.acceptBi
        yield* Effect.andThen(send.write(admitting({ services: [summary("Vault")] })), send.finish)
        yield* connection.closed
      })
      yield* home.accept.pipe(
        Effect.flatMap((connection) => Effect.forkChild(Effect.ignore(serving(connection)))),
        Effect.forever,
        Effect.ignore,
        Effect.forkScoped
      )
      const address = NodeAddr.toTicket(yield* home.address)
      const vault = yield* (yield* consume(yield* node(), { address })).client(Vault)
      floods.now = true
      const call = yield* Effect.forkChild(vault.whoami(ask))
      yield* Effect.repeat(pass(0.01), { until: () => outcomes.length > 0 })
      assert.deepStrictEqual(
        outcomes,
        Array.from({ length: 10 }, () => "StreamStopped")
      )
      yield* Fiber.interrupt(call)
      const asking = yield* Effect.forkChild(Effect.flip(consume(yield* node(), { address })))
      yield* Effect.repeat(pass(0.1), { until: () => asking.pollUnsafe() !== undefined })
      const error = yield* Fiber.join(asking)
      assert.strictEqual(error._tag === "HandshakeError" ? error.reason : error._tag, "TooLarge")
    }))

  test("a producer cannot send its consumers to somebody else", () =>
    Effect.gen(function* () {
      const third = yield* node({ alpns: [RpcConnection.ALPN] })
      const met = yield* Effect.forkChild(third.accept)
      const elsewhere = NodeAddr.toBase64(yield* third.address)
      const home = yield* node({ alpns: [ConsumerAdmission.ALPN, RpcConnection.ALPN] })
      const fake = yield* impostor(home, () =>
        admitting({ services: [summary("Vault", { channels: { rpc: elsewhere } })] })
      )
      const vault = yield* (yield* consume(yield* node(), fake)).client(Vault)
      assert.strictEqual((yield* Effect.flip(vault.whoami(ask))).status, "UNAVAILABLE")
      assert.include(fake.dialled, RpcConnection.ALPN)
      assert.isUndefined(met.pollUnsafe())
    }))

  test("a consumer takes no connections, whatever the protocol", () =>
    Effect.gen(function* () {
      const own = yield* node()
      yield* consume(own, yield* gated(), { credential: yield* issue({ to: own }) })
      const attacker = yield* node()
      for (const alpn of [...protocols, ConsumerAdmission.ALPN, "made-up/1"]) {
        const error = yield* Effect.flip(attacker.connect(yield* own.address, alpn))
        assert.strictEqual(error.reason._tag, "UnsupportedProtocol", alpn)
      }
    }))

  test("somebody else at a producer's address is not taken for the producer", () =>
    Effect.gen(function* () {
      const somebody = yield* serve(yield* node(), { config: settings({ allowAllConsumers: true }) })
      const producer = yield* node()
      const forged = NodeAddr.make(producer.endpointId, somebody.directAddresses)
      const own = yield* node()
      const address = NodeAddr.toTicket(forged)
      const asking = yield* Effect.forkChild(Effect.flip(consume(own, { address }, { connectTimeout: "2 seconds" })))
      yield* Effect.repeat(pass(0.1), { until: () => asking.pollUnsafe() !== undefined })
      assert.strictEqual((yield* Fiber.join(asking))._tag, "ConnectError")
    }))

  test("24: a producer of another deployment is found out, whatever it answers", () =>
    Effect.gen(function* () {
      const home = yield* node({ alpns: [ConsumerAdmission.ALPN] })
      const answers = [
        [admitting({ root_pubkey: otherRoot.publicKey }), "RootKeyMismatch"],
        [admitting({}), "RootKeyMismatch"],
        [new Uint8Array(65_537).fill(0x20), "HandshakeError"],
        [utf8.encode(`{"admitted":true,"services":${"[".repeat(60_000)}`), "HandshakeError"],
        [utf8.encode('{"admitted":1}'), "HandshakeError"]
      ] as const
      let turn = 0
      const fake = yield* impostor(home, () => answers[turn]![0])
      for (; turn < answers.length; turn++) {
        const error = yield* Effect.flip(consume(yield* node(), fake, { rootPubkey: root.publicKey }))
        assert.strictEqual(error._tag, answers[turn]![1])
      }
    }))
}
