/** Producers that are found in a registry they share. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import type { AsterServer } from "@aster-effect/server/AsterServer"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { BlobHash } from "@aster-effect/iroh-blobs/BlobHash"
import * as Lease from "@aster-effect/registry/Lease"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { consume, memoryNode, Note, serve, settings, Vault } from "../admission/Deployment.ts"
import * as RegistryLookup from "../../packages/client/src/internal/registryLookup.ts"
import { eventually } from "../e2e/iroh-docs/Eventually.ts"

layer(MemoryNetwork.layer(), { excludeTestServices: true })("a registry that producers share", (it) => {
  it.effect("leads consumers to one of them, and past those that are gone", () =>
    Effect.gen(function* () {
      const host = yield* serve(yield* memoryNode(), { config: settings() })
      const shared = yield* host.docs.create
      const forProducers = yield* shared.share("write")
      const scopes = [yield* Scope.make(), yield* Scope.make()]
      const producers: Array<AsterServer["Service"]> = []
      for (const scope of scopes) {
        producers.push(
          yield* Effect.flatMap(memoryNode(), (node) =>
            serve(node, { config: settings(), registry: forProducers })
          ).pipe(Scope.provide(scope))
        )
      }
      yield* eventually(shared.status, ({ entries }) => entries >= 5)
      const forConsumers = yield* shared.share("read")
      const consumer = Effect.gen(function* () {
        const own = yield* memoryNode()
        const client = AsterClient.layerOnNode({
          config: settings(),
          registry: forConsumers,
          service: { service: Vault.name }
        })
        const context = yield* Layer.build(Layer.fresh(client)).pipe(Effect.provideService(IrohNode, own))
        const vault = yield* Context.get(context, AsterClient).client(Vault)
        return (yield* vault.whoami(new Note({}))).text
      }).pipe(Effect.scoped)
      assert.strictEqual(yield* consumer, "nobody")
      yield* Scope.close(scopes[0]!, Exit.void)
      for (let i = 0; i < 4; i++) assert.strictEqual(yield* consumer, "nobody")
      yield* Scope.close(scopes[1]!, Exit.void)
      const error = yield* Effect.flip(consumer)
      assert.include(["ServiceNotFound", "ConnectError"], error._tag)
    })
  )

  it.effect("fills no consumer's memory with what else is written there", () =>
    Effect.gen(function* () {
      const host = yield* serve(yield* memoryNode(), { config: settings() })
      const shared = yield* host.docs.create
      yield* serve(yield* memoryNode(), { config: settings(), registry: yield* shared.share("write") })
      yield* eventually(shared.status, ({ entries }) => entries >= 4)
      const put = (name: string, size: number) =>
        Effect.map(shared.set(`services/Vault/${name}`, new Uint8Array(size).fill(size)), ({ hash }) => hash)
      const large = [yield* put("a", 1_000_000), yield* put("b", Lease.MAX_BYTES + 1)]
      const before = yield* put("c", Lease.MAX_BYTES)

      let reader: AsterClient["Service"] | undefined
      yield* RegistryLookup.follow({
        ticket: yield* RegistryLookup.parse(yield* shared.share("read")),
        wanted: { service: Vault.name },
        owner: undefined,
        connect: () =>
          Effect.flatMap(memoryNode(), (node) => consume(node, host)).pipe(
            Effect.tap((client) => Effect.sync(() => (reader = client)))
          )
      })
      const has = (hash: BlobHash) => reader!.blobs.has(hash)
      yield* eventually(has(before), (is) => is)
      // What is written later comes live, after what was there.
      large.push(yield* put("d", 2_000_000))
      const after = yield* put("e", 1000)
      yield* eventually(has(after), (is) => is)
      for (const hash of large) assert.isFalse(yield* has(hash))
    })
  )
})
