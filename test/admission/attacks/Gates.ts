/** Attacks on the gates of a producer. */
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as ProducerAdmission from "@aster-effect/admission/ProducerAdmission"
import { AdmissionDenied } from "@aster-effect/client/AsterClient"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { ConnectionGate } from "@aster-effect/iroh/ConnectionGate"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import {
  asked,
  consume,
  dial,
  enrol,
  enrolled,
  issue,
  logs,
  Note,
  root,
  serve,
  settings,
  Vault,
  VaultLive,
  watching
} from "../Deployment.ts"
import type { Transport } from "../Scenarios.ts"
import { ask, denial, deployment, jsonOf, present, protocols, refused, wire } from "./Kit.ts"

export const attacksOnGates = <R>({ node, pass, test }: Transport<R>): void => {
  const { enrolledVault, gated } = deployment(node)

  test("no credential: admission is denied, and every protocol is closed before a stream is accepted", () =>
    Effect.gen(function* () {
      const server = yield* gated({ alpns: protocols })
      const own = yield* node()
      assert.instanceOf(yield* Effect.flip(consume(own, server)), AdmissionDenied)
      const before = asked.count
      for (const alpn of protocols) {
        const connection = yield* dial(own, server, alpn)
        // As fast as a peer can be: a whole stream, before the refusal arrives.
        const answer = yield* Effect.exit(
          Effect.flatMap(connection.openBi, ({ recv, send }) =>
            Effect.andThen(Effect.ignore(Effect.andThen(send.write(new Uint8Array(4_096)), send.finish)), recv.read())
          )
        )
        assert.strictEqual(answer._tag, "Failure", alpn)
        assert.deepStrictEqual(yield* connection.closed, refused, alpn)
      }
      assert.strictEqual(asked.count, before)
      assert.strictEqual(yield* server.admittedPeers.size, 0)
    }))

  test("an admission that is revoked ends live streams within a second, of this peer alone", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      const own = yield* node()
      const client = yield* consume(own, server, { credential: yield* issue({ to: own }) })
      const vault = yield* client.client(Vault)
      const stays = yield* enrolledVault(server)
      const before = watching.count
      const watch = yield* vault.watch(ask).pipe(Stream.runDrain, Effect.flip, Effect.forkChild)
      const other = yield* stays.watch(ask).pipe(Stream.runDrain, Effect.exit, Effect.forkChild)
      const blobs = yield* dial(own, server, BlobsProtocol.ALPN)
      yield* Effect.repeat(pass(0.01), { until: () => watching.count === before + 2 })
      yield* server.admittedPeers.revoke(own.endpointId)
      yield* Effect.timeout(Fiber.join(watch), "1 second")
      assert.deepStrictEqual(yield* Effect.timeout(blobs.closed, "1 second"), refused)
      yield* Effect.repeat(pass(0.01), { until: () => watching.count === before + 1 })
      assert.isUndefined(other.pollUnsafe())
      yield* Fiber.interrupt(other)
    }))

  test("an admitted consumer gets nothing from the handshake of producers", () =>
    Effect.gen(function* () {
      const server = yield* gated({ allowAllProducers: false })
      const own = yield* node()
      const credential = yield* issue({ to: own, role: "producer" })
      const vault = yield* (yield* consume(own, server, { credential })).client(Vault)
      const relabelled = JSON.stringify({ ...jsonOf(credential), kind: "producer", credential_type: "producer" })
      for (const text of ["", wire(credential), relabelled]) {
        const reply = yield* present(own, server, text, ProducerAdmission.ALPN)
        assert.deepStrictEqual(ProducerAdmission.decodeReply(reply), Result.succeed(ProducerAdmission.refused), text)
      }
      assert.deepStrictEqual(yield* server.mesh!.acceptedProducers, [server.endpointId])
      // Nor the other way round: a producer's credential does not make a consumer.
      const other = yield* node()
      assert.deepStrictEqual(yield* present(other, server, wire(yield* enrol(other))), denial)
      assert.strictEqual((yield* vault.whoami(ask)).text, "producer")
      const without = yield* gated()
      const connecting = yield* Effect.exit(dial(own, without, ProducerAdmission.ALPN))
      assert.strictEqual(connecting._tag, "Failure")
    }))

  test("the endpoint of the root key itself is not let in for being that", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      const operator = yield* node({ secretKey: root.seed })
      assert.strictEqual(operator.endpointId, root.publicKey.toString())
      assert.instanceOf(yield* Effect.flip(consume(operator, server)), AdmissionDenied)
      assert.deepStrictEqual(yield* (yield* dial(operator, server)).closed, refused)
    }))

  test("what a peer says when it leaves forges no lines in the log", () =>
    Effect.gen(function* () {
      const { layer, lines } = logs()
      const server = yield* Effect.provide(gated(), layer)
      const connection = yield* dial(yield* node(), server, ConsumerAdmission.ALPN)
      yield* connection.openBi
      yield* connection.close(7, "bye\nWarn dev mode\u001b[2J\u2028\u202e")
      yield* Effect.repeat(pass(0.01), { until: () => lines.some((line) => line.includes("bye")) })
      assert.isFalse(lines.some((line) => /[\p{Cc}\p{Cf}\p{Zl}]/u.test(line)))
    }))

  test("1: an identity file is all it takes to close the gate", () =>
    Effect.gen(function* () {
      const { config, key } = yield* enrolled()
      const server = yield* serve(yield* node({ secretKey: key }), { config })
      assert.strictEqual(server.mode, "trusted")
      assert.strictEqual(server.rootPubkey, root.publicKey)
      assert.instanceOf(yield* Effect.flip(consume(yield* node(), server)), AdmissionDenied)
      assert.deepStrictEqual(yield* (yield* dial(yield* node(), server)).closed, refused)
      assert.strictEqual((yield* (yield* enrolledVault(server)).whoami(ask)).text, "nobody")
    }))

  test("4: a gate that breaks or does not answer lets nobody in, and goes on", () =>
    Effect.gen(function* () {
      const answers = [Effect.die("broken"), Effect.never, Effect.succeed(true)]
      let questions = 0
      const broken = Layer.succeed(ConnectionGate, { admit: () => answers[Math.min(questions++, 2)]! })
      const config = settings({ rootPubkey: root.publicKey, allowAllConsumers: true, hookTimeoutMs: 300 })
      const server = yield* serve(yield* node(), { config }, Layer.merge(VaultLive, broken))
      const dying = yield* dial(yield* node(), server)
      assert.deepStrictEqual(yield* dying.closed, refused)
      const silent = yield* dial(yield* node(), server)
      const { recv } = yield* silent.openBi
      const reading = yield* Effect.forkChild(Effect.exit(recv.read()))
      yield* pass(0.1)
      assert.isUndefined(reading.pollUnsafe())
      yield* pass(0.3)
      assert.deepStrictEqual(yield* silent.closed, refused)
      const vault = yield* (yield* consume(yield* node(), server)).client(Vault)
      assert.strictEqual((yield* vault.whoami(ask)).text, "nobody")
    }))

  test("17: what a handler dies of stays on the server", () =>
    Effect.gen(function* () {
      const Fragile = Service.make("Fragile").add(Rpc.unary("touch", { request: Note, response: Note }))
      const fragile = Fragile.toLayer({ touch: () => Effect.die(new Error("password of db.internal is hunter2")) })
      const server = yield* serve(yield* node(), { config: settings({ allowAllConsumers: true }) }, fragile)
      const calls = yield* (yield* consume(yield* node(), server)).client(Fragile)
      const error = yield* Effect.flip(calls.touch(ask))
      assert.strictEqual(error.status, "INTERNAL")
      assert.notInclude(JSON.stringify([error.message, error]), "hunter2")
    }))

  test("21: a server that drains takes nobody new", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      const own = yield* node()
      yield* consume(own, server, { credential: yield* issue({ to: own }) })
      yield* server.drain
      for (const alpn of [RpcConnection.ALPN, ConsumerAdmission.ALPN]) {
        const { closed } = yield* dial(own, server, alpn)
        assert.deepStrictEqual(yield* closed, { _tag: "Peer", code: 0, reason: "server closed" }, alpn)
      }
    }))
}
