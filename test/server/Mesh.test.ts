/** The mesh of servers, on a network in memory. */
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import {
  dial,
  directory,
  issue,
  memoryNode,
  Note,
  root,
  scenario,
  serve,
  settings,
  Vault
} from "../admission/Deployment.ts"
import { consumer } from "../client/Fleet.ts"
import { meet, memberOf, pass, producer, starting, until } from "../mesh/Producers.ts"

const refused = { _tag: "Peer", code: 403, reason: "not admitted" } as const

describe("producers of a deployment", () => {
  scenario("who is admitted by one joins by itself, is introduced to all, and passes their gates", () =>
    Effect.gen(function* () {
      const a = yield* producer()
      const b = yield* producer({ at: [a] })
      const c = yield* producer({ at: [a] })
      yield* meet([a, b, c])
      assert.strictEqual(new Set([a, b, c].map(({ mesh }) => mesh.topicId)).size, 1)
      // Neither asked the other for admission.
      const connection = yield* dial(b.node, c)
      const { recv, send } = yield* connection.openBi
      yield* send.finish
      assert.isUndefined(yield* recv.read())
      yield* connection.close(0, "")
      assert.strictEqual((yield* c.server.admittedPeers.get(b.id))?.path, "producer_admission")
    })
  )

  scenario("clients learn who serves a service, how it is, and where", () =>
    Effect.gen(function* () {
      const a = yield* producer()
      const b = yield* producer({ at: [a] })
      yield* meet([a, b])
      const producers = a.mesh.producers({ service: "Vault" })
      const found = yield* producers.get
      assert.deepStrictEqual(
        found.map(({ address, health }) => [address.endpointId, health]),
        [a.id, b.id].toSorted().map((id) => [id, "ready" as const])
      )
      assert.deepStrictEqual(
        found.find(({ address }) => address.endpointId === b.id)?.address,
        NodeAddr.parse(NodeAddr.toBase64(yield* b.node.address))
      )
      yield* b.mesh.setHealth("draining")
      yield* until(
        producers.get,
        (now) => now.some(({ address, health }) => address.endpointId === b.id && health === "draining"),
        "it drains"
      )
      assert.deepStrictEqual(yield* a.mesh.producers({ service: "Vault", version: 9 }).get, [])
      yield* b.server.close
      yield* until(producers.get, (now) => now.length === 1, "it is gone")
      assert.isUndefined(yield* memberOf(a, b.id))
    })
  )

  scenario("clients call whom the mesh knows, and nobody who has left", () =>
    Effect.gen(function* () {
      const a = yield* producer()
      const b = yield* producer({ at: [a] })
      yield* meet([a, b])
      const producers = a.mesh.producers({ service: "Vault" })
      const aster = yield* consumer({ producers, credential: yield* issue(), rootPubkey: root.publicKey })
      const vault = yield* aster.client(Vault)
      const admitted = Effect.map(b.server.admittedPeers.get(aster.node.endpointId), (found) => found !== undefined)
      yield* until(admitted, (is) => is, "both let it in")
      for (let i = 0; i < 4; i++) assert.strictEqual((yield* vault.whoami(new Note({}))).text, "nobody")
      yield* b.server.close
      yield* until(producers.get, (now) => now.length === 1, "it is gone")
      for (let i = 0; i < 4; i++) assert.strictEqual((yield* vault.whoami(new Note({}))).text, "nobody")
    })
  )

  scenario("contracts that one publishes are known to all, those who come later too", () =>
    Effect.gen(function* () {
      const a = yield* producer()
      const b = yield* producer({ at: [a] })
      yield* meet([a, b])
      const contract = { service: "Vault", version: 1, collectionHash: "ab".repeat(32) }
      yield* a.mesh.publish([contract])
      const c = yield* producer({ at: [b] })
      for (const other of [b, c]) {
        const member = yield* until(memberOf(other, a.id), (member) => member?.contracts.length === 1, "it is known")
        assert.deepStrictEqual(member?.contracts, [contract])
      }
    })
  )

  scenario("a founder without a credential is known to those who asked it", () =>
    Effect.gen(function* () {
      const a = yield* producer({ credential: false })
      const b = yield* producer({ at: [a] })
      const seen = yield* until(memberOf(b, a.id), (member) => member?.leases.length === 1, "its lease is heard")
      assert.strictEqual(seen?.proof, "listed")
      // It has shown nothing, and so gets gossip and no more.
      assert.deepStrictEqual(yield* (yield* dial(a.node, b)).closed, refused)
    })
  )

  scenario("where producers are not gated, and where it is not wanted, nobody joins the topic", () =>
    Effect.gen(function* () {
      const open = yield* serve(yield* memoryNode())
      assert.deepStrictEqual(yield* open.mesh!.acceptedProducers, [open.endpointId])
      const config = settings({ rootPubkey: root.publicKey, allowAllProducers: false })
      const unwanted = yield* serve(yield* memoryNode(), { config, mesh: false })
      for (const { gossip, mesh } of [open, unwanted])
        assert.notInclude(yield* gossip.topics, TopicId.parse(mesh!.topicId))
      const b = yield* producer({ at: [unwanted] })
      yield* until(memberOf(b, unwanted.endpointId), (member) => member !== undefined, "it is admitted all the same")
    })
  )
})

