/** Our consumers at a gated producer of the reference. */
import type { AdmissionRequest } from "@aster-effect/admission/AdmissionRequest"
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as ProducerAdmission from "@aster-effect/admission/ProducerAdmission"
import { AdmissionDenied, AsterClient, type NodeClientOptions } from "@aster-effect/client/AsterClient"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type * as Credential from "@aster-effect/trust/Credential"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import {
  asking,
  dial,
  enrol,
  issue,
  keyA,
  nonce,
  otherRoot,
  quicNode,
  root,
  settings
} from "../admission/Deployment.ts"
import vectors from "../admission/vectors/trust.json" with { type: "json" }
import { PythonReference } from "./PythonReference.ts"
import { bothCommands, trust } from "./PythonTrust.ts"
import { Cellar, Note, Vault } from "./Vault.ts"

const connect = (options: NodeClientOptions) =>
  Effect.map(
    Layer.build(Layer.fresh(AsterClient.layer({ node: loopback, config: settings(), ...options }))).pipe(
      Effect.provide(Logger.layer([]))
    ),
    Context.get(AsterClient)
  )

/** The outcome of every call there is: its text, or the name of what refused. */
const outcomes = Effect.fnUntraced(function* (client: AsterClient["Service"]) {
  const vault = yield* client.client(Vault)
  const cellar = yield* client.client(Cellar)
  const notes = Stream.fromIterable(["a", "b"].map((text) => new Note({ text })))
  const all = (stream: Stream.Stream<Note, RpcError>) =>
    Effect.map(Stream.runCollect(stream), (found) => new Note({ text: found.map(({ text }) => text).join("") }))
  const note = new Note({})
  const calls: ReadonlyArray<Effect.Effect<Note, RpcError>> = [
    vault.whoami(note),
    vault.unlock(note),
    all(vault.watch(note)),
    vault.fill(notes),
    all(vault.mend(notes)),
    cellar.enter(note),
    cellar.unlock(note)
  ]
  return yield* Effect.forEach(calls, (call) =>
    Effect.match(call, {
      onSuccess: ({ text }) => text,
      onFailure: ({ message, status }) => {
        assert.strictEqual(status, "PERMISSION_DENIED", message)
        return /^capability check failed for (service|method) '(.*)'$/.exec(message)?.slice(1).join(" ") ?? message
      }
    })
  )
})

