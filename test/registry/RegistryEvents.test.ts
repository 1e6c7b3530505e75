import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as Lease from "@aster-effect/registry/Lease"
import * as Leases from "@aster-effect/registry/Leases"
import * as PublishedContract from "@aster-effect/registry/PublishedContract"
import * as RegistryEvents from "@aster-effect/registry/RegistryEvents"
import * as RegistryKey from "@aster-effect/registry/RegistryKey"
import * as RegistryProducers from "@aster-effect/registry/RegistryProducers"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { eventually } from "../e2e/iroh-docs/Eventually.ts"
import { peer } from "../iroh-docs/Peers.ts"

const CONTRACT = "c".repeat(64)
const endpoint = (digit: number) => String(digit).repeat(64)
const terms = (digit: number) => ({
  alpn: "aster/1",
  contractId: CONTRACT,
  endpointId: endpoint(digit),
  serializationModes: ["fory-xlang"],
  service: "Greeter",
  version: 2
})
const address = Effect.succeed({ directAddrs: ["127.0.0.1:7"], relayUrl: undefined })

layer(MemoryNetwork.layer(), { excludeTestServices: true })("a registry", (it) => {
  it.effect("tells what happens in it, at the node that changes it and at others", () =>
    Effect.gen(function* () {
      const [here, there] = [yield* peer(), yield* peer()]
      const document = yield* here.docs.create
      const copy = yield* there.docs.join(yield* document.share("read"))
      const seen: Array<ReadonlyArray<string | number>> = []
      const taken = yield* Stream.toQueue(yield* RegistryEvents.follow({ document }), { capacity: "unbounded" })
      yield* Stream.runForEach(yield* RegistryEvents.follow({ document: copy }), (event) =>
        Effect.sync(() => seen.push(spell(event)))
      ).pipe(Effect.forkScoped)
      const written = Effect.gen(function* () {
        yield* document.set(RegistryKey.version("Greeter", 2), CONTRACT)
        yield* document.set(RegistryKey.channel("Greeter", "stable"), CONTRACT)
        yield* document.set(RegistryKey.tag("Greeter", "blue"), CONTRACT)
        yield* document.set("something/else", "of no concern")
        yield* document.set(RegistryKey.version("Greeter", 3), "no contract")
        yield* Effect.scoped(Leases.hold({ document, terms: terms(1), address }))
        yield* document.set(RegistryKey.acl("writers"), "[]")
      })
      yield* written
      const local = yield* Effect.forEach(Array.from({ length: 6 }), () => Queue.take(taken))
      const expected = [
        ["ContractPublished", "Greeter", 2, CONTRACT],
        ["PointerChanged", "channel", "stable", CONTRACT],
        ["PointerChanged", "tag", "blue", CONTRACT],
        ["LeaseChanged", endpoint(1), "ready"],
        ["LeaseRemoved", endpoint(1)],
        ["AclChanged", "writers"]
      ]
      assert.deepStrictEqual(local.map(spell), expected)
      // A session brings what stands there in the end, in the order of the keys.
      yield* copy.syncWith(yield* here.node.address)
      yield* eventually(
        Effect.sync(() => seen),
        (found) => found.length >= 5
      )
      const standing = expected.filter(([tag]) => tag !== "LeaseChanged")
      assert.sameDeepMembers(seen, standing)
    })
  )

  it.effect("tells nothing of authors whose word does not count, nor of forged leases", () =>
    Effect.gen(function* () {
      const { docs } = yield* peer()
      const document = yield* docs.create
      const owner = yield* docs.authors.default
      const stranger = yield* docs.authors.create
      const taken = yield* Stream.toQueue(yield* RegistryEvents.follow({ document, owner }), { capacity: "unbounded" })
      yield* document.set(RegistryKey.version("Greeter", 2), "d".repeat(64), { author: stranger })
      yield* document.set(RegistryKey.acl("writers"), JSON.stringify([stranger]), { author: stranger })
      const key = RegistryKey.lease("Greeter", CONTRACT, endpoint(8))
      const now = Date.now()
      const forged: Lease.Lease = {
        ...terms(9),
        leaseExpiresEpochMs: now + 45_000,
        leaseSeq: 1,
        featureFlags: [],
        relayUrl: undefined,
        directAddrs: [],
        load: undefined,
        languageRuntime: undefined,
        asterVersion: "",
        policyRealm: undefined,
        healthStatus: "ready",
        tags: [],
        updatedAtEpochMs: now
      }
      yield* document.set(key, Lease.encode(forged))
      yield* document.set(RegistryKey.lease("Greeter", CONTRACT, "__proto__"), Lease.WITHDRAWN)
      yield* document.set(key, "x".repeat(Lease.MAX_BYTES + 1))
      yield* document.set(RegistryKey.version("Greeter", 2), CONTRACT)
      assert.deepStrictEqual(spell(yield* Queue.take(taken)), ["ContractPublished", "Greeter", 2, CONTRACT])
    })
  )

  it.effect("that cannot be read any more leaves a client the producers it knew, and not those that have left", () =>
    Effect.gen(function* () {
      const { docs } = yield* peer()
      const document = yield* docs.create
      yield* document.set(RegistryKey.version("Greeter", 2), CONTRACT)
      const holding = (digit: number) => Leases.hold({ document, terms: terms(digit), address, drainTime: 0 })
      const first = yield* holding(1)
      yield* holding(2)
      const wanted = { service: "Greeter" }
      const { get } = yield* RegistryProducers.make({ document, wanted })
      const ids = Effect.map(get, (all) => all.map((one) => one.address.endpointId).toSorted())
      assert.deepStrictEqual(yield* ids, [endpoint(1), endpoint(2)])
      yield* first.withdraw
      yield* eventually(ids, (found) => found.join() === endpoint(2))
      // The last lease expires, and nothing says that its producer has left.
      const key = RegistryKey.lease("Greeter", CONTRACT, endpoint(2))
      const lease = Lease.decode(
        (yield* document.getText(key)).pipe((found) => (found._tag === "Some" ? found.value : ""))
      )!
      const longAgo = Date.now() - 60_000
      const expired = { ...lease, leaseSeq: 1e9, updatedAtEpochMs: longAgo, leaseExpiresEpochMs: longAgo + 45_000 }
      yield* document.set(key, Lease.encode(expired))
      yield* Effect.sleep("300 millis")
      assert.deepStrictEqual(yield* ids, [endpoint(2)])
      yield* document.set(key, Lease.WITHDRAWN)
      yield* eventually(ids, (found) => found.length === 0)
    })
  )

  it.effect("whose manifest is too large is not read", () =>
    Effect.gen(function* () {
      const { blobs, docs } = yield* peer()
      const document = yield* docs.create
      yield* document.set(RegistryKey.manifest(CONTRACT), new Uint8Array(4 * 1024 * 1024 + 1).fill(32))
      const error = yield* Effect.flip(PublishedContract.read({ document, blobs }, CONTRACT))
      assert.strictEqual(error._tag, "ContractUnavailable")
      assert.match(error.message, /4194305 bytes/)
    })
  )
})

const spell = (event: RegistryEvents.RegistryEvent): ReadonlyArray<string | number> => {
  switch (event._tag) {
    case "ContractPublished":
      return [event._tag, event.service, event.version, event.contractId]
    case "PointerChanged":
      return [event._tag, event.kind, event.name, event.contractId]
    case "LeaseChanged":
      return [event._tag, event.lease.endpointId, event.lease.healthStatus]
    case "LeaseRemoved":
      return [event._tag, event.endpointId]
    case "AclChanged":
      return [event._tag, event.list]
    default:
      return [event._tag]
  }
}
