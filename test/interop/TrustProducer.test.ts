/** The reference's consumers at a gated producer of ours. */
import { AsterClient, type AsterClientOptions as ClientOptions } from "@aster-effect/client/AsterClient"
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { topicId } from "@aster-effect/mesh/MeshState"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Credential from "@aster-effect/trust/Credential"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Hex from "effect/encoding/Hex"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { enrol, issue, nonce, otherRoot, root, settings } from "../admission/Deployment.ts"
import { PythonReference } from "./PythonReference.ts"
import { bothCommands, trust } from "./PythonTrust.ts"
import { Note, services, Vault } from "./Vault.ts"

const seedOf = (key: RootKey.RootKey) => Hex.encode(Redacted.value(key.seed))

/** A producer that trusts the root key and nobody else. */
const producer = Layer.build(
  Layer.fresh(
    AsterServer.layer({
      node: loopback,
      config: settings({ rootPubkey: root.publicKey, allowAllProducers: false })
    }).pipe(Layer.provide([services, Logger.layer([])]))
  )
).pipe(Effect.map(Context.get(AsterServer)))

/** A node of the reference's: the hex of its secret key, and its endpoint id. */
const node = Effect.map(SecretKey.generate, (key) => ({
  secret_key: Hex.encode(Redacted.value(key)),
  endpointId: SecretKey.toEndpointId(key)
}))

const wire = (credential: Credential.Credential) => Credential.toJson(credential, "wire")

const everything = [
  ["Vault", "whoami"],
  ["Vault", "unlock"],
  ["Vault", "watch"],
  ["Vault", "fill"],
  ["Vault", "mend"],
  ["Cellar", "enter"],
  ["Cellar", "unlock"]
] as const

