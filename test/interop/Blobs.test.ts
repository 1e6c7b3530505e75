/** Blobs between gated producers and consumers, ours and the reference's. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { createHash } from "node:crypto"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { settings } from "../admission/Deployment.ts"
import { PythonReference } from "./PythonReference.ts"
import { bothCommands, trust } from "./PythonTrust.ts"
import { services } from "./Vault.ts"

const TIMES = 50_000
const content = Buffer.from("model weights v2.1".repeat(TIMES))
const expected = { size: content.length, sha256: createHash("sha256").update(content).digest("hex") }
const quiet = Logger.layer([])

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })("Blobs, gated", (it) => {
  it.effect("an enrolled Python consumer gets those of our producer, another one does not", () =>
    Effect.gen(function* () {
      const { file, ours } = yield* bothCommands
      const python = yield* trust
      yield* ours("keygen root --key-file root.key")
      yield* ours("enroll node --role producer --name server --root-key root.key --out server.cred")
      yield* ours("enroll node --role consumer --name alice --root-key root.key --out alice.cred")
      const producer = AsterServer.layer({ node: loopback, config: settings(), identity: file("server.cred") })
      const server = Context.get(
        yield* Layer.build(Layer.fresh(producer).pipe(Layer.provide([services, quiet]))),
        AsterServer
      )
      const { hash } = yield* server.blobs.addBytes(content)
      const at = { address: server.address, ticket: yield* server.blobs.share(hash) }

      const stranger = yield* python.fetch(at)
      assert.isFalse(stranger.admitted)
      assert.property(stranger, "error")
      assert.deepStrictEqual(yield* python.fetch({ ...at, identity: file("alice.cred") }), {
        admitted: true,
        ...expected
      })
    })
  )

  it.effect("our enrolled consumer gets those of a Python producer, by hash, ticket and collection", () =>
    Effect.gen(function* () {
      const { file, ours } = yield* bothCommands
      const python = yield* trust
      yield* ours("keygen root --key-file root.key")
      yield* ours("enroll node --role producer --name server --root-key root.key --out server.cred")
      yield* ours("enroll node --role consumer --name alice --root-key root.key --out alice.cred")
      const { address, endpoint_id } = yield* python.producer({ identity: file("server.cred") })
      const stored = yield* python.store({ producer: endpoint_id, text: "model weights v2.1", times: TIMES })
      const hash = BlobHash.parse(stored.hash)
      for (const name of [hash, stored.ticket, stored.collection]) {
        const consumer = AsterClient.layer({
          node: loopback,
          config: settings(),
          address,
          identity: file("alice.cred")
        })
        const { blobs } = Context.get(yield* Layer.build(Layer.fresh(consumer).pipe(Layer.provide(quiet))), AsterClient)
        const got = yield* blobs.download(name)
        assert.deepStrictEqual(got.failures, [])
        assert.isTrue(content.equals(yield* blobs.read(hash)))
        if (got.format === "hashSeq") {
          const entries = yield* blobs.collection(got.hash)
          assert.deepStrictEqual(
            entries.map((entry) => entry.name),
            ["one", "two"]
          )
          assert.strictEqual(entries[0]?.hash, hash)
        }
      }
    })
  )
})
