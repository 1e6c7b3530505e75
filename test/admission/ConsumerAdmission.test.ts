import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import { ask } from "@aster-effect/admission/Handshake"
import { HandshakeSlots } from "@aster-effect/admission/HandshakeSlots"
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import * as ServiceSummary from "@aster-effect/core/contract/ServiceSummary"
import type { Connection } from "@aster-effect/iroh/Connection"
import type * as EndpointId from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Router from "@aster-effect/iroh/Router"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import { Gates, type Policy } from "@aster-effect/trust/Gates"
import * as InstanceIdentity from "@aster-effect/trust/InstanceIdentity"
import { NonceStore } from "@aster-effect/trust/NonceStore"
import * as RootKey from "@aster-effect/trust/RootKey"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { asking, directory, type Issue, issue, keyA, keyB, memoryNode, nonce, root, scenario } from "./Deployment.ts"
import vectors from "./vectors/trust.json" with { type: "json" }

const pinned = (publicKey: RootPublicKey): Policy["root"] => ({
  _tag: "Pinned",
  anchor: { key: publicKey, source: "test" }
})
const closed: Policy = { consumers: "closed", producers: "open", root: pinned(root.publicKey) }
const open: Policy = { consumers: "open", producers: "open", root: pinned(root.publicKey) }

const own = SecretKey.toEndpointId(keyA)
const other = SecretKey.toEndpointId(keyB)

interface Setting {
  readonly gates?: Policy | undefined
  readonly peers?: Parameters<typeof AdmittedPeers.layer>[0]
  readonly nonces?: Layer.Layer<NonceStore> | undefined
}

const places = ({ gates = closed, nonces = NonceStore.layerMemory(), peers = {} }: Setting) =>
  Layer.provideMerge(Gates.layer(gates), Layer.mergeAll(AdmittedPeers.layer(peers), nonces, HandshakeSlots.layer))

/** A test of decisions, without a network. */
const deciding = (
  title: string,
  setting: Setting,
  body: () => Effect.Effect<void, unknown, Gates | AdmittedPeers | NonceStore | Scope.Scope>
) => it.effect(title, () => Effect.provide(body(), [Layer.orDie(places(setting)), Logger.layer([])]))

const outcome = Effect.fnUntraced(function* (options: Issue, peer: EndpointId.EndpointId = own, token?: string) {
  const decision = yield* ConsumerAdmission.decide(asking(yield* issue(options), token), peer)
  return Result.isSuccess(decision) ? "admitted" : decision.failure
})

describe("ConsumerAdmission.serve", () => {
  const keys = new Map([keyA, keyB].map((key) => [SecretKey.toEndpointId(key) as string, key]))
  const services = ServiceSummary.listFromJson(vectors.consumer_admission.server.services)
  const offer = () =>
    Effect.succeed({
      services,
      registryNamespace: vectors.consumer_admission.server.registry_namespace,
      gossipTopic: ""
    })

  scenario("answers as the reference does", () =>
    Effect.gen(function* () {
      const nonces = Layer.succeed(NonceStore, yield* Effect.provide(NonceStore, NonceStore.layerMemory()))
      for (const { id, open_gate, peer, request_utf8, response_utf8 } of vectors.consumer_admission.cases) {
        const context = yield* Layer.build(Layer.fresh(places({ gates: open_gate ? open : closed, nonces })))
        const home = yield* memoryNode()
        yield* Router.serve({
          protocols: [
            {
              alpn: "shake/1",
              handler: (connection: Connection) =>
                Effect.provide(ConsumerAdmission.serve(connection, { offer }), context)
            }
          ]
        }).pipe(Effect.provideService(IrohNode, home))
        const consumer = yield* memoryNode({ secretKey: keys.get(peer) })
        const connection = yield* consumer.connect(yield* home.address, "shake/1")
        const reply = new TextDecoder().decode(yield* ask(connection, new TextEncoder().encode(request_utf8)))
        assert.deepStrictEqual(JSON.parse(reply), JSON.parse(response_utf8), id)
        assert.deepStrictEqual(Object.keys(JSON.parse(reply)), Object.keys(JSON.parse(response_utf8)), id)
        yield* consumer.close
        yield* home.close
      }
    })
  )

  it("the topic is a last key, and only there when there is one", () => {
    const reply = { ...ConsumerAdmission.denied(""), admitted: true, gossipTopic: "ab".repeat(32) }
    const json = JSON.parse(new TextDecoder().decode(ConsumerAdmission.encodeReply(reply)))
    assert.strictEqual(Object.keys(json).at(-1), "gossip_topic")
    assert.deepStrictEqual(ConsumerAdmission.decodeReply(ConsumerAdmission.encodeReply(reply)), Result.succeed(reply))
  })

  it("22: nothing in a reply that could be a path survives reading", () => {
    const service = (contract_id: string, name = "A") => ({ name, version: 1, contract_id })
    const hostile = {
      admitted: true,
      attributes: { a: 1, b: "kept" },
      services: [service("../../x"), service("", "../B"), service("", "C\u0000"), service("ab".repeat(32), "D")],
      registry_namespace: "../../etc",
      root_pubkey: "~/x",
      gossip_topic: "AB".repeat(32)
    }
    const read = Result.getOrThrow(ConsumerAdmission.decodeReply(new TextEncoder().encode(JSON.stringify(hostile))))
    assert.deepStrictEqual(read.attributes, new Map([["b", "kept"]]))
    assert.deepStrictEqual(
      read.services.map(({ name }) => name),
      ["D"]
    )
    assert.deepStrictEqual([read.registryNamespace, read.rootPubkey, read.gossipTopic], ["", "", ""])
  })
})