/** Answers as texts, and refusals as the name of what refused. */
const outcomes = (
  answers: ReadonlyArray<{ readonly text: string } | { readonly code: number; readonly message: string }>
) =>
  answers.map((answer) => {
    if ("text" in answer) return answer.text
    assert.strictEqual(answer.code, 7, answer.message)
    return /^(service|method) '(.*)' requires a role/.exec(answer.message)?.slice(1).join(" ") ?? answer.message
  })

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })(
  "Python consumer, our gated producer",
  (it) => {
    it.effect("consumers enrolled by either command come in, and have the roles of their credential", () =>
      Effect.gen(function* () {
        const { directory, file, ours, theirs } = yield* bothCommands
        const { consume } = yield* trust
        yield* ours("keygen root --key-file root.key")
        yield* ours("enroll node --role producer --name server --root-key root.key --out server/.aster-identity")
        const { address, mode, rootPubkey } = yield* Layer.build(
          AsterServer.layer({
            node: loopback,
            config: AsterConfig.load({ environment: false, workingDirectory: `${directory}/server` })
          }).pipe(Layer.provide([services, Logger.layer([])]))
        ).pipe(Effect.map(Context.get(AsterServer)))
        assert.deepStrictEqual([mode, rootPubkey], ["trusted", (yield* RootKey.read(file("root.key"))).publicKey])

        const roles = "vault.open,cellar"
        const enrolling = `enroll node --role consumer --root-key root.key --capabilities ${roles} --name`
        yield* ours(`${enrolling} ours --out ours.cred`)
        yield* theirs(`${enrolling} theirs --out theirs.cred`)
        const whoami = JSON.stringify({ "aster.role": roles })
        const expected = [whoami, "open", "seen", "method Vault.fill", "method Vault.mend", "inside", "open"]
        for (const from of [
          { identity: file("ours.cred") },
          { identity: file("theirs.cred") },
          { credential_file: file("ours.cred") },
          { credential_file: file("theirs.cred"), peer: "theirs" }
        ]) {
          const result = yield* consume({ address, calls: everything, ...from })
          assert.deepStrictEqual(result.admitted && outcomes(result.answers), expected, JSON.stringify(from))
        }
        // What it leaves out of the file is missing when it shows the credential: it keeps itself out.
        yield* theirs("enroll node --role consumer --root-key root.key --name lossy --out lossy.cred")
        assert.isFalse((yield* consume({ address, calls: [], identity: file("lossy.cred") })).admitted)
        // Enrolled by our command, the same consumer comes in.
        yield* ours("enroll node --role consumer --root-key root.key --name whole --out whole.cred")
        const whole = yield* consume({ address, calls: everything, identity: file("whole.cred") })
        assert.deepStrictEqual(whole.admitted && outcomes(whole.answers), [
          JSON.stringify({ "aster.role": "consumer" }),
          ...["unlock", "watch", "fill", "mend"].map((method) => `method Vault.${method}`),
          "service Cellar",
          "service Cellar"
        ])
        // Tokens, from either command, with and without a node they are for.
        yield* theirs(
          `trust sign --root-key root.key --type ott --attributes {"aster.role":"vault.read,vault.write"} --out ott`
        )
        const ott = { address, credential_file: file("ott") }
        const first = yield* consume({ ...ott, calls: everything })
        assert.deepStrictEqual(first.admitted && outcomes(first.answers), [
          JSON.stringify({ "aster.role": "vault.read,vault.write" }),
          "method Vault.unlock",
          "seen",
          "ab",
          "a",
          "service Cellar",
          "service Cellar"
        ])
        assert.isFalse((yield* consume({ ...ott, calls: [] })).admitted)
        assert.isFalse((yield* consume({ address, calls: [] })).admitted)
      })
    )

    it.effect("the reference's command calls with credentials of either command", () =>
      Effect.gen(function* () {
        const { ours, theirs, home, directory } = yield* bothCommands
        yield* ours("keygen root --key-file root.key")
        const rootPubkey = (yield* RootKey.read(`${directory}/root.key`)).publicKey
        const { address } = yield* Layer.build(
          AsterServer.layer({ node: loopback, config: settings({ rootPubkey }) }).pipe(
            Layer.provide([services, Logger.layer([])])
          )
        ).pipe(Effect.map(Context.get(AsterServer)))
        const { aster } = yield* PythonReference
        for (const [enroll, name] of [
          [ours, "ours"],
          [theirs, "theirs"]
        ] as const) {
          yield* enroll(
            `enroll node --role consumer --root-key root.key --capabilities vault.open --name ${name} --out ${name}.cred`
          )
          const rcan = `--rcan ${name}.cred`
          assert.deepStrictEqual(JSON.parse(yield* theirs(`call ${address} Vault.unlock {"text":""} ${rcan}`)), {
            text: "open"
          })
          const denied = yield* aster({ home, directory }, [
            "call",
            address,
            "Cellar.enter",
            "{}",
            "--rcan",
            `${name}.cred`
          ])
          assert.strictEqual(denied.code, 1)
          assert.include(denied.err, "permission denied for Cellar.enter")
        }
        const stranger = yield* aster({ home, directory }, ["call", address, "Vault.whoami", "{}"])
        assert.strictEqual(stranger.code, 1)
        assert.include(stranger.err, "admission")
      })
    )

    it.effect("credentials of either side: what is good is admitted, everything else is denied without a reason", () =>
      Effect.gen(function* () {
        const { address, endpointId } = yield* producer
        const { present, sign } = yield* trust
        const own = yield* node
        const attributes = { "aster.role": "vault.open", team: "ü" }
        const theirs = (options: Partial<Parameters<typeof sign>[0]> = {}) =>
          Effect.map(sign({ seed: seedOf(root), kind: "consumer", attributes, ...options }), ({ text }) => text)
        const ours = (options: Parameters<typeof issue>[0] = {}) => Effect.map(issue({ attributes, ...options }), wire)
        const tampered = (text: string, change: (json: Record<string, any>) => void) => {
          const json = JSON.parse(text)
          change(json)
          return JSON.stringify(json)
        }
        const bound = yield* theirs({ endpoint_id: own.endpointId })
        const admits: ReadonlyArray<readonly [string, string]> = [
          ["theirs", yield* theirs()],
          ["theirs, bound", bound],
          ["theirs, once", yield* theirs({ type: "ott", nonce: nonce(1) })],
          ["theirs, once and bound", yield* theirs({ type: "ott", nonce: nonce(2), endpoint_id: own.endpointId })],
          ["ours", yield* ours()],
          ["ours, bound", yield* ours({ to: own })],
          ["ours, once", yield* ours({ nonce: nonce(3) })]
        ]
        const ask = (credential: string) => present({ address, credential, secret_key: own.secret_key })
        for (const [title, credential] of admits) {
          const { registry_namespace, services: offered, ...reply } = yield* ask(credential)
          const welcome = {
            admitted: true,
            attributes,
            root_pubkey: root.publicKey,
            reason: ""
          }
          assert.deepStrictEqual(reply, welcome, title)
          // Where the contracts are published, which nobody is told who is denied.
          assert.match(String(registry_namespace), /^[0-9a-f]{64}$/, title)
          assert.strictEqual(offered.length, 2)
        }
        const other = { endpointId }
        const denies: ReadonlyArray<readonly [string, string]> = [
          ["none", ""],
          ["no JSON", "{"],
          ["theirs, expired", yield* theirs({ seconds: -1 })],
          ["theirs, expiring now", yield* theirs({ seconds: 0 })],
          ["theirs, another root", yield* theirs({ seed: seedOf(otherRoot) })],
          ["theirs, another node's", yield* theirs({ endpoint_id: endpointId })],
          ["theirs, another node's, once", yield* theirs({ type: "ott", nonce: nonce(4), endpoint_id: endpointId })],
          ["theirs, used", yield* theirs({ type: "ott", nonce: nonce(1) })],
          ["ours, used", yield* ours({ nonce: nonce(3) })],
          ["ours, expired", yield* ours({ seconds: 0 })],
          ["ours, another root", yield* ours({ by: otherRoot })],
          ["ours, another node's", yield* ours({ to: other })],
          ["a producer's", yield* theirs({ kind: "producer", endpoint_id: own.endpointId })],
          ["later", tampered(bound, (json) => json["expires_at"]++)],
          ["more", tampered(bound, (json) => (json["attributes"]["aster.role"] = "vault.open,cellar"))],
          ["unbound", tampered(bound, (json) => (json["endpoint_id"] = null))],
          ["once", tampered(bound, (json) => Object.assign(json, { credential_type: "ott", nonce: nonce(5) }))],
          ["another root", tampered(bound, (json) => (json["root_pubkey"] = otherRoot.publicKey))],
          ["another signature", tampered(bound, (json) => (json["signature"] = "00".repeat(64)))]
        ]
        // Not more than a peer may try within a minute: everybody has a node of their own.
        for (const [title, credential] of denies) {
          const reply = yield* present({ address, credential })
          const expected = { admitted: false, attributes: {}, services: [], registry_namespace: "", reason: "" }
          assert.deepStrictEqual(reply, { ...expected, root_pubkey: root.publicKey }, title)
        }
        // A token that failed for another reason is not used up.
        const kept = yield* theirs({ type: "ott", nonce: nonce(4), endpoint_id: own.endpointId })
        assert.isTrue((yield* ask(kept)).admitted)
      })
    )

    it.effect("our consumers come in with credentials of the reference", () =>
      Effect.gen(function* () {
        const { directory, file, ours, theirs } = yield* bothCommands
        yield* theirs(`keygen root --out ${file("root.key")}`)
        yield* theirs("enroll node --role producer --name server --root-key root.key --out server/.aster-identity")
        const server = AsterServer.layer({
          node: loopback,
          config: AsterConfig.load({ environment: false, workingDirectory: `${directory}/server` })
        })
        const { address, mode } = yield* Layer.build(server.pipe(Layer.provide([services, Logger.layer([])]))).pipe(
          Effect.map(Context.get(AsterServer))
        )
        assert.strictEqual(mode, "trusted")
        const connect = (options: ClientOptions) =>
          Layer.build(
            Layer.fresh(AsterClient.layer({ node: loopback, config: settings(), address, ...options })).pipe(
              Layer.provide(Logger.layer([]))
            )
          ).pipe(Effect.map(Context.get(AsterClient)))
        const enrolling = "enroll node --role consumer --root-key root.key --name"
        yield* theirs(`${enrolling} able --capabilities vault.open --out able.cred`)
        yield* theirs(`${enrolling} plain --out plain.cred`)
        yield* theirs(`trust sign --root-key root.key --type ott --attributes {"aster.role":"vault.open"} --out ott`)
        yield* theirs(`trust sign --root-key root.key --type policy --expires 2020-01-01 --out old`)
        yield* ours("keygen root --key-file other.key --profile other")
        yield* theirs("trust sign --root-key other.key --type policy --out foreign")
        for (const [options, role] of [
          [{ identity: file("able.cred") }, "vault.open"],
          [{ enrollmentCredentialFile: file("able.cred") }, "vault.open"],
          [{ identity: file("plain.cred") }, "consumer"],
          [{ enrollmentCredentialFile: file("ott") }, "vault.open"]
        ] as const) {
          const client = yield* connect(options)
          assert.strictEqual(client.attributes.get("aster.role"), role)
          const unlocked = yield* Effect.result((yield* client.client(Vault)).unlock(new Note({})))
          assert.strictEqual(unlocked._tag, role === "consumer" ? "Failure" : "Success")
        }
        const failure = (name: string) =>
          Effect.map(Effect.flip(connect({ enrollmentCredentialFile: file(name) })), (error) =>
            error._tag === "AsterConfigError" ? error.reason : error._tag
          )
        assert.strictEqual(yield* failure("ott"), "AdmissionDenied")
        assert.strictEqual(yield* failure("foreign"), "AdmissionDenied")
        assert.strictEqual(yield* failure("old"), "ExpiredCredential")
      })
    )

    it.effect("an admission that expires ends the connection, and calls on it fail at once", () =>
      Effect.gen(function* () {
        const { file, write } = yield* bothCommands
        const { address } = yield* producer
        const { consume, sign } = yield* trust
        const attributes = { "aster.role": "vault.open" }
        const { text } = yield* sign({ seed: seedOf(root), kind: "consumer", attributes, seconds: 3 })
        yield* write("token", text)
        const calls = [["Vault", "unlock"]] as const
        const result = yield* consume({ address, calls, credential_file: file("token"), again_after: 3.5 })
        assert.isTrue(result.admitted)
        const [before, after] = result.admitted ? result.answers : []
        assert.deepStrictEqual(before, { text: "open" })
        assert.include(JSON.stringify(after), "not admitted")
      })
    )

    it.effect("a producer of the reference joins with its own credential, and passes Gate 0", () =>
      Effect.gen(function* () {
        const { address, endpointId, mesh } = yield* producer
        const { consume, join, knock, sign } = yield* trust
        const own = yield* node
        const claims = {
          kind: "producer",
          attributes: { "aster.role": "producer" },
          endpoint_id: own.endpointId
        } as const
        const { text } = yield* sign({ seed: seedOf(root), ...claims })
        const none = { accepted: false, salt: "", accepted_producers: [], reason: "" }
        assert.deepStrictEqual(yield* join({ address, credential: text }), none)
        const { secret_key } = own
        const foreign = yield* sign({ seed: seedOf(otherRoot), ...claims })
        assert.deepStrictEqual(yield* join({ address, secret_key, credential: foreign.text }), none)
        const expired = yield* sign({ seed: seedOf(root), ...claims, seconds: 0 })
        assert.deepStrictEqual(yield* join({ address, secret_key, credential: expired.text }), none)
        const reply = yield* join({ address, secret_key, credential: text })
        assert.deepStrictEqual(reply.accepted_producers, [endpointId, own.endpointId].toSorted())
        assert.strictEqual(topicId(root.publicKey, EndpointId.toBytes(EndpointId.parse(reply.salt))), mesh?.topicId)
        const ours = wire(yield* enrol(own))
        assert.strictEqual((yield* join({ address, secret_key, credential: ours })).salt, reply.salt)
        // Everybody else meets Gate 0.
        assert.match((yield* knock({ address, alpn: RpcConnection.ALPN })).closed, /not admitted.*403/)
        assert.isFalse((yield* consume({ address, calls: [] })).admitted)
      })
    )
  }
)
