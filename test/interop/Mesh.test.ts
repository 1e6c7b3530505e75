/** Our producers and one of the reference, which a harness puts on the topic of its mesh. */
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import * as MeshMessage from "@aster-effect/mesh/MeshMessage"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Credential from "@aster-effect/trust/Credential"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { enrol, root, settings } from "../admission/Deployment.ts"
import { eventually } from "../iroh-gossip/Members.ts"
import { PythonReference } from "./PythonReference.ts"
import { services } from "./Vault.ts"

const Report = Schema.Struct({
  topic: Schema.String,
  neighbors: Schema.Int,
  accepted: Schema.Array(Schema.String),
  heard: Schema.Array(Schema.Record(Schema.String, Schema.Unknown))
})
const Started = Schema.Struct({ address: Schema.String, endpoint_id: Schema.String })

const Reply = Schema.Struct({
  accepted: Schema.Boolean,
  salt: Schema.String,
  accepted_producers: Schema.Array(Schema.String)
})

type Heard = (typeof Report.Type.heard)[number]
const isFrom = (event: string) => (heard: Heard) => heard["event"] === event

/** A producer of ours. */
const ours = Effect.fnUntraced(function* (contacts: ReadonlyArray<string>) {
  const secretKey = yield* SecretKey.generate
  const id = SecretKey.toEndpointId(secretKey)
  const credential = yield* enrol({ endpointId: id }, { role: "producer" })
  const server = yield* Layer.build(
    AsterServer.layer({
      node: { ...loopback, secretKey },
      config: settings({ rootPubkey: root.publicKey, allowAllProducers: false }),
      mesh: { credential, contacts },
      publish: false
    }).pipe(Layer.provide([services, Logger.layer([])]))
  ).pipe(Effect.map(Context.get(AsterServer)))
  const mesh = server.mesh!
  /** Says a grant by hand: our producers have no use for one. */
  const grant = Effect.gen(function* () {
    const raw = yield* server.gossip.subscribe(TopicId.parse(mesh.topicId))
    const body: MeshMessage.Body = { _tag: "Introduce", grant: new TextEncoder().encode("grant") }
    const now = yield* Effect.sync(() => Date.now())
    yield* raw.broadcast(MeshMessage.encode(MeshMessage.make(body, id, now, SecretKey.signer(secretKey))))
  })
  return { grant, id, mesh, server }
})

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })("a mesh with Python", (it) => {
  it.effect("our producer is let in by Python's, and all types of messages are understood both ways", () =>
    Effect.gen(function* () {
      const ask = yield* PythonReference.use((reference) => reference.trust)
      const theirKey = yield* SecretKey.generate
      const secret_key = Hex.encode(Redacted.value(theirKey))
      const theirs = yield* ask("producer", { root: root.publicKey, producers_gated: true, secret_key }, Started)
      const producer = theirs.endpoint_id
      const topic = yield* ask("mesh_subscribe", { producer, secret_key }, Schema.String)
      const say = (type: number, ...args: ReadonlyArray<unknown>) =>
        ask("mesh_say", { producer, type, args }, Schema.Null)
      const report = Effect.orDie(ask("mesh_report", { producer }, Report))

      const { grant, id: us, mesh, server } = yield* ours([theirs.address])
      yield* eventually(mesh.neighbors, (neighbors) => neighbors.length === 1, "they are neighbours")
      assert.strictEqual(mesh.topicId, topic)
      assert.include((yield* report).accepted, us)

      // What we serve has been said on joining; a contract is said now, and a grant by hand.
      yield* mesh.publish([{ service: "Vault", version: 1, collectionHash: "ab".repeat(32) }])
      yield* grant
      const heard = yield* eventually(
        report,
        ({ heard }) =>
          heard.some(({ type }) => type === 1) &&
          heard.some(isFrom("contract_published")) &&
          heard.filter(isFrom("lease_update")).length >= 2,
        "Python hears all"
      )
      assert.isTrue(heard.heard.every(({ type, verified }) => type === undefined || verified === true))
      assert.deepInclude(heard.heard, {
        event: "contract_published",
        service_name: "Vault",
        version: 1,
        contract_collection_hash: "ab".repeat(32)
      })
      const vault = server.services.find(({ name }) => name === "Vault")!
      const lease = heard.heard.find((one) => isFrom("lease_update")(one) && one["service_name"] === "Vault")!
      assert.deepInclude(lease, { version: 1, contract_id: vault.contractId, health_status: "ready" })

      // And the other way.
      yield* say(1, "grant")
      yield* say(3, "Theirs", 2, "cd".repeat(32))
      yield* say(4, "Theirs", 2, "ef".repeat(32), "degraded", { region: "x" })
      const them = yield* eventually(
        Effect.map(mesh.members.get, (members) => members.find(({ endpointId }) => endpointId === producer)),
        (member) => member?.contracts.length === 1 && member.leases.length === 1,
        "we hear theirs"
      )
      assert.strictEqual(them?.proof, "listed")
      assert.deepStrictEqual(them?.contracts, [{ service: "Theirs", version: 2, collectionHash: "cd".repeat(32) }])
      assert.deepStrictEqual(
        (yield* mesh.producers({ service: "Theirs" }).get).map(
          ({ address, health }) => `${address.endpointId} ${health}`
        ),
        [`${producer} degraded`]
      )
      assert.deepStrictEqual((yield* mesh.stats).dropped.forged, 0)

      // Goodbyes.
      yield* mesh.depart("maintenance")
      yield* eventually(report, ({ accepted }) => !accepted.includes(us), "Python lets us go")
      yield* say(2, "maintenance")
      yield* eventually(
        mesh.members.get,
        (members) => members.every(({ endpointId }) => endpointId !== producer),
        "we let Python go"
      )
    })
  )

  it.effect("Python's producer is let in by ours, and all types of messages are understood both ways", () =>
    Effect.gen(function* () {
      const ask = yield* PythonReference.use((reference) => reference.trust)
      const { grant, id: us, mesh, server } = yield* ours([])
      const theirKey = yield* SecretKey.generate
      const secret_key = Hex.encode(Redacted.value(theirKey))
      const theirs = yield* ask("producer", { root: root.publicKey, producers_gated: true, secret_key }, Started)
      const producer = theirs.endpoint_id
      const credential = Credential.toJson(yield* enrol({ endpointId: producer }, { role: "producer" }), "wire")
      const join = { producer, secret_key, root: root.publicKey, address: server.address, contact: us }

      const unsigned = yield* ask(
        "mesh_join",
        { ...join, credential: credential.replace("producer", "operator") },
        Reply
      )
      assert.deepStrictEqual(unsigned, { accepted: false, salt: "", accepted_producers: [] })
      const reply = yield* ask("mesh_join", { ...join, credential }, Reply)
      assert.deepStrictEqual(reply, {
        accepted: true,
        salt: mesh.salt,
        accepted_producers: [us, producer].toSorted()
      })
      const say = (type: number, ...args: ReadonlyArray<unknown>) =>
        ask("mesh_say", { producer, type, args }, Schema.Null)
      const report = Effect.orDie(ask("mesh_report", { producer }, Report))
      const member = Effect.map(mesh.members.get, (members) =>
        members.find(({ endpointId }) => endpointId === producer)
      )
      yield* eventually(mesh.neighbors, (neighbors) => neighbors.length === 1, "they are neighbours")
      assert.strictEqual((yield* report).topic, mesh.topicId)

      // Another one of ours, which it never asked, knows it by its own introduction.
      const other = yield* ours([server.address])
      yield* eventually(mesh.neighbors, (neighbors) => neighbors.length === 2, "both are on the topic with us")
      yield* eventually(other.mesh.neighbors, (neighbors) => neighbors.length > 0, "and it knows")
      yield* say(128, credential)
      yield* say(1, "grant")
      yield* say(3, "Theirs", 2, "cd".repeat(32))
      yield* say(4, "Theirs", 2, "ef".repeat(32), "degraded", { region: "x" })
      for (const { members } of [mesh, other.mesh]) {
        const them = yield* eventually(
          Effect.map(members.get, (all) => all.find(({ endpointId }) => endpointId === producer)),
          (found) => found?.contracts.length === 1 && found.leases.length === 1,
          "we hear theirs"
        )
        assert.strictEqual(them?.proof, "credential")
        assert.strictEqual(them?.attributes.get("aster.role"), "producer")
        assert.deepInclude(them?.leases[0], { service: "Theirs", version: 2, health: "degraded" })
      }

      // And the other way: on joining, and when asked, all has been said; a contract and a grant are said now.
      yield* mesh.publish([{ service: "Vault", version: 1, collectionHash: "ab".repeat(32) }])
      yield* mesh.setHealth("degraded")
      yield* grant
      const { heard } = yield* eventually(
        report,
        ({ heard }) =>
          heard.some(({ type }) => type === 1) &&
          heard.some(({ type }) => type === 128) &&
          heard.some(isFrom("contract_published")) &&
          heard.some((one) => isFrom("lease_update")(one) && one["health_status"] === "degraded"),
        "Python hears all"
      )
      assert.isTrue(heard.every(({ type, verified }) => type === undefined || verified === true))
      assert.deepStrictEqual((yield* mesh.stats).dropped.forged, 0)

      // Goodbyes.
      yield* say(2, "maintenance")
      yield* eventually(member, (found) => found === undefined, "we let Python go")
      yield* mesh.depart("maintenance")
      yield* eventually(report, ({ accepted }) => !accepted.includes(us), "Python lets us go")
    })
  )
})
