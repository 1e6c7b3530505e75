/** What a consumer shows, to whom, and what it makes of a refusal. */
import type { ConnectFailure, AsterClientOptions } from "@aster-effect/client/AsterClient"
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as IdentityFile from "@aster-effect/config/IdentityFile"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import * as InstanceIdentity from "@aster-effect/trust/InstanceIdentity"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as path from "node:path"
import {
  consume,
  dial,
  directory,
  enrol,
  issue,
  keyA,
  keyB,
  logs,
  memoryNode,
  nonce,
  Note,
  otherRoot,
  root,
  scenario,
  serve,
  settings,
  Vault
} from "./Deployment.ts"

const ask = new Note({})
const nowhere = { address: SecretKey.toEndpointId(keyB) }

/** Why a client does not come about that never gets as far as dialling: nobody is there. */
const problem = Effect.fnUntraced(function* (node: IrohNode["Service"], options: AsterClientOptions) {
  const error: ConnectFailure = yield* Effect.flip(consume(node, nowhere, options))
  return error._tag === "AsterConfigError" || error._tag === "CredentialFileError" ? error.reason : error._tag
})

describe("a credential", () => {
  scenario("comes from an identity file, a credential file, or code", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const own = yield* memoryNode({ secretKey: keyA })
      const folder = yield* directory
      const identity = path.join(folder, "identity")
      const peer = CredentialFile.toEntry(yield* issue({ to: own, role: "identity" }), root.publicKey, "own")
      const node = IdentityFile.node(keyA)
      yield* IdentityFile.write(identity, IdentityFile.withEntry({ ...IdentityFile.empty, node }, peer))
      const token = path.join(folder, "token")
      yield* CredentialFile.write(token, yield* issue({ to: own, role: "token" }))
      const role = (options: AsterClientOptions) =>
        Effect.map(consume(own, server, options), ({ attributes }) => attributes.get("aster.role"))
      const credential = yield* issue({ to: own, role: "inline" })
      assert.strictEqual(yield* role({ identity }), "identity")
      assert.strictEqual(yield* role({ identity, peer: "own" }), "identity")
      assert.strictEqual(yield* role({ identity, enrollmentCredentialFile: token }), "token")
      assert.strictEqual(yield* role({ enrollmentCredentialFile: token, credential }), "inline")
      const config = AsterConfig.load({
        environment: false,
        identity: false,
        inline: { enrollmentCredentialFile: token, endpointAddr: server.address }
      })
      assert.strictEqual(yield* role({ config, address: undefined }), "token")
    })
  )

  scenario("that nobody could accept is an error before anything is sent", () =>
    Effect.gen(function* () {
      const own = yield* memoryNode({ secretKey: keyA })
      const other = { endpointId: SecretKey.toEndpointId(keyB) }
      const good = yield* issue({ to: own })
      assert.strictEqual(yield* problem(own, { credential: yield* issue({ to: other }) }), "EndpointMismatch")
      assert.strictEqual(
        yield* problem(own, { credential: yield* issue({ to: own, seconds: 0 }) }),
        "ExpiredCredential"
      )
      assert.strictEqual(
        yield* problem(own, { credential: { ...good, attributes: new Map([["a", "b"]]) } }),
        "InvalidValue"
      )
      assert.strictEqual(yield* problem(own, { credential: good, rootPubkey: otherRoot.publicKey }), "Conflict")
      assert.strictEqual(yield* problem(own, { identity: "/does/not/exist" }), "Unreadable")
      assert.strictEqual(yield* problem(own, { address: "" }), "InvalidValue")
      const folder = yield* directory
      const token = path.join(folder, "token")
      yield* CredentialFile.write(token, { ...good, signature: "00".repeat(64) })
      assert.strictEqual(yield* problem(own, { enrollmentCredentialFile: token }), "Signature")
      yield* CredentialFile.write(token, yield* enrol(own))
      assert.strictEqual(yield* problem(own, { enrollmentCredentialFile: token }), "WrongRole")
      const identity = path.join(folder, "identity")
      const node = IdentityFile.node(yield* SecretKey.generate)
      const peer = CredentialFile.toEntry(yield* issue({ to: node }), root.publicKey, "own")
      yield* IdentityFile.write(identity, IdentityFile.withEntry({ ...IdentityFile.empty, node }, peer))
      assert.strictEqual(yield* problem(own, { identity }), "EndpointMismatch")
      const dialling = yield* Effect.forkChild(problem(own, { credential: good }))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(dialling), "ConnectError")
    })
  )

  scenario("that is tied to an instance comes with the proof from the configuration", () =>
    Effect.gen(function* () {
      const verifier = (token: string) => Effect.succeed(token === "document")
      const server = yield* serve(yield* memoryNode()).pipe(
        Effect.provideService(InstanceIdentity.Verifiers, new Map([["aws", verifier]]))
      )
      const own = yield* memoryNode()
      const credential = yield* issue({ to: own, attributes: { "aster.iid_provider": "aws" } })
      const config = settings({ enrollmentCredentialIid: "document" })
      const client = yield* consume(own, server, { credential, config })
      assert.strictEqual(client.attributes.get("aster.iid_provider"), "aws")
      const unproven = yield* Effect.flip(
        consume(yield* memoryNode(), server, {
          credential: yield* issue({ attributes: { "aster.iid_provider": "aws" } })
        })
      )
      assert.strictEqual(unproven._tag, "AdmissionDenied")
    })
  )

  scenario("12: bound to no node is worth a warning before it is shown", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const warned = Effect.fnUntraced(function* (bound: boolean) {
        const own = yield* memoryNode()
        const { layer, lines } = logs()
        const credential = yield* issue(bound ? { to: own } : {})
        yield* consume(own, server, { credential }).pipe(Effect.provide(layer))
        return lines.some((line) => line.includes("bound to no node"))
      })
      assert.isTrue(yield* warned(false))
      assert.isFalse(yield* warned(true))
    })
  )
})

