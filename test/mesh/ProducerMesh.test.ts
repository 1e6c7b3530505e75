import * as AdmissionRequest from "@aster-effect/admission/AdmissionRequest"
import * as ProducerAdmission from "@aster-effect/admission/ProducerAdmission"
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { topicId } from "@aster-effect/mesh/MeshState"
import { joining, ProducerMesh } from "@aster-effect/mesh/ProducerMesh"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import { Gates, type Policy } from "@aster-effect/trust/Gates"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Hex from "effect/encoding/Hex"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { asking, directory, enrol, type Issue, keyA, keyB, otherRoot, root } from "../admission/Deployment.ts"
import vectors from "../admission/vectors/trust.json" with { type: "json" }

const own = SecretKey.toEndpointId(keyA)
const other = SecretKey.toEndpointId(keyB)
const peer = (n: number) => EndpointId.parse(n.toString(16).padStart(64, "0"))
const mesh = { root: root.publicKey, self: own }

const stateIn = (directory: string) => path.join(directory, "mesh_state.json")
const readState = (directory: string): Effect.Effect<Record<string, unknown>> =>
  Effect.promise(async () => JSON.parse(await fs.readFile(stateIn(directory), "utf8")))
const open = (directory: string, options = mesh) =>
  Layer.build(Layer.fresh(ProducerMesh.layerDirectory(directory, options))).pipe(
    Effect.flatMap((context) => Effect.provide(ProducerMesh, context))
  )

