import type { Document } from "@aster-effect/iroh-docs/Document"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as Lease from "@aster-effect/registry/Lease"
import * as Leases from "@aster-effect/registry/Leases"
import * as RegistryKey from "@aster-effect/registry/RegistryKey"
import * as Resolver from "@aster-effect/registry/Resolver"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { eventually } from "../e2e/iroh-docs/Eventually.ts"
import { peer } from "../iroh-docs/Peers.ts"

const CONTRACT = "c".repeat(64)
const endpoint = (digit: number) => String(digit).repeat(64)

const leaseOf = (digit: number, change: Partial<Lease.Lease> = {}): Lease.Lease => ({
  endpointId: endpoint(digit),
  contractId: CONTRACT,
  service: "Greeter",
  version: 2,
  leaseExpiresEpochMs: Date.now() + 45_000,
  leaseSeq: 1,
  alpn: "aster/1",
  serializationModes: ["fory-xlang"],
  featureFlags: [],
  relayUrl: undefined,
  directAddrs: ["127.0.0.1:1"],
  load: undefined,
  languageRuntime: "python",
  asterVersion: "0.2.0",
  policyRealm: undefined,
  healthStatus: "ready",
  tags: [],
  updatedAtEpochMs: Date.now(),
  ...change
})

const put = (document: Document, lease: Lease.Lease, options?: Parameters<Document["set"]>[2]) =>
  document.set(RegistryKey.lease(lease.service, lease.contractId, lease.endpointId), Lease.encode(lease), options)

const scene = Effect.gen(function* () {
  const { docs } = yield* peer()
  const document = yield* docs.create
  yield* document.set(RegistryKey.version("Greeter", 2), CONTRACT)
  return { docs, document }
})

const ids = (leases: ReadonlyArray<Lease.Lease>) => leases.map(({ endpointId }) => Number(endpointId[0]))

