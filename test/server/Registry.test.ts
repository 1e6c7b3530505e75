/** What a server publishes stays published, whatever happens to the document or to the server. */
import type { AsterServer } from "@aster-effect/server/AsterServer"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as ArtifactRef from "@aster-effect/registry/ArtifactRef"
import * as Lease from "@aster-effect/registry/Lease"
import * as Leases from "@aster-effect/registry/Leases"
import * as Publication from "@aster-effect/registry/Publication"
import * as RegistryKey from "@aster-effect/registry/RegistryKey"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { consume, memoryNode, serve, settings, Vault } from "../admission/Deployment.ts"
import { eventually } from "../e2e/iroh-docs/Eventually.ts"
import { peer } from "../iroh-docs/Peers.ts"

const { contractId } = Vault.contract
const keys = [RegistryKey.contract(contractId), RegistryKey.manifest(contractId), RegistryKey.version("Vault", 1)]

const readable = (server: AsterServer["Service"]) =>
  Effect.scoped(
    Effect.gen(function* () {
      const aster = yield* consume(yield* memoryNode(), server)
      return yield* Effect.match(aster.contract("Vault"), { onFailure: () => false, onSuccess: () => true })
    })
  )

layer(MemoryNetwork.layer(), { excludeTestServices: true })("a server's registry document", (it) => {
  it.effect("is written again where somebody deletes or damages it, and made again where it is dropped", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { config: settings() })
      const first = server.registry!
      const registry = yield* server.docs.open(first)
      assert.isTrue(yield* readable(server))

      assert.isAbove(yield* registry.delete(""), 2)
      assert.isFalse(yield* readable(server))
      yield* eventually(readable(server), (is) => is)

      // Another writer deletes one key and spoils another; on its own node, as others do.
      const other = yield* peer()
      const secret = (yield* server.docs.secret(first))!
      const copy = yield* other.docs.import({ _tag: "Write", secret })
      const address = yield* server.node.address
      yield* copy.syncWith(address)
      yield* copy.set(RegistryKey.manifest(contractId), "{}")
      yield* copy.delete(RegistryKey.version("Vault", 1))
      yield* copy.syncWith(address)
      yield* eventually(readable(server), (is) => is)
      yield* eventually(registry.getText(RegistryKey.version("Vault", 1)), (text) => Option.contains(text, contractId))

      yield* server.docs.drop(first)
      yield* eventually(
        Effect.sync(() => server.registry),
        (registry) => registry !== undefined && registry !== first
      )
      yield* eventually(readable(server), (is) => is)
    })
  )

  it.effect("comes about later where it cannot at the start", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "registry-"))),
        (directory) => Effect.promise(() => fs.rm(directory, { recursive: true, force: true }))
      )
      const obstacle = path.join(directory, "docs")
      yield* Effect.promise(() => fs.writeFile(obstacle, "no directory"))
      const server = yield* serve(yield* memoryNode(), { config: settings({ storagePath: directory }) })
      assert.isUndefined(server.registry)
      assert.isFalse(yield* readable(server))
      yield* Effect.promise(() => fs.rm(obstacle))
      yield* eventually(
        Effect.sync(() => server.registry),
        (registry) => registry !== undefined
      )
      yield* eventually(readable(server), (is) => is)
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.effect("is not fought over by producers of the same service", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* peer(), yield* peer()]
      const document = yield* one.docs.create
      const copy = yield* two.docs.import({ _tag: "Write", secret: (yield* one.docs.secret(document.id))! })
      const places = [
        { document, blobs: one.blobs, author: yield* one.docs.authors.default },
        { document: copy, blobs: two.blobs, author: yield* two.docs.authors.default }
      ] as const
      const sync = Effect.flatMap(one.node.address, (address) => copy.syncWith(address))
      yield* document.startSync()
      const first = yield* Publication.publish(places[0], Vault)
      yield* sync
      const second = yield* Publication.publish(places[1], Vault)
      yield* sync
      // The ticket is that of the second one, and stays.
      assert.deepStrictEqual([first.changed, second.changed], [true, true])
      for (const [place, before] of [
        [places[0], first],
        [places[1], second]
      ] as const) {
        assert.isFalse((yield* Publication.publish(place, Vault, before)).changed)
      }
      // Neither blobs nor entries that were lost stay lost.
      yield* one.blobs.tags.removeAll({ prefix: "aster-collection/" })
      yield* one.blobs.collectGarbage
      yield* document.set(keys[0]!, "nothing", { author: places[0].author })
      const again = yield* Publication.publish(places[0], Vault, first)
      assert.isTrue(again.changed)
      assert.isTrue(yield* one.blobs.has(first.collection))
      const ref = ArtifactRef.decode(Option.getOrThrow(yield* document.getText(keys[0]!)))
      assert.strictEqual(ref?.publishedBy, places[0].author)
    })
  )

  it.effect("has leases that say where the producer is now", () =>
    Effect.gen(function* () {
      const { docs, node } = yield* peer()
      const document = yield* docs.create
      let port = 1
      const key = RegistryKey.lease("Vault", contractId, node.endpointId)
      yield* Leases.hold({
        document,
        address: Effect.sync(() => ({ directAddrs: [`127.0.0.1:${port}`], relayUrl: undefined })),
        refreshInterval: "1 hour",
        terms: {
          alpn: "aster/1",
          contractId,
          endpointId: node.endpointId,
          serializationModes: [],
          service: "Vault",
          version: 1
        }
      })
      const lease = Effect.map(document.getText(key), (text) => Lease.decode(Option.getOrElse(text, () => "")))
      assert.deepStrictEqual((yield* lease)?.directAddrs, ["127.0.0.1:1"])
      port = 2
      const renewed = yield* eventually(lease, (found) => found?.directAddrs[0] === "127.0.0.1:2")
      assert.strictEqual(renewed?.leaseSeq, 2)
    })
  )
})