describe("a refusal", () => {
  const denial = Effect.fnUntraced(function* (
    server: { readonly address: string },
    options: (own: IrohNode["Service"]) => Effect.Effect<AsterClientOptions>
  ) {
    const own = yield* memoryNode()
    const error = yield* Effect.flip(consume(own, server, yield* options(own)))
    if (error._tag !== "AdmissionDenied") return assert.fail(error._tag)
    assert.strictEqual(error.ownEndpointId, own.endpointId)
    assert.strictEqual(error.address, server.address)
    return error.message
  })

  scenario("says what was shown, and what can be the matter", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      assert.include(yield* denial(server, () => Effect.succeed({})), "which showed no credential")
      const foreign = yield* denial(server, (to) =>
        Effect.map(issue({ to, by: otherRoot }), (credential) => ({ credential }))
      )
      assert.include(
        foreign,
        `signed by root key ${otherRoot.publicKey}, and the producer verifies with ${root.publicKey}`
      )
      const token = yield* issue({ nonce: nonce(1), role: "secret-role" })
      yield* consume(yield* memoryNode(), server, { credential: token })
      const used = yield* denial(server, () => Effect.succeed({ credential: token }))
      assert.include(used, "the ott credential of inline")
      assert.include(used, "the one-time token was used before")
      for (const secret of [token.nonce!, token.signature, "secret-role"]) assert.notInclude(used, secret)
    })
  )

  scenario("24: by root key is the client's as well: it wants the deployment it knows", () =>
    Effect.gen(function* () {
      const open = yield* serve(yield* memoryNode(), { config: settings() })
      const error = yield* Effect.flip(consume(yield* memoryNode(), open, { rootPubkey: root.publicKey }))
      assert.strictEqual(error._tag, "RootKeyMismatch")
      assert.include(error.message, `has root key ${open.rootPubkey}, and ${root.publicKey} was expected`)
      const known = Effect.map(consume(yield* memoryNode(), open, { rootPubkey: open.rootPubkey }), () => "connected")
      assert.strictEqual(yield* known, "connected")
    })
  )
})

