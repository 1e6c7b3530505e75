/** What has to hold on every transport. Times are short enough for a real clock. */
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import { HandshakeError } from "@aster-effect/admission/Handshake"
import * as ProducerAdmission from "@aster-effect/admission/ProducerAdmission"
import { AdmissionDenied } from "@aster-effect/client/AsterClient"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import type { CloseReason } from "@aster-effect/iroh/Connection"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  asking,
  consume,
  dial,
  directory,
  enrol,
  issue,
  keyA,
  type MakeNode,
  nonce,
  Note,
  root,
  serve,
  settings,
  Vault,
  watching
} from "./Deployment.ts"

export interface Transport<R> {
  readonly test: (title: string, body: () => Effect.Effect<void, unknown, R | Scope.Scope>) => void
  readonly node: MakeNode<R>
  /** Lets time pass. */
  readonly pass: (seconds: number) => Effect.Effect<void>
}

const refused: CloseReason = { _tag: "Peer", code: 403, reason: "not admitted" }
const ask = new Note({})

export const scenarios = <R>({ node, pass, test }: Transport<R>): void => {
  test("a consumer with a credential comes in, and handlers see its attributes", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* node())
      assert.strictEqual(server.mode, "trusted")
      const own = yield* node()
      const client = yield* consume(own, server, { credential: yield* issue({ to: own, role: "ops,audit" }) })
      assert.isFalse(client.openGate)
      assert.deepStrictEqual(client.attributes, new Map([["aster.role", "ops,audit"]]))
      assert.strictEqual(client.rootPubkey, root.publicKey)
      const vault = yield* client.client(Vault)
      assert.strictEqual((yield* vault.whoami(ask)).text, "ops,audit")
      assert.strictEqual((yield* vault.unlock(ask)).text, "open")
    }))

  test("a consumer without one, or with one that is no good, stays out", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* node())
      const own = yield* node()
      const error = yield* Effect.flip(consume(own, server))
      assert.instanceOf(error, AdmissionDenied)
      const admission = yield* dial(own, server, ConsumerAdmission.ALPN)
      const stolen = yield* issue({ to: server })
      const reply = yield* ConsumerAdmission.request(admission, { request: asking(stolen) })
      assert.deepStrictEqual(reply, ConsumerAdmission.denied(root.publicKey))
      const connection = yield* dial(own, server)
      assert.deepStrictEqual(yield* connection.closed, refused)
    }))

  test("a role that is missing is PERMISSION_DENIED, and the connection goes on", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* node())
      const own = yield* node()
      const client = yield* consume(own, server, { credential: yield* issue({ to: own, role: "audit" }) })
      const vault = yield* client.client(Vault)
      const error = yield* Effect.flip(vault.unlock(ask))
      assert.strictEqual(error.status, "PERMISSION_DENIED")
      assert.strictEqual(error.message, "method 'Vault.unlock' requires a role that the caller does not hold")
      assert.strictEqual((yield* vault.whoami(ask)).text, "audit")
    }))

  test("10: when an admission expires, the peer's connections are closed and its calls interrupted", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* node())
      const own = yield* node()
      const other = yield* node()
      const credential = yield* issue({ to: own, seconds: 2 })
      const client = yield* consume(own, server, { credential })
      const vault = yield* client.client(Vault)
      const stays = yield* (yield* consume(other, server, { credential: yield* issue({ to: other }) })).client(Vault)
      const before = watching.count
      const watch = yield* vault.watch(ask).pipe(Stream.runDrain, Effect.flip, Effect.forkChild)
      const bare = yield* dial(own, server)
      const blobs = yield* dial(own, server, BlobsProtocol.ALPN)
      yield* Effect.repeat(pass(0.01), { until: () => watching.count > before })
      yield* pass(2)
      assert.deepStrictEqual(yield* Effect.timeout(bare.closed, "1 second"), refused)
      assert.deepStrictEqual(yield* Effect.timeout(blobs.closed, "1 second"), refused)
      yield* Effect.timeout(Fiber.join(watch), "1 second")
      yield* Effect.repeat(pass(0.01), { until: () => watching.count === before })
      assert.deepStrictEqual(yield* (yield* dial(own, server)).closed, refused)
      assert.strictEqual((yield* stays.whoami(ask)).text, "nobody")
    }))

  test("when an admission is revoked, the peer is out at once and stays out", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* node())
      const own = yield* node()
      const credential = yield* issue({ to: own })
      const client = yield* consume(own, server, { credential })
      const vault = yield* client.client(Vault)
      yield* vault.whoami(ask)
      const bare = yield* dial(own, server)
      assert.isTrue(yield* server.admittedPeers.revoke(own.endpointId))
      assert.deepStrictEqual(yield* Effect.timeout(bare.closed, "1 second"), refused)
      assert.deepStrictEqual(yield* (yield* dial(own, server)).closed, refused)
      assert.strictEqual((yield* Effect.flip(vault.whoami(ask))).status, "PERMISSION_DENIED")
      assert.instanceOf(yield* Effect.flip(consume(own, server, { credential })), AdmissionDenied)
      yield* server.admittedPeers.reinstate(own.endpointId)
      assert.strictEqual((yield* vault.whoami(ask)).text, "nobody")
    }))

  test("8: of many who present one token at the same time, exactly one comes in, also after a restart", () =>
    Effect.gen(function* () {
      const storagePath = yield* directory
      const config = settings({ rootPubkey: root.publicKey, storagePath })
      const server = yield* serve(yield* node(), { config })
      const credential = yield* issue({ nonce: nonce(7) })
      const present = (at: { readonly address: string }) =>
        Effect.acquireUseRelease(
          Effect.flatMap(node(), (own) => dial(own, at, ConsumerAdmission.ALPN)),
          (connection) => ConsumerAdmission.request(connection, { request: asking(credential) }),
          (connection) => connection.close(0, "done")
        )
      const replies = yield* Effect.all(
        Array.from({ length: 50 }, () => present(server)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(replies.filter(({ admitted }) => admitted).length, 1)
      yield* server.close
      const again = yield* serve(yield* node(), { config })
      assert.isFalse((yield* present(again)).admitted)
    }))

  test("3: a producer gets the salt with its own credential only, and then passes Gate 0", () =>
    Effect.gen(function* () {
      const config = settings({ rootPubkey: root.publicKey, allowAllProducers: false })
      const server = yield* serve(yield* node(), { config })
      const own = yield* node()
      const thief = yield* node()
      const credential = yield* enrol(own)
      const present = (by: typeof own) =>
        Effect.flatMap(dial(by, server, ProducerAdmission.ALPN), (connection) =>
          ProducerAdmission.request(connection, { request: asking(credential) })
        )
      assert.deepStrictEqual(yield* present(thief), ProducerAdmission.refused)
      assert.deepStrictEqual(yield* (yield* dial(thief, server)).closed, refused)
      const reply = yield* present(own)
      assert.isTrue(reply.accepted)
      assert.strictEqual(reply.salt, server.mesh?.salt)
      assert.deepStrictEqual(reply.acceptedProducers, [own.endpointId, server.endpointId].toSorted())
      const { recv, send } = yield* (yield* dial(own, server)).openBi
      yield* send.finish
      assert.isUndefined(yield* recv.read())
    }))

  test("13: a peer that asks too often is turned away", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* node())
      const own = yield* node()
      const attempt = Effect.gen(function* () {
        const connection = yield* dial(own, server, ConsumerAdmission.ALPN)
        const outcome = yield* Effect.result(ConsumerAdmission.request(connection, { request: asking() }))
        yield* connection.close(0, "done")
        if (outcome._tag === "Success") return "answered"
        return outcome.failure._tag === "HandshakeError" ? outcome.failure.reason : outcome.failure._tag
      })
      const outcomes = yield* Effect.all(Array.from({ length: 12 }, () => attempt))
      assert.deepStrictEqual(outcomes, [...Array.from({ length: 10 }, () => "answered"), "TurnedAway", "TurnedAway"])
    }))

  test("empty and over-long requests end without an answer, malformed ones are denied", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* node())
      const send = (bytes: Uint8Array) =>
        Effect.gen(function* () {
          const connection = yield* dial(yield* node(), server, ConsumerAdmission.ALPN)
          const stream = yield* connection.openBi
          yield* Effect.ignore(Effect.andThen(stream.send.write(bytes), stream.send.finish))
          return yield* stream.recv.read()
        })
      const empty = yield* (yield* dial(yield* node(), server, ConsumerAdmission.ALPN)).openBi
      yield* empty.send.finish
      assert.isUndefined(yield* empty.recv.read())
      assert.isUndefined(yield* send(new Uint8Array(70_000).fill(0x20)))
      for (const text of ["xx", "{}", "[]", '{"credential_json":1}', '{"credential_json":"{"}']) {
        const reply = ConsumerAdmission.decodeReply((yield* send(new TextEncoder().encode(text))) ?? new Uint8Array())
        assert.deepStrictEqual(reply, Result.succeed(ConsumerAdmission.denied(root.publicKey)), text)
      }
      const notUtf8 = yield* send(Uint8Array.of(0x7b, 0xff, 0x7d))
      assert.isFalse(Result.getOrThrow(ConsumerAdmission.decodeReply(notUtf8 ?? new Uint8Array())).admitted)
    }))

  test("4: the gate is for those who come, not for those we go to", () =>
    Effect.gen(function* () {
      const home = yield* node({ secretKey: keyA })
      yield* serve(home)
      const open = yield* serve(yield* node(), { config: settings({ allowAllConsumers: true }) })
      const vault = yield* (yield* consume(home, open)).client(Vault)
      assert.strictEqual((yield* vault.whoami(ask)).text, "nobody")
    }))

  test("a consumer refuses a producer of another deployment, and one that gives no answer", () =>
    Effect.gen(function* () {
      const open = yield* serve(yield* node(), { config: settings({ allowAllConsumers: true }) })
      const error = yield* Effect.flip(consume(yield* node(), open, { rootPubkey: root.publicKey }))
      assert.strictEqual(error._tag, "RootKeyMismatch")
      const mute = yield* node({ alpns: [ConsumerAdmission.ALPN] })
      const answering = yield* Effect.forkChild(
        Effect.gen(function* () {
          const connection = yield* mute.accept
          const { send } = yield* connection.acceptBi
          yield* send.finish
          yield* connection.closed
        })
      )
      const own = yield* node()
      const connection = yield* own.connect(yield* mute.address, ConsumerAdmission.ALPN)
      const silent = yield* Effect.flip(ConsumerAdmission.request(connection, { request: asking() }))
      assert.instanceOf(silent, HandshakeError)
      assert.strictEqual(silent.reason, "NoAnswer")
      yield* connection.close(0, "done")
      yield* Fiber.join(answering)
    }))
}