describe("who may not", () => {
  scenario("a node that was not admitted is closed out of gossip, whatever salt it knows", () =>
    Effect.gen(function* () {
      const a = yield* producer()
      const stranger = yield* memoryNode()
      const connection = yield* dial(stranger, a, GossipProtocol.ALPN)
      assert.deepStrictEqual(yield* connection.closed, refused)
    })
  )

  scenario("a producer stays in its mesh where one of another salt is asked, and nobody of that is heard", () =>
    Effect.gen(function* () {
      const a = yield* producer()
      const b = yield* producer({ at: [a] })
      const c = yield* producer()
      const d = yield* producer({ at: [c] })
      yield* meet([a, b])
      yield* meet([c, d])
      const { topicId } = b.mesh
      const error = yield* Effect.flip(b.mesh.join(NodeAddr.parse(c.address)))
      assert.strictEqual(error._tag === "JoinError" && error.reason, "Elsewhere")
      yield* pass(30)
      assert.strictEqual(b.mesh.topicId, topicId)
      assert.notStrictEqual(c.mesh.topicId, topicId)
      assert.deepStrictEqual(yield* b.mesh.neighbors, [a.id])
      assert.deepStrictEqual(yield* c.mesh.neighbors, [d.id])
      assert.isUndefined(yield* memberOf(a, d.id))
    })
  )

  scenario("a producer that is put out leaves the swarm, and what it says counts no longer", () =>
    Effect.gen(function* () {
      const a = yield* producer()
      const b = yield* producer({ at: [a] })
      yield* meet([a, b])
      yield* a.server.admittedPeers.revoke(b.id)
      yield* until(a.mesh.neighbors, (neighbors) => neighbors.length === 0, "its link is closed")
      yield* until(memberOf(a, b.id), (member) => member === undefined, "it is no member")
      // It asks again, and is refused.
      yield* pass(30)
      assert.isUndefined(yield* memberOf(a, b.id))
      assert.deepStrictEqual(yield* a.mesh.neighbors, [])
    })
  )

  scenario("a producer whose credential expires is out", () =>
    Effect.gen(function* () {
      const a = yield* producer()
      const b = yield* producer({ at: [a], credential: { seconds: 60 } })
      yield* meet([a, b])
      yield* until(a.mesh.neighbors, (neighbors) => neighbors.length === 0, "its link is closed", 61)
      assert.deepStrictEqual(yield* (yield* dial(b.node, a, GossipProtocol.ALPN)).closed, refused)
      yield* until(memberOf(a, b.id), (member) => member === undefined, "it is no member", 120)
    })
  )
})

