/** What a server makes of its configuration: which gates it closes, whom it lets in, and when it does not start. */
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as ProducerAdmission from "@aster-effect/admission/ProducerAdmission"
import * as Role from "@aster-effect/admission/Role"
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as Contract from "@aster-effect/core/contract/Contract"
import * as Manifest from "@aster-effect/core/contract/Manifest"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import type { CloseReason } from "@aster-effect/iroh/Connection"
import { ConnectionGate } from "@aster-effect/iroh/ConnectionGate"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { AsterServer, type StartError } from "@aster-effect/server/AsterServer"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import { Gates } from "@aster-effect/trust/Gates"
import { NonceStore } from "@aster-effect/trust/NonceStore"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import {
  asking,
  consume,
  dial,
  directory,
  enrolled,
  issue,
  keyA,
  logs,
  memoryNode,
  nonce,
  Note,
  otherRoot,
  root,
  scenario,
  serve,
  settings,
  Vault,
  VaultLive
} from "./Deployment.ts"

const refused: CloseReason = { _tag: "Peer", code: 403, reason: "not admitted" }
const ask = new Note({})

const contextOf = (server: AsterServer["Service"]) => [server.mode, server.rootPubkey] as const

describe("the gates of a server", () => {
  scenario("without any configuration everybody is let in, with a warning, and nobody has a role", () =>
    Effect.gen(function* () {
      const { layer, lines } = logs()
      const server = yield* serve(yield* memoryNode(), { config: settings() }).pipe(Effect.provide(layer))
      assert.strictEqual(server.mode, "open-gate")
      assert.isTrue(lines.some((line) => line.startsWith("Warn dev mode")))
      const own = yield* memoryNode()
      const vault = yield* (yield* consume(own, server)).client(Vault)
      assert.strictEqual((yield* vault.whoami(ask)).text, "nobody")
      assert.strictEqual((yield* Effect.flip(vault.unlock(ask))).status, "PERMISSION_DENIED")
      assert.isFalse((yield* dial(yield* memoryNode(), server)).isClosed())
    })
  )

  scenario("1: a root key or an identity file without a flag closes the gate", () =>
    Effect.gen(function* () {
      const inline = yield* serve(yield* memoryNode(), { config: settings(), rootPubkey: root.publicKey })
      assert.deepStrictEqual(contextOf(inline), ["trusted", root.publicKey])
      const { config, key } = yield* enrolled()
      const home = yield* memoryNode({ secretKey: key })
      const server = yield* serve(home, { config })
      assert.deepStrictEqual(contextOf(server), ["trusted", root.publicKey])
      const connection = yield* dial(yield* memoryNode(), server)
      assert.deepStrictEqual(yield* connection.closed, refused)
    })
  )

  scenario("1: a flag given as false is obeyed without a root key, and the ephemeral one is for tests", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { config: settings({ allowAllConsumers: false }) })
      assert.strictEqual(server.mode, "trusted")
      assert.strictEqual(server.ephemeralRootKey?.publicKey, server.rootPubkey)
      const own = yield* memoryNode()
      const credential = yield* issue({ to: own, by: server.ephemeralRootKey, role: "ops" })
      const vault = yield* (yield* consume(own, server, { credential })).client(Vault)
      assert.strictEqual((yield* vault.unlock(ask)).text, "open")
    })
  )

  scenario("2: a server opened by flag without a root key has none, and refuses credentials", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { config: settings({ allowAllConsumers: true }) })
      assert.deepStrictEqual(contextOf(server), ["open-gate", undefined])
      assert.isUndefined(server.mesh)
      const own = yield* memoryNode()
      const error = yield* Effect.flip(consume(own, server, { credential: yield* issue({ to: own }) }))
      assert.strictEqual(error._tag, "AdmissionDenied")
      assert.include(error.message, "the producer verifies with none")
      assert.include(error.message, "connect without the credential")
    })
  )

  scenario("6: an identity that cannot be used is an error, not dev mode", () =>
    Effect.gen(function* () {
      const { config } = yield* enrolled()
      const consumerOnly = yield* enrolled("consumer")
      const reason = (options: Parameters<typeof serve>[1]) =>
        Effect.gen(function* () {
          const error: StartError = yield* Effect.flip(serve(yield* memoryNode(), options))
          return error._tag === "AsterConfigError" ? error.reason : error._tag
        })
      assert.strictEqual(yield* reason({ config: settings(), identity: "/does/not/exist" }), "Unreadable")
      assert.strictEqual(yield* reason({ config, peer: "nobody" }), "UnknownPeer")
      assert.strictEqual(yield* reason({ config, rootPubkey: otherRoot.publicKey }), "Conflict")
      assert.strictEqual(yield* reason({ config }), "EndpointMismatch")
      assert.strictEqual(yield* reason({ config: consumerOnly.config }), "MissingRootKey")
      const forged = yield* enrolled("producer", { signature: Redacted.make("ab".repeat(64)) })
      assert.strictEqual(yield* reason({ config: forged.config }), "InvalidValue")
      assert.strictEqual(yield* reason({ config: settings(), rootPubkey: "00".repeat(32) }), "InvalidValue")
      assert.strictEqual(yield* reason({ config: settings(), rootPubkey: new Uint8Array(31) }), "InvalidValue")
    })
  )

  scenario("4: Gate 0 asks about every protocol but those of admission, as soon as one gate is closed", () =>
    Effect.gen(function* () {
      const alpns = ["blobs/4", "/iroh-gossip/1", "/iroh-sync/1", "aster.admission", "made-up/1"]
      const config = settings({ rootPubkey: root.publicKey, allowAllConsumers: true, allowAllProducers: false })
      const server = yield* serve(yield* memoryNode({ alpns }), { config })
      assert.strictEqual(server.mode, "open-gate")
      const own = yield* memoryNode()
      for (const alpn of [...alpns, RpcConnection.ALPN]) {
        assert.deepStrictEqual(yield* (yield* dial(own, server, alpn)).closed, refused, alpn)
      }
      const vault = yield* (yield* consume(own, server)).client(Vault)
      assert.strictEqual((yield* vault.whoami(ask)).text, "nobody")
      const unhandled = yield* (yield* dial(own, server, "blobs/4")).closed
      assert.deepStrictEqual(unhandled, { _tag: "Peer", code: 400, reason: "no handler for this protocol" })
    })
  )

  scenario("producer admission is served only where producers are gated", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const own = yield* memoryNode()
      const exit = yield* Effect.exit(dial(own, server, ProducerAdmission.ALPN))
      assert.isTrue(Exit.isFailure(exit))
    })
  )

  scenario("4: a gate that cannot answer denies", () =>
    Effect.gen(function* () {
      const broken = (get: Effect.Effect<never>) =>
        Effect.gen(function* () {
          const peers = Layer.mock(AdmittedPeers, { get: () => get, attributesUnsafe: () => new Map() })
          return yield* serve(yield* memoryNode(), {}, Layer.merge(VaultLive, peers))
        })
      const dying = yield* broken(Effect.die("broken"))
      assert.deepStrictEqual(yield* (yield* dial(yield* memoryNode(), dying)).closed, refused)
      const silent = yield* broken(Effect.never)
      const connection = yield* dial(yield* memoryNode(), silent)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* connection.closed, refused)
    })
  )

  scenario("a gate of the program's own has a say as well", () =>
    Effect.gen(function* () {
      const nobody = Layer.succeed(ConnectionGate, { admit: () => Effect.succeed(false) })
      const server = yield* serve(yield* memoryNode(), { config: settings() }, Layer.merge(VaultLive, nobody))
      assert.deepStrictEqual(yield* (yield* dial(yield* memoryNode(), server)).closed, refused)
    })
  )

  scenario("gates that the program made decide alone", () =>
    Effect.gen(function* () {
      const { layer, lines } = logs()
      const make = (decided: Layer.Layer<Gates, never, AdmittedPeers>, options: Parameters<typeof serve>[1]) =>
        Effect.gen(function* () {
          const context = yield* Layer.build(Layer.provide(decided, Layer.orDie(AdmittedPeers.layer())))
          return yield* serve(yield* memoryNode(), { ...options, gates: Context.get(context, Gates) })
        })
      const anchor = { key: root.publicKey, source: "test" }
      const closing = Gates.layer({ consumers: "closed", producers: "open", root: { _tag: "Pinned", anchor } })
      const closed = yield* make(closing, { config: settings({ allowAllConsumers: true }) }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(contextOf(closed), ["trusted", root.publicKey])
      assert.isFalse(lines.some((line) => line.includes("dev mode")))
      const own = yield* memoryNode()
      assert.deepStrictEqual(yield* (yield* dial(own, closed)).closed, refused)
      const vault = yield* (yield* consume(own, closed, { credential: yield* issue({ to: own, role: "ops" }) })).client(
        Vault
      )
      assert.strictEqual((yield* vault.unlock(ask)).text, "open")
      assert.isTrue(yield* closed.admittedPeers.revoke(own.endpointId))

      const open = yield* make(Gates.layerOpen, { config: settings(), rootPubkey: root.publicKey })
      assert.deepStrictEqual(contextOf(open), ["open-gate", undefined])
      const anybody = yield* (yield* consume(yield* memoryNode(), open)).client(Vault)
      assert.strictEqual((yield* anybody.whoami(ask)).text, "nobody")
    })
  )

  it.effect("Gates.layerOpen admits everybody and verifies nothing", () =>
    Effect.gen(function* () {
      const gates = yield* Gates
      assert.deepStrictEqual([gates.active, gates.root], [false, undefined])
      assert.isTrue(yield* gates.admit(SecretKey.toEndpointId(keyA), RpcConnection.ALPN))
    }).pipe(Effect.provide(Gates.layerOpen.pipe(Layer.provideMerge(AdmittedPeers.layer()))))
  )
})