const refusedMethods = ["unlock", "watch", "fill", "mend"].map((method) => `method Vault.${method}`)

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })(
  "Our consumer, gated Python producer",
  (it) => {
    it.effect("consumers enrolled by either command come in, and have the roles of their credential", () =>
      Effect.gen(function* () {
        const { file, ours, run, theirs } = yield* bothCommands
        const python = yield* trust
        yield* ours("keygen root --key-file root.key")
        // The reference closes the gate for an identity file of ours as for one of its own.
        yield* ours("enroll node --role producer --name server --root-key root.key --out server.cred")
        const { address, contracts } = yield* python.producer({ identity: file("server.cred") })
        assert.deepStrictEqual(contracts, {
          Vault: Vault.contract.contractId,
          Cellar: Cellar.contract.contractId
        })
        const enrolling = "enroll node --role consumer --root-key root.key --name"
        const roles = "vault.open,cellar"
        const whoami = JSON.stringify({ "aster.role": roles })
        for (const [enroll, name] of [
          [ours, "ours"],
          [theirs, "theirs"]
        ] as const) {
          yield* enroll(`${enrolling} ${name} --capabilities ${roles} --out ${name}.cred`)
          for (const from of [{ identity: file(`${name}.cred`) }, { enrollmentCredentialFile: file(`${name}.cred`) }]) {
            const client = yield* connect({ address, ...from })
            assert.deepStrictEqual(client.attributes, new Map([["aster.role", roles]]))
            assert.deepStrictEqual(yield* outcomes(client), [
              whoami,
              "open",
              "seen",
              "method Vault.fill",
              "method Vault.mend",
              "inside",
              "open"
            ])
          }
        }
        // The reference cannot use this file of its own; we find the attributes that were signed.
        yield* theirs(`${enrolling} lossy --out lossy.cred`)
        assert.deepStrictEqual(yield* outcomes(yield* connect({ address, identity: file("lossy.cred") })), [
          JSON.stringify({ "aster.role": "consumer" }),
          ...refusedMethods,
          "service Cellar",
          "service Cellar"
        ])
        yield* theirs(
          `trust sign --root-key root.key --type ott --attributes {"aster.role":"vault.read,vault.write"} --out ott`
        )
        const once = { address, enrollmentCredentialFile: file("ott") }
        assert.deepStrictEqual(yield* outcomes(yield* connect(once)), [
          JSON.stringify({ "aster.role": "vault.read,vault.write" }),
          "method Vault.unlock",
          "seen",
          "ab",
          "ab",
          "service Cellar",
          "service Cellar"
        ])
        const again = yield* Effect.flip(connect(once))
        assert.instanceOf(again, AdmissionDenied)
        assert.include(again.message, "the one-time token was used before")

        // And the command.
        const env = { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }
        const call = (method: string, ...rcan: ReadonlyArray<string>) =>
          run(["call", address, method, "{}", ...rcan], { env })
        for (const name of ["ours", "theirs"]) {
          const called = yield* call("Vault.unlock", "--rcan", `${name}.cred`)
          assert.deepStrictEqual([called.code, JSON.parse(called.out)], [0, { text: "open" }], called.err)
        }
        const denied = yield* call("Vault.fill", "--rcan", "ours.cred")
        assert.deepStrictEqual([denied.code, denied.out], [1, ""])
        assert.include(denied.err, "permission denied")
        const stranger = yield* call("Vault.whoami")
        assert.strictEqual(stranger.code, 1)
        assert.include(stranger.err, "showed no credential")
      })
    )

    it.effect("credentials of ours: what is good is admitted, everything else is denied", () =>
      Effect.gen(function* () {
        const python = yield* trust
        const { address } = yield* python.producer({ root: root.publicKey })
        const own = yield* quicNode({ secretKey: keyA })
        const present = (request: AdmissionRequest, by: IrohNode["Service"] = own) =>
          Effect.acquireUseRelease(
            dial(by, { address }, ConsumerAdmission.ALPN),
            (connection) => ConsumerAdmission.request(connection, { request }),
            (connection) => connection.close(0, "done")
          )
        const attributes = { "aster.role": "vault.open", "\ue000": "\u{10000}", "\u{10000}": '\u2028\u0001"\\' }
        const good = yield* issue({ to: own, attributes })
        for (const [title, credential] of [
          ["bound", good],
          ["unbound", yield* issue({ attributes })],
          ["once", yield* issue({ attributes, nonce: nonce(1) })],
          ["once and bound", yield* issue({ attributes, to: own, nonce: nonce(2) })]
        ] as const) {
          const reply = yield* present(asking(credential))
          assert.isTrue(reply.admitted, title)
          assert.deepStrictEqual(reply.attributes, new Map(Object.entries(attributes)), title)
          assert.deepStrictEqual(
            reply.services.map(({ name }) => name),
            ["Vault", "Cellar"]
          )
          assert.strictEqual(reply.rootPubkey, root.publicKey.toString())
        }
        const stranger = yield* quicNode()
        const changed = (change: Partial<Credential.ConsumerEnrollmentCredential>) => asking({ ...good, ...change })
        for (const [title, request] of [
          ["none", asking()],
          ["used", asking(yield* issue({ attributes, nonce: nonce(1) }))],
          ["expired", asking(yield* issue({ to: own, seconds: 0 }))],
          ["another root", asking(yield* issue({ to: own, by: otherRoot }))],
          ["another node's", asking(yield* issue({ to: stranger }))],
          ["another node's, once", asking(yield* issue({ to: stranger, nonce: nonce(3) }))],
          ["later", changed({ expiresAt: good.expiresAt + 1n })],
          ["more", changed({ attributes: new Map([["aster.role", "vault.open,cellar"]]) })],
          ["unbound", changed({ endpointId: undefined })],
          ["once", changed({ type: "ott", nonce: nonce(4) })],
          ["of the other root", changed({ rootPubkey: otherRoot.publicKey })],
          ["another signature", changed({ signature: "00".repeat(64) })],
          ["no credential", { credential: "{}", iidToken: "" }],
          ["a producer's", asking(yield* enrol(own))]
        ] as const) {
          assert.deepStrictEqual(yield* present(request), ConsumerAdmission.denied(root.publicKey), title)
        }
        assert.isTrue((yield* present(asking(yield* issue({ to: stranger, nonce: nonce(3) })), stranger)).admitted)
        // Credentials made by the reference are as good when we show them.
        const theirs = yield* python.sign({
          seed: vectors.keys.root_a.seed_hex,
          kind: "consumer",
          attributes,
          endpoint_id: own.endpointId
        })
        assert.isTrue((yield* present({ credential: theirs.text, iidToken: "" })).admitted)
      })
    )

    it.effect("the gate is closed to those who were not admitted, and open to a producer's own credential", () =>
      Effect.gen(function* () {
        const python = yield* trust
        const { address } = yield* python.producer({ root: root.publicKey, producers_gated: true })
        const own = yield* quicNode()
        const bare = yield* dial(own, { address })
        assert.deepStrictEqual(yield* bare.closed, { _tag: "Peer", code: 403, reason: "not admitted" })
        const join = (credential: Credential.Credential) =>
          Effect.acquireUseRelease(
            dial(own, { address }, ProducerAdmission.ALPN),
            (connection) => ProducerAdmission.request(connection, { request: asking(credential) }),
            (connection) => connection.close(0, "done")
          )
        assert.deepStrictEqual(yield* join(yield* enrol(own, { by: otherRoot })), ProducerAdmission.refused)
        assert.deepStrictEqual(yield* join(yield* enrol(own, { seconds: 0 })), ProducerAdmission.refused)
        const reply = yield* join(yield* enrol(own))
        assert.isTrue(reply.accepted)
        assert.match(reply.salt, /^[0-9a-f]{64}$/)
        assert.deepStrictEqual(reply.acceptedProducers, [own.endpointId])
      })
    )
  }
)