describe("ProducerMesh", () => {
  it.each(vectors.gossip_topic)("topic of salt $salt_hex", ({ root_pubkey_hex, salt_hex, topic_id_hex }) => {
    const key = [root, otherRoot].find(({ publicKey }) => publicKey === root_pubkey_hex)!.publicKey
    assert.strictEqual(topicId(key, Result.getOrThrow(Hex.decode(salt_hex))), topic_id_hex)
  })

  it.effect("20: every mesh has a salt of its own, and its founder is part of it", () =>
    Effect.gen(function* () {
      const [a, b] = yield* Effect.all(
        [1, 2].map(() => Effect.provide(ProducerMesh, Layer.fresh(ProducerMesh.layerMemory(mesh))))
      )
      assert.notStrictEqual(a?.salt, b?.salt)
      assert.deepStrictEqual(yield* a!.acceptedProducers, [own])
      assert.strictEqual(a!.topicId, topicId(root.publicKey, Result.getOrThrow(Hex.decode(a!.salt))))
    })
  )

  it.effect("two processes that share a directory lose none of each other's producers", () =>
    Effect.gen(function* () {
      const state = yield* directory
      const [a, b] = [yield* open(state), yield* open(state)]
      yield* Effect.forEach(
        Array.from({ length: 8 }, (_, n) => n),
        (n) => (n % 2 === 0 ? a : b).accept(peer(n + 1)),
        { concurrency: "unbounded" }
      )
      const everybody = [own, ...Array.from({ length: 8 }, (_, n) => peer(n + 1))].toSorted()
      assert.deepStrictEqual((yield* readState(state))["accepted_producers"], everybody)
    })
  )

  it.effect("survives a restart", () =>
    Effect.gen(function* () {
      const state = path.join(yield* directory, "state")
      const first = yield* open(state)
      assert.deepStrictEqual(yield* first.accept(other), [other, own].toSorted())
      const second = yield* open(state)
      assert.deepStrictEqual([second.salt, second.topicId], [first.salt, first.topicId])
      assert.deepStrictEqual(yield* second.acceptedProducers, [other, own].toSorted())
      const { accepted_producers, mesh_dead, topic_id } = yield* readState(state)
      assert.deepStrictEqual([accepted_producers, mesh_dead, topic_id], [[other, own].toSorted(), false, first.topicId])
    })
  )

  it.effect("14: the salt is for this user alone", () =>
    Effect.gen(function* () {
      const state = path.join(yield* directory, "state")
      yield* open(state)
      const modes = yield* Effect.promise(() => Promise.all([state, stateIn(state)].map((file) => fs.stat(file))))
      assert.deepStrictEqual(
        modes.map(({ mode }) => mode & 0o777),
        [0o700, 0o600]
      )
    })
  )

  it.effect("reads the state of 0.1.2, keeps what is gossip's, and is never restored dead", () =>
    Effect.gen(function* () {
      const state = yield* directory
      const { salt_hex: salt, topic_id_hex: topic_id } = vectors.gossip_topic[1]!
      const gossip = {
        peer_offsets: { [other]: -3 },
        drift_isolated: [other],
        last_heartbeat_epoch_ms: 7,
        mesh_joined_at_epoch_ms: 5
      }
      const text = JSON.stringify({ accepted_producers: [other], salt, topic_id, ...gossip, mesh_dead: true })
      yield* Effect.promise(() => fs.writeFile(stateIn(state), text))
      const restored = yield* open(state)
      assert.deepStrictEqual([restored.salt, restored.topicId], [salt, topic_id])
      const written = yield* readState(state)
      assert.deepStrictEqual(written, { ...written, ...gossip, mesh_dead: false })
    })
  )

  it.effect("20: damaged state, and that of another root key, is refused and left alone", () =>
    Effect.gen(function* () {
      const state = yield* directory
      yield* open(state)
      const good = yield* Effect.promise(() => fs.readFile(stateIn(state), "utf8"))
      const foreign = yield* Effect.flip(open(state, { ...mesh, root: otherRoot.publicKey }))
      assert.strictEqual(foreign.reason, "Damaged")
      const topic = /"topic_id": "[0-9a-f]{64}"/
      const spoilt = ["", "{}", good.slice(0, -20), good.replace(topic, `"topic_id": "${"0".repeat(64)}"`)]
      for (const text of spoilt) {
        yield* Effect.promise(() => fs.writeFile(stateIn(state), text))
        assert.strictEqual((yield* Effect.flip(open(state))).reason, "Damaged")
        assert.strictEqual(yield* Effect.promise(() => fs.readFile(stateIn(state), "utf8")), text)
      }
    })
  )

  it.effect("has no more producers than a reply can name", () =>
    Effect.gen(function* () {
      const full = yield* ProducerMesh
      for (let n = 1; n < 900; n++) yield* full.accept(peer(n))
      assert.strictEqual((yield* Effect.flip(full.accept(peer(900)))).reason, "Full")
      const acceptedProducers = yield* full.accept(peer(1))
      assert.isBelow(
        ProducerAdmission.encodeReply({ accepted: true, salt: full.salt, acceptedProducers }).length,
        65_536
      )
    }).pipe(Effect.provide(ProducerMesh.layerMemory(mesh)))
  )

  it.effect("takes in many at the same time", () =>
    Effect.gen(function* () {
      const state = yield* directory
      const { accept } = yield* open(state)
      yield* Effect.all(
        Array.from({ length: 20 }, (_, n) => accept(peer(n))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual((yield* (yield* open(state)).acceptedProducers).length, 21)
    })
  )
})

describe("ProducerAdmission.decide", () => {
  const gates = (key: RootPublicKey): Policy => ({
    consumers: "closed",
    producers: "closed",
    root: { _tag: "Pinned", anchor: { key, source: "test" } }
  })

  const deciding = (
    title: string,
    body: () => Effect.Effect<void, unknown, Gates | AdmittedPeers | ProducerMesh | Scope.Scope>,
    members: Layer.Layer<ProducerMesh> = ProducerMesh.layerMemory(mesh)
  ) =>
    it.effect(title, () => {
      const places = Layer.provideMerge(Gates.layer(gates(root.publicKey)), AdmittedPeers.layer())
      return Effect.provide(body(), [Layer.orDie(places), members, Logger.layer([])])
    })

  const decide = (request: AdmissionRequest.AdmissionRequest, by: EndpointId.EndpointId) =>
    Effect.flatMap(ProducerMesh, (mesh) => ProducerAdmission.decide(request, by, joining(mesh)))

  const outcome = Effect.fnUntraced(function* (options: Issue, by: EndpointId.EndpointId = other) {
    return yield* decide(asking(yield* enrol({ endpointId: other }, options)), by)
  })

  const { cases, salt_hex } = vectors.producer_admission
  const fixed = Effect.gen(function* () {
    const state = yield* directory
    const topic_id = topicId(root.publicKey, Result.getOrThrow(Hex.decode(salt_hex)))
    const text = JSON.stringify({ accepted_producers: [], salt: salt_hex, topic_id })
    yield* Effect.promise(() => fs.writeFile(stateIn(state), text))
    return ProducerMesh.layerDirectory(state, mesh)
  })

  deciding(
    "answers as the reference does, but for what it gets wrong",
    () =>
      Effect.gen(function* () {
        for (const { id, peer, request_utf8, response_utf8 } of cases) {
          const request = AdmissionRequest.decode(new TextEncoder().encode(request_utf8))
          const refused = ProducerAdmission.refused
          const answer = Result.isFailure(request)
            ? refused
            : Result.getOrElse(yield* decide(request.success, EndpointId.parse(peer)), () => refused)
          const reply = ProducerAdmission.encodeReply(answer)
          assert.strictEqual(new TextDecoder().decode(reply), response_utf8, id)
        }
      }),
    Layer.orDie(Layer.unwrap(fixed))
  )

  deciding("puts a producer on record for as long as its credential lasts", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      assert.isTrue(Result.isSuccess(yield* outcome({ seconds: 60, role: "producer" })))
      const admitted = yield* peers.get(other)
      assert.strictEqual(admitted?.path, "producer_admission")
      assert.deepStrictEqual(admitted?.attributes, new Map([["aster.role", "producer"]]))
      yield* TestClock.adjust("60 seconds")
      assert.isUndefined(yield* peers.get(other))
    })
  )

  deciding("3: a stolen credential gets nothing, and nobody on record", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* outcome({}, own), Result.fail("OtherEndpoint"))
      assert.strictEqual(yield* (yield* AdmittedPeers).size, 0)
      assert.deepStrictEqual(yield* (yield* ProducerMesh).acceptedProducers, [own])
    })
  )

  deciding("gateways and consumers are admitted without the salt", () =>
    Effect.gen(function* () {
      for (const role of ["gateway", "consumer"]) {
        const decision = yield* outcome({ role })
        assert.deepStrictEqual(decision, Result.succeed({ accepted: true, salt: "", acceptedProducers: [] }))
      }
      assert.isDefined(yield* (yield* AdmittedPeers).get(other))
      assert.deepStrictEqual(yield* (yield* ProducerMesh).acceptedProducers, [own])
      assert.isTrue(Result.getOrThrow(yield* outcome({ role: "gateway,ops" })).salt !== "")
    })
  )

  deciding("8: the instance identity counts here too", () =>
    Effect.gen(function* () {
      const decision = yield* outcome({ attributes: { "aster.iid_provider": "aws" } })
      assert.deepStrictEqual(decision, Result.fail("InstanceIdentity"))
    })
  )

  deciding("a consumer's credential, an expired one and a foreign one are refused", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* outcome({ seconds: 0 }), Result.fail("Expired"))
      assert.deepStrictEqual(yield* outcome({ by: otherRoot }), Result.fail("ForeignRoot"))
      assert.deepStrictEqual(yield* decide(asking(), other), Result.fail("Malformed"))
      yield* (yield* AdmittedPeers).revoke(other)
      assert.deepStrictEqual(yield* outcome({}), Result.fail("Revoked"))
    })
  )
})