describe("rotation", () => {
  scenario("a new salt is given to all but those who are put out, and nobody lets those in again", () =>
    Effect.gen(function* () {
      const a = yield* producer()
      const b = yield* producer({ at: [a] })
      const c = yield* producer({ at: [a] })
      const d = yield* producer({ at: [a] })
      yield* meet([a, b, c, d])
      const old = a.mesh.topicId
      yield* a.mesh.rotate({ without: [d.id] })
      yield* until(
        Effect.sync(() => [a, b, c].map(({ mesh }) => mesh.topicId)),
        ([first, ...others]) => first !== old && others.every((topic) => topic === first),
        "all follow"
      )
      yield* meet([a, b, c])
      assert.strictEqual(d.mesh.topicId, old)
      for (const other of [a, b, c]) {
        yield* until(memberOf(other, d.id), (member) => member === undefined, "it is out")
        assert.deepStrictEqual(yield* (yield* dial(d.node, other, GossipProtocol.ALPN)).closed, refused)
      }
      const error = yield* Effect.flip(d.mesh.join(NodeAddr.parse(c.address)))
      assert.strictEqual(error._tag === "JoinError" && error.reason, "Refused")
    })
  )
})

describe("coming back", () => {
  scenario("a producer that was killed comes back by what it has on disk, and is let in at once", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const state = yield* directory
      const secretKey = yield* SecretKey.generate
      const a = yield* producer()
      const b = yield* producer({ at: [a], directory: state, node: yield* memoryNode({ secretKey }) })
      yield* meet([a, b])
      const file = path.join(state, "mesh_state.json")
      const known = Effect.promise(async () =>
        Object.keys(JSON.parse(await fs.readFile(file, "utf8")).producer_addresses)
      )
      yield* until(known, (ids) => ids.includes(a.id), "it is on disk", 600)
      yield* network.lose(b.id)
      // Nobody told it where to go.
      const again = yield* starting(producer({ directory: state, node: yield* memoryNode({ secretKey }) }))
      yield* meet([a, again], 600)
      assert.strictEqual(again.mesh.topicId, a.mesh.topicId)
    })
  )

  scenario("a producer that is away while the salt is changed finds the others by what it has on disk", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const state = yield* directory
      const secretKey = yield* SecretKey.generate
      const a = yield* producer()
      const b = yield* producer({ at: [a] })
      const c = yield* producer({ at: [a], directory: state, node: yield* memoryNode({ secretKey }) })
      yield* meet([a, b, c])
      yield* network.lose(c.id)
      yield* a.mesh.rotate()
      yield* until(
        Effect.sync(() => b.mesh.topicId),
        (topic) => topic === a.mesh.topicId,
        "who is there follows"
      )
      const again = yield* starting(producer({ directory: state, node: yield* memoryNode({ secretKey }) }))
      yield* meet([a, b, again], 600)
      assert.strictEqual(again.mesh.topicId, a.mesh.topicId)
    })
  )

  scenario("a producer that closes does not wait for contacts that do not answer", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const gone = yield* memoryNode()
      yield* network.lose(gone.endpointId)
      const scope = yield* Scope.make()
      const address = NodeAddr.toBase64(yield* gone.address)
      yield* Scope.provide(producer({ at: [{ address }] }), scope)
      yield* pass(1)
      // It is dialled by now, and from here on no time passes.
      yield* Scope.close(scope, Exit.void)
    })
  )

  scenario("a producer that forgot everybody is asked again by those who asked it", () =>
    Effect.gen(function* () {
      const secretKey = yield* SecretKey.generate
      const scope = yield* Scope.make()
      const a = yield* Scope.provide(producer({ node: yield* Scope.provide(memoryNode({ secretKey }), scope) }), scope)
      const b = yield* producer({ at: [a] })
      const c = yield* producer({ at: [a] })
      yield* meet([a, b, c])
      yield* Scope.close(scope, Exit.void)
      const again = yield* producer({ node: yield* memoryNode({ secretKey }), at: [b] })
      yield* meet([again, b, c])
    })
  )
})