describe("connecting again", () => {
  /** A server, and another one in its place after it broke down: `start` says what both of them know. */
  const restartable = Effect.fnUntraced(function* (options: Parameters<typeof serve>[1] = {}) {
    const start = Effect.flatMap(memoryNode({ secretKey: keyA }), (node) => serve(node, options))
    const first = yield* start
    return { first, restart: Effect.andThen(first.node.close, start) }
  })

  scenario("asks for admission again when the producer no longer knows us, and the call goes through", () =>
    Effect.gen(function* () {
      const { first, restart } = yield* restartable()
      const own = yield* memoryNode()
      const client = yield* consume(own, first, { credential: yield* issue({ to: own, role: "ops" }) })
      const vault = yield* client.client(Vault)
      assert.strictEqual((yield* vault.unlock(ask)).text, "open")
      const second = yield* restart
      assert.strictEqual(yield* second.admittedPeers.size, 0)
      assert.strictEqual((yield* vault.unlock(ask)).text, "open")
      assert.strictEqual(yield* second.admittedPeers.size, 1)
      yield* second.node.close
    })
  )

  scenario("does without when the producer still knows us, even if that was by a one-time token", () =>
    Effect.gen(function* () {
      const peers = yield* Effect.provide(AdmittedPeers, yield* Layer.build(AdmittedPeers.layer()))
      const { first, restart } = yield* restartable({ admittedPeers: peers })
      const own = yield* memoryNode()
      const credential = yield* issue({ nonce: nonce(1), role: "ops" })
      const vault = yield* (yield* consume(own, first, { credential })).client(Vault)
      assert.strictEqual((yield* vault.unlock(ask)).text, "open")
      const admitted = yield* peers.get(own.endpointId)
      yield* TestClock.adjust("1 second")
      const second = yield* restart
      assert.strictEqual((yield* vault.unlock(ask)).text, "open")
      assert.deepStrictEqual(yield* peers.get(own.endpointId), admitted)
      yield* second.node.close
    })
  )

  scenario("never shows a one-time token a second time", () =>
    Effect.gen(function* () {
      const { first, restart } = yield* restartable()
      const own = yield* memoryNode()
      const vault = yield* (yield* consume(own, first, { credential: yield* issue({ nonce: nonce(1) }) })).client(Vault)
      yield* vault.whoami(ask)
      // In memory, the new server would take the token again.
      const second = yield* restart
      const error = yield* Effect.flip(vault.whoami(ask))
      assert.strictEqual(error.status, "PERMISSION_DENIED")
      assert.include(error.message, "one-time token is used up")
      assert.strictEqual(yield* second.admittedPeers.size, 0)
    })
  )

  scenario("asks again without a credential as well, where the gate for consumers is open", () =>
    Effect.gen(function* () {
      const config = settings({ rootPubkey: root.publicKey, allowAllConsumers: true, allowAllProducers: false })
      const server = yield* serve(yield* memoryNode(), { config })
      const own = yield* memoryNode()
      const vault = yield* (yield* consume(own, server)).client(Vault)
      yield* vault.whoami(ask)
      const bare = yield* dial(own, server)
      yield* server.admittedPeers.revoke(own.endpointId)
      yield* bare.closed
      yield* server.admittedPeers.reinstate(own.endpointId)
      assert.strictEqual((yield* vault.whoami(ask)).text, "nobody")
    })
  )

  scenario("takes no for an answer", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const own = yield* memoryNode()
      const vault = yield* (yield* consume(own, server, { credential: yield* issue({ to: own }) })).client(Vault)
      yield* vault.whoami(ask)
      yield* server.admittedPeers.revoke(own.endpointId)
      const error = yield* Effect.flip(vault.whoami(ask))
      assert.strictEqual(error.status, "PERMISSION_DENIED")
      assert.include(error.message, "did not admit this consumer")
    })
  )
})