layer(MemoryNetwork.layer(), { excludeTestServices: true })("looking for producers", (it) => {
  it.effect("finds them by version, channel, tag and contract, in turn", () =>
    Effect.gen(function* () {
      const { document } = yield* scene
      yield* document.set(RegistryKey.channel("Greeter", "stable"), CONTRACT)
      yield* document.set(RegistryKey.tag("Greeter", "blue"), CONTRACT)
      for (const digit of [1, 2, 3]) yield* put(document, leaseOf(digit))
      yield* put(document, leaseOf(4, { healthStatus: "degraded" }))
      const { resolve } = Resolver.make({ document })
      assert.deepStrictEqual(ids(yield* resolve({ service: "Greeter", version: 2 })), [1, 2, 3, 4])
      assert.deepStrictEqual(ids(yield* resolve({ service: "Greeter", channel: "stable" })), [2, 3, 1, 4])
      assert.deepStrictEqual(ids(yield* resolve({ service: "Greeter", tag: "blue" })), [3, 1, 2, 4])
      assert.deepStrictEqual(ids(yield* resolve({ service: "Greeter" })), [1, 2, 3, 4])
      assert.deepStrictEqual(
        ids(yield* resolve({ service: "Greeter", contractId: CONTRACT, serializationModes: ["xlang"] })),
        [2, 3, 1, 4]
      )
      for (const wanted of [{ version: 3 }, { tag: "red" }, { contractId: "d".repeat(64) }, { alpn: "aster/2" }]) {
        assert.strictEqual((yield* Effect.flip(resolve({ service: "Greeter", ...wanted })))._tag, "ServiceNotFound")
      }
    })
  )

  it.effect("leaves out what is stale, withdrawn, of another realm or busy with leaving", () =>
    Effect.gen(function* () {
      const { document } = yield* scene
      const now = Date.now()
      yield* put(document, leaseOf(1, { updatedAtEpochMs: now - 46_000 }))
      yield* put(document, leaseOf(2, { leaseExpiresEpochMs: now - 1 }))
      yield* put(document, leaseOf(3, { healthStatus: "draining" }))
      yield* put(document, leaseOf(4, { policyRealm: "elsewhere" }))
      yield* document.set(RegistryKey.lease("Greeter", CONTRACT, endpoint(5)), Lease.WITHDRAWN)
      yield* put(document, leaseOf(6, { load: 0.9 }))
      yield* put(document, leaseOf(7, { load: 0.1 }))
      const { resolve } = Resolver.make({ document })
      const found = yield* resolve({ service: "Greeter", policyRealm: "here", strategy: "least_load" })
      assert.deepStrictEqual(ids(found), [7, 6])
      // The same lease is seen again, an older one is not, and a producer that started anew counts from 1.
      assert.deepStrictEqual(
        ids(yield* resolve({ service: "Greeter", policyRealm: "here", strategy: "least_load" })),
        [7, 6]
      )
      yield* put(document, leaseOf(7, { leaseSeq: 0, updatedAtEpochMs: now - 10_000 }))
      assert.deepStrictEqual(ids(yield* resolve({ service: "Greeter", policyRealm: "here" })), [6])
      yield* put(document, leaseOf(7, { leaseSeq: 0, updatedAtEpochMs: Date.now() + 1 }))
      assert.deepStrictEqual(
        ids(yield* resolve({ service: "Greeter", policyRealm: "here", strategy: "least_load" })),
        [6, 7]
      )
    })
  )

  it.effect("believes the owner and whom it lists, and no forged lease", () =>
    Effect.gen(function* () {
      const { docs, document } = yield* scene
      const owner = yield* docs.authors.default
      const [known, stranger] = [yield* docs.authors.create, yield* docs.authors.create]
      const lists = RegistryKey.acl("writers")
      yield* document.set(lists, JSON.stringify([known]))
      yield* document.set(lists, JSON.stringify([stranger]), { author: stranger })
      yield* put(document, leaseOf(1))
      yield* put(document, leaseOf(2), { author: known })
      yield* put(document, leaseOf(3), { author: stranger })
      yield* put(document, leaseOf(1, { healthStatus: "draining" }), { author: stranger })
      yield* document.set(RegistryKey.version("Greeter", 2), "d".repeat(64), { author: stranger })
      // A lease under the key of another endpoint, one that is no lease, and one that is too long.
      yield* document.set(RegistryKey.lease("Greeter", CONTRACT, endpoint(8)), Lease.encode(leaseOf(9)))
      yield* document.set(RegistryKey.lease("Greeter", CONTRACT, "../../etc"), "{}")
      yield* put(document, leaseOf(7, { tags: Array.from({ length: 5000 }, () => "tag") }))
      const { resolve } = Resolver.make({ document, owner })
      assert.deepStrictEqual(ids(yield* resolve({ service: "Greeter", version: 2 })), [1, 2])
    })
  )

  it.effect("sees a lease refreshed and taken back", () =>
    Effect.gen(function* () {
      const { document } = yield* scene
      const { resolve } = Resolver.make({ document })
      const seen = Effect.map(resolve({ service: "Greeter" }), (leases) => leases[0]!)
      const gone = yield* Effect.scoped(
        Effect.gen(function* () {
          const { alpn, contractId, endpointId, serializationModes, service, version } = leaseOf(1)
          const held = yield* Leases.hold({
            document,
            terms: { alpn, contractId, endpointId, serializationModes, service, version },
            address: Effect.succeed({ directAddrs: ["127.0.0.1:7"], relayUrl: undefined }),
            refreshInterval: "50 millis",
            drainTime: "50 millis"
          })
          const first = yield* seen
          assert.deepStrictEqual(
            [first.leaseSeq >= 1, first.healthStatus, first.directAddrs],
            [true, "ready", ["127.0.0.1:7"]]
          )
          yield* eventually(seen, ({ leaseSeq }) => leaseSeq > first.leaseSeq)
          yield* held.withdraw
          return yield* Effect.flip(seen)
        })
      )
      assert.strictEqual(gone._tag, "ServiceNotFound")
      const key = RegistryKey.lease("Greeter", CONTRACT, endpoint(1))
      assert.deepStrictEqual(yield* document.getText(key), Option.some("null"))
    })
  )
})
