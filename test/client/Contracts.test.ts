/** Contracts that producers publish, read by clients, and proxies that call by them. */
import type { AsterServer } from "@aster-effect/server/AsterServer"
import type { DynamicClient } from "@aster-effect/client/DynamicClient"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as ArtifactRef from "@aster-effect/registry/ArtifactRef"
import * as RegistryKey from "@aster-effect/registry/RegistryKey"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { KitchenSink, KitchenSinkLive } from "../../examples/kitchen-sink/KitchenSink.ts"
import { consume, memoryNode, serve, settings } from "../admission/Deployment.ts"
import { KitchenSession, KitchenSessionLive } from "../interop/KitchenSession.ts"

const kitchen = Layer.mergeAll(KitchenSinkLive, KitchenSessionLive)

const scene = Effect.fnUntraced(function* (options: Parameters<typeof serve>[1] = {}) {
  const server = yield* serve(yield* memoryNode(), { config: settings(), ...options }, kitchen)
  return { server, consumer: Effect.flatMap(memoryNode(), (node) => consume(node, server)) }
})

const answers = (stream: Stream.Stream<unknown, RpcError>) => Effect.map(Stream.runCollect(stream), (all) => [...all])

/** Every pattern. */
const callAll = Effect.fnUntraced(function* ({ call }: DynamicClient) {
  assert.deepStrictEqual(yield* answers(call("say_hello", { name: "A" })), [{ message: "Hello, A!" }])
  assert.deepStrictEqual(yield* answers(call("count", { to: 2 })), [{ value: 0 }, { value: 1 }])
  assert.deepStrictEqual(yield* answers(call("sum", Stream.make({ value: 1 }, { value: 2 }))), [{ value: 3 }])
  assert.deepStrictEqual(yield* answers(call("chat", Stream.make({ name: "A" }, { name: "B" }))), [
    { message: "Hello, A!" },
    { message: "Hello, B!" }
  ])
  const missing = yield* Effect.flip(answers(call("no_such_method")))
  assert.strictEqual(missing.status, "UNIMPLEMENTED")
})

/** The document in which a producer publishes. */
const registryOf = ({ docs, registry }: AsterServer["Service"]) => docs.open(registry!)

layer(MemoryNetwork.layer(), { excludeTestServices: true })("a producer's contracts", (it) => {
  it.effect("are read by its clients, whose proxies call by them", () =>
    Effect.gen(function* () {
      const { consumer, server } = yield* scene()
      const aster = yield* consumer
      const { manifest, types } = yield* aster.contract("KitchenSink")
      assert.strictEqual(manifest.contractId, KitchenSink.contract.contractId)
      assert.sameMembers(
        [...types.keys()],
        KitchenSink.contract.types.map(({ hash }) => hash)
      )
      assert.strictEqual(
        (yield* aster.contract("KitchenSession", 1)).manifest.contractId,
        KitchenSession.contract.contractId
      )
      assert.strictEqual((yield* Effect.flip(aster.contract("KitchenSink", 2)))._tag, "ServiceNotOffered")
      // What was read is not read again.
      yield* server.docs.drop(server.registry!)
      assert.strictEqual((yield* aster.contract("KitchenSink")).manifest, manifest)
      const proxy = yield* aster.proxy("KitchenSink")
      yield* callAll(proxy)
      // One request is a stream of one.
      assert.deepStrictEqual(yield* answers(proxy.call("sum", { value: 4 })), [{ value: 4 }])
    })
  )

  it.effect("tell in sessions which answers are streams", () =>
    Effect.gen(function* () {
      const aster = yield* (yield* scene()).consumer
      const { call } = yield* aster.sessionProxy("KitchenSession")
      assert.deepStrictEqual(yield* answers(call("add", { value: 1 })), [{ value: 1 }])
      assert.deepStrictEqual(yield* answers(call("count", { to: 2 })), [{ value: 1 }, { value: 2 }])
      assert.deepStrictEqual(yield* answers(call("add_all", Stream.make({ value: 1 }, { value: 2 }))), [{ value: 4 }])
      assert.deepStrictEqual(yield* answers(call("add_all", { value: 1 })), [{ value: 5 }])
      assert.deepStrictEqual(yield* answers(call("running", Stream.make({ value: 1 }, { value: 1 }))), [
        { value: 6 },
        { value: 7 }
      ])
    })
  )

  it.effect("need not be published for its methods to be called", () =>
    Effect.gen(function* () {
      const aster = yield* (yield* scene({ publish: false })).consumer
      const error = yield* Effect.flip(aster.contract("KitchenSink"))
      assert.strictEqual(error._tag, "ContractUnavailable")
      assert.include(error.message, "publishes no contracts")
      yield* callAll(yield* aster.proxy("KitchenSink"))
      const { call } = yield* aster.sessionProxy("KitchenSession")
      assert.deepStrictEqual(yield* answers(call("add", { value: 1 })), [{ value: 1 }])
      assert.deepStrictEqual(yield* answers(call("add_all", Stream.make({ value: 2 }))), [{ value: 3 }])
    })
  )

  it.effect("are refused where they are too large, or other than they say", () =>
    Effect.gen(function* () {
      const { consumer, server } = yield* scene()
      const { contractId } = KitchenSink.contract
      const aster = yield* consumer
      const registry = yield* registryOf(server)
      const manifest = Option.getOrThrow(yield* registry.getText(RegistryKey.manifest(contractId)))
      const ref = ArtifactRef.decode(Option.getOrThrow(yield* registry.getText(RegistryKey.contract(contractId))))!
      const outcome = Effect.map(Effect.flip(aster.contract("KitchenSink")), ({ message }) => message)

      yield* registry.set(RegistryKey.manifest(contractId), new Uint8Array(4 * 1024 * 1024 + 1))
      assert.include(yield* outcome, "at most 4194304 are read")
      // A blob that is larger than its entry says.
      const large = yield* server.blobs.addBytes(new Uint8Array(1_000_000))
      yield* registry.setHash(RegistryKey.manifest(contractId), large.hash, 1000)
      assert.include(yield* outcome, "published no manifest")

      yield* registry.set(RegistryKey.manifest(contractId), manifest)
      const huge = yield* server.blobs.addBytes(new Uint8Array(17 * 1024 * 1024))
      const { hash } = yield* server.blobs.addCollection([{ name: `types/${"a".repeat(64)}.bin`, hash: huge.hash }])
      yield* registry.set(RegistryKey.contract(contractId), ArtifactRef.encode({ ...ref, collectionHash: hash }))
      assert.match(yield* outcome, /its types cannot be read: .* at most 16\d+ are taken/)

      yield* registry.set(RegistryKey.contract(contractId), ArtifactRef.encode(ref))
      assert.strictEqual((yield* aster.contract("KitchenSink")).manifest.contractId, contractId)
    })
  )
})