describe("an admission that changes", () => {
  scenario("10: in open mode expiry takes the attributes away", () =>
    Effect.gen(function* () {
      const config = settings({ rootPubkey: root.publicKey, allowAllConsumers: true })
      const server = yield* serve(yield* memoryNode(), { config })
      const own = yield* memoryNode()
      const client = yield* consume(own, server, { credential: yield* issue({ to: own, role: "ops", seconds: 60 }) })
      const vault = yield* client.client(Vault)
      assert.strictEqual((yield* vault.unlock(ask)).text, "open")
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual((yield* Effect.flip(vault.unlock(ask))).status, "PERMISSION_DENIED")
      assert.strictEqual((yield* vault.whoami(ask)).text, "nobody")
    })
  )

  scenario("a later admission changes the attributes of calls on the same connection", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const own = yield* memoryNode()
      const vault = yield* (yield* consume(own, server, { credential: yield* issue({ to: own, role: "ops" }) })).client(
        Vault
      )
      assert.strictEqual((yield* vault.whoami(ask)).text, "ops")
      yield* consume(own, server, { credential: yield* issue({ to: own, role: "audit" }) })
      assert.strictEqual((yield* vault.whoami(ask)).text, "audit")
    })
  )
})

describe("starting", () => {
  scenario("warns of every service that anybody may call", () =>
    Effect.gen(function* () {
      const note = { request: Note, response: Note }
      const handlers = { get: () => Effect.succeed(new Note({})) }
      const layers = (["Bare", "Public", "Guarded", "GuardedMethod"] as const).map((name) =>
        Service.make(name, {
          public: name === "Public",
          requires: name === "Guarded" ? Role.role("a") : undefined
        })
          .add(Rpc.unary("get", { ...note, requires: name === "GuardedMethod" ? Role.role("a") : undefined }))
          .toLayer(handlers)
      )
      const warned = (config: Parameters<typeof settings>[0]) =>
        Effect.gen(function* () {
          const { layer, lines } = logs()
          const services = Layer.mergeAll(layers[0]!, layers[1]!, layers[2]!, layers[3]!)
          yield* serve(yield* memoryNode(), { config: settings(config) }, services).pipe(Effect.provide(layer))
          return lines.filter((line) => line.startsWith("Warn everybody may call")).map((line) => line.split(" ")[4])
        })
      assert.deepStrictEqual(yield* warned({ allowAllConsumers: true }), ["Bare"])
      assert.deepStrictEqual(yield* warned({ rootPubkey: root.publicKey }), [])
    })
  )

  scenario("8: tokens remembered in memory only are worth a warning", () =>
    Effect.gen(function* () {
      const warned = (values: Parameters<typeof settings>[0], nonceStore?: NonceStore["Service"]) =>
        Effect.gen(function* () {
          const { layer, lines } = logs()
          yield* serve(yield* memoryNode(), { config: settings(values), nonceStore }).pipe(Effect.provide(layer))
          return lines.some((line) => line.startsWith("Warn one-time tokens"))
        })
      const rootPubkey = root.publicKey
      assert.isTrue(yield* warned({ rootPubkey }))
      assert.isFalse(yield* warned({ rootPubkey, storagePath: yield* directory }))
      const own = Context.get(yield* Layer.build(NonceStore.layerMemory()), NonceStore)
      assert.isFalse(yield* warned({ rootPubkey }, own))
    })
  )

  scenario("fails when the manifest records another contract, and names both", () =>
    Effect.gen(function* () {
      const manifest = path.join(yield* directory, "manifest.json")
      const put = (text: string) => Effect.promise(() => fs.writeFile(manifest, text))
      const start = Effect.flatMap(memoryNode(), (node) => serve(node, { config: settings(), manifest }))
      yield* start
      const own = Manifest.fromDescription(Vault.description)
      yield* put(
        `[${Manifest.encode({ ...own, service: "Other", contractId: "cd".repeat(32) })},${Manifest.encode(own)}]`
      )
      yield* start
      yield* put(Manifest.encode({ ...own, contractId: "ab".repeat(32) }))
      const mismatch = yield* Effect.flip(start)
      assert.strictEqual(mismatch._tag, "ContractMismatch")
      assert.include(mismatch.message, "ab".repeat(32))
      assert.include(mismatch.message, Vault.contract.contractId)
      const postponed = Contract.fromDescription(Vault.description, { postponedAnnotations: true })
      yield* put(Manifest.encode({ ...own, contractId: postponed.contractId }))
      assert.include((yield* Effect.flip(start)).message, "postponedAnnotations: true")
      yield* put("{")
      assert.strictEqual((yield* Effect.flip(start))._tag, "ManifestUnreadable")
    })
  )

  scenario("a server that does not start gives its node back", () =>
    Effect.gen(function* () {
      const home = yield* memoryNode()
      yield* Effect.flip(serve(home, { config: settings(), services: [Vault] }, Layer.empty))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(home.accept)))
    })
  )

  scenario("the root key's own endpoint is told the topic, with a credential", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const operator = yield* memoryNode({ secretKey: root.seed })
      assert.strictEqual(operator.endpointId, root.publicKey.toString())
      const client = yield* consume(operator, server, { credential: yield* issue({ to: operator }) })
      assert.strictEqual(client.gossipTopic, server.mesh?.topicId)
      assert.strictEqual((yield* Effect.flip(consume(operator, server)))._tag, "AdmissionDenied")
      const own = yield* memoryNode()
      assert.strictEqual((yield* consume(own, server, { credential: yield* issue({ to: own }) })).gossipTopic, "")
    })
  )

  it.live("a real node takes key, address and relay mode from the configuration", () =>
    Effect.gen(function* () {
      const { config, key } = yield* enrolled()
      const values = Effect.map(config, (found) => ({
        ...found,
        bindAddr: "127.0.0.1:0",
        relayMode: "disabled" as const
      }))
      const server = yield* Layer.build(
        AsterServer.layer({ config: values, manifest: "none" }).pipe(Layer.provide(VaultLive))
      ).pipe(Effect.map(Context.get(AsterServer)))
      assert.strictEqual(server.endpointId, SecretKey.toEndpointId(key))
      assert.isTrue(server.node.boundSockets.every((socket) => /^(127\.0\.0\.1|\[::1\]):/.test(socket)))
      const error = yield* Layer.build(
        AsterServer.layer({ config: values, node: { secretKey: keyA } }).pipe(Layer.provide(VaultLive))
      ).pipe(Effect.flip)
      assert.strictEqual(error._tag === "AsterConfigError" ? error.reason : error._tag, "EndpointMismatch")
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.live("AsterConfig in the context counts, and an option beats it", () =>
    Effect.gen(function* () {
      const loopback = { bindAddr: "127.0.0.1:0", relayMode: "disabled" } as const
      const start = (options: Parameters<typeof AsterServer.layer>[0]) =>
        Layer.build(
          AsterServer.layer(options).pipe(
            Layer.provide([VaultLive, Layer.effect(AsterConfig, settings({ ...loopback, rootPubkey: root.publicKey }))])
          )
        ).pipe(Effect.map((context) => Context.get(context, AsterServer).mode))
      assert.strictEqual(yield* start({}), "trusted")
      assert.strictEqual(yield* start({ allowAllConsumers: true }), "open-gate")
      assert.strictEqual(yield* start({ config: settings(loopback) }), "open-gate")
    }).pipe(Effect.provide(Logger.layer([])))
  )

  scenario("nonces and mesh are kept where storage is", () =>
    Effect.gen(function* () {
      const storagePath = yield* directory
      const config = settings({ rootPubkey: root.publicKey, storagePath })
      const home = yield* memoryNode()
      const server: AsterServer["Service"] = yield* serve(home, { config, publish: false })
      const own = yield* memoryNode()
      const connection = yield* dial(own, server, ConsumerAdmission.ALPN)
      const request = asking(yield* issue({ nonce: nonce(3) }))
      assert.isTrue((yield* ConsumerAdmission.request(connection, { request })).admitted)
      const files = yield* Effect.promise(() => fs.readdir(storagePath))
      assert.deepStrictEqual(files.toSorted(), [".aster.lock", "mesh_state.json", "nonces.json", "nonces.json.db"])
    })
  )
})