describe("ConsumerAdmission.decide", () => {
  deciding("records who comes in, until the credential expires", {}, () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      assert.strictEqual(yield* outcome({ to: { endpointId: own }, role: "ops", seconds: 100 }), "admitted")
      assert.deepStrictEqual(yield* peers.attributes(own), new Map([["aster.role", "ops"]]))
      yield* TestClock.adjust("100 seconds")
      assert.isUndefined(yield* peers.get(own))
    })
  )

  deciding("refuses with a reason for the log alone", {}, () =>
    Effect.gen(function* () {
      const foreign = Result.getOrThrow(RootKey.fromSeed(new Uint8Array(32).fill(9)))
      assert.strictEqual(yield* outcome({ to: { endpointId: other } }), "OtherEndpoint")
      assert.strictEqual(yield* outcome({ to: { endpointId: other }, nonce: nonce(1) }), "OtherEndpoint")
      assert.strictEqual(yield* outcome({ seconds: 0 }), "Expired")
      assert.strictEqual(yield* outcome({ by: foreign }), "ForeignRoot")
      assert.deepStrictEqual(yield* ConsumerAdmission.decide(asking(), own), Result.fail("NoCredential"))
      const broken = { credential: "{", iidToken: "" }
      assert.deepStrictEqual(yield* ConsumerAdmission.decide(broken, own), Result.fail("Malformed"))
      assert.strictEqual(yield* (yield* AdmittedPeers).size, 0)
    })
  )

  deciding("an open gate still checks a credential that is presented", { gates: open }, () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* outcome({ seconds: 0 }), "Expired")
      assert.isTrue(Result.isSuccess(yield* ConsumerAdmission.decide(asking(), own)))
      assert.strictEqual(yield* (yield* AdmittedPeers).size, 0)
      assert.strictEqual(yield* outcome({ role: "ops" }), "admitted")
      assert.strictEqual((yield* (yield* AdmittedPeers).attributes(own)).get("aster.role"), "ops")
    })
  )

  deciding(
    "an open gate beside a closed one records everybody, and takes nothing from those with a credential",
    { gates: { ...open, producers: "closed" } },
    () =>
      Effect.gen(function* () {
        const peers = yield* AdmittedPeers
        yield* ConsumerAdmission.decide(asking(), other)
        assert.strictEqual((yield* peers.get(other))?.attributes.size, 0)
        yield* outcome({ role: "ops" })
        yield* ConsumerAdmission.decide(asking(), own)
        assert.strictEqual((yield* peers.attributes(own)).get("aster.role"), "ops")
      })
  )

  deciding(
    "2: without a root key every credential is refused, also one for the key of zeros",
    { gates: { consumers: "open", producers: "open", root: { _tag: "None" } } },
    () =>
      Effect.gen(function* () {
        const zeros = "0".repeat(64)
        const forged = {
          ...(yield* issue({ role: "admin" })),
          rootPubkey: zeros,
          signature: `${"01".padEnd(64, "0")}${zeros}`
        }
        const decision = yield* ConsumerAdmission.decide(asking(forged), own)
        assert.deepStrictEqual(decision, Result.fail("NoRoot"))
        assert.strictEqual((yield* (yield* AdmittedPeers).attributes(own)).size, 0)
      })
  )

  deciding("8: an instance identity is never taken on trust", {}, () =>
    Effect.gen(function* () {
      for (const provider of ["aws", "gcp", "azure", "mock", "constructor", ""]) {
        const attributes = { "aster.iid_provider": provider, "aster.iid_account": "1", "aster.iid_region": "r" }
        assert.strictEqual(yield* outcome({ attributes }, own, "token"), "InstanceIdentity", provider)
      }
    })
  )

  deciding("8: a verifier decides by token and claims, and a broken or slow one denies", {}, () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const verifiers = new Map<string, InstanceIdentity.Verifier>([
        ["aws", (token, claims) => Effect.sync(() => seen.push([token, claims]) > 0 && token === "good")],
        ["gcp", () => Effect.die("broken")],
        ["azure", () => Effect.never]
      ])
      const by = (provider: string, token: string) =>
        outcome({ attributes: { "aster.iid_provider": provider, "aster.iid_account": "42" } }, own, token).pipe(
          Effect.provideService(InstanceIdentity.Verifiers, verifiers)
        )
      assert.strictEqual(yield* by("AWS", "good"), "admitted")
      assert.strictEqual(yield* by("aws", "bad"), "InstanceIdentity")
      assert.strictEqual(yield* by("gcp", "good"), "InstanceIdentity")
      const claims = { endpointId: own, account: "42", region: undefined, roleArn: undefined }
      assert.deepStrictEqual(seen, [
        ["good", claims],
        ["bad", claims]
      ])
      const slow = yield* Effect.forkChild(by("azure", "good"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(slow), "InstanceIdentity")
    })
  )
})

describe("one-time tokens", () => {
  deciding("8: are not used up by a check that fails", {}, () =>
    Effect.gen(function* () {
      const token: Issue = { nonce: nonce(1), attributes: { "aster.iid_provider": "aws" } }
      const willing = new Map([["aws", () => Effect.succeed(true)]])
      assert.strictEqual(yield* outcome(token), "InstanceIdentity")
      assert.strictEqual(yield* outcome({ ...token, seconds: 0 }), "Expired")
      assert.strictEqual(yield* outcome({ ...token, to: { endpointId: other } }), "OtherEndpoint")
      const allowed = outcome(token).pipe(Effect.provideService(InstanceIdentity.Verifiers, willing))
      assert.strictEqual(yield* allowed, "admitted")
      assert.strictEqual(yield* allowed, "TokenUsed")
    })
  )

  deciding(
    "8: are not used up by a consumer for whom there is no room, or who was put out",
    { peers: { capacity: 1 } },
    () =>
      Effect.gen(function* () {
        const peers = yield* AdmittedPeers
        yield* outcome({ to: { endpointId: other } }, other)
        assert.strictEqual(yield* outcome({ nonce: nonce(1) }), "Full")
        yield* peers.revoke(other)
        yield* peers.revoke(own)
        assert.strictEqual(yield* outcome({ nonce: nonce(1) }), "Revoked")
        yield* peers.reinstate(own)
        assert.strictEqual(yield* outcome({ nonce: nonce(1) }), "admitted")
      })
  )

  it.effect("8: work once across restarts, and a damaged store admits nobody by them", () =>
    Effect.gen(function* () {
      const file = path.join(yield* directory, "nonces.json")
      const once = Effect.suspend(() =>
        outcome({ nonce: nonce(1) }).pipe(Effect.provide(Layer.fresh(places({ nonces: NonceStore.layerFile(file) }))))
      )
      assert.strictEqual(yield* once, "admitted")
      assert.strictEqual(yield* once, "TokenUsed")
      yield* Effect.promise(() => fs.writeFile(file, "{"))
      const lines: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
      assert.strictEqual(yield* Effect.provide(once, logger), "TokenUnverifiable")
      assert.isTrue(lines.some((line) => line.includes(`${file} is damaged`)))
      assert.strictEqual(yield* Effect.promise(() => fs.readFile(file, "utf8")), "{")
      const bound = outcome({ role: "ops" }).pipe(
        Effect.provide(Layer.fresh(places({ nonces: NonceStore.layerFile(file) })))
      )
      assert.strictEqual(yield* bound, "admitted")
    }).pipe(Effect.provide(Logger.layer([])))
  )
})
