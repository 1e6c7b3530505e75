/** Blobs on the node of a server and of its consumers, on a network in memory. */
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
import type { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import type { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { access } from "../../examples/model-weights/access.ts"
import {
  consume,
  dial,
  directory,
  issue,
  keyA,
  keyB,
  memoryNode,
  nonce,
  Note,
  root,
  scenario,
  serve,
  settings,
  Vault
} from "../admission/Deployment.ts"
import { blobOf } from "../iroh-blobs/Vectors.ts"

const content = blobOf(1_000_000, 3)
const same = (a: Uint8Array, b: Uint8Array) => assert.isTrue(Buffer.from(a).equals(b))

const enrolled = Effect.fnUntraced(function* (server: { readonly address: string }, seconds?: number) {
  const own = yield* memoryNode()
  return yield* consume(own, server, { credential: yield* issue({ to: own, seconds }) })
})

describe("a producer's blobs", () => {
  scenario("are had by hash and by ticket, from the node that is called", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const { hash } = yield* server.blobs.addBytes(content)
      const ticket = yield* server.blobs.share(hash)
      assert.strictEqual(BlobTicket.decode(ticket).addr.endpointId, server.endpointId)
      for (const name of [hash, ticket]) {
        const consumer = yield* enrolled(server)
        assert.strictEqual((yield* (yield* consumer.client(Vault)).whoami(new Note({}))).text, "nobody")
        const { failures, received } = yield* consumer.blobs.download(name)
        assert.deepStrictEqual([failures, received], [[], content.length])
        same(content, yield* consumer.blobs.read(hash))
      }
    })
  )

  scenario("come as collections, and are observed", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const { hash } = yield* server.blobs.addBytes(content)
      const all = yield* server.blobs.addCollection([{ name: "weights.bin", hash }])
      const consumer = yield* enrolled(server)
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(consumer.blobs.observe(hash), 1)), [
        { size: content.length, ranges: [0] }
      ])
      yield* consumer.blobs.download(`s${all.hash}`)
      assert.deepStrictEqual(yield* consumer.blobs.collection(all.hash), [{ name: "weights.bin", hash }])
      same(content, yield* consumer.blobs.read(hash))
    })
  )

  scenario("that it does not have are missing at the peer that was asked", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const consumer = yield* enrolled(server)
      const { hash } = yield* consumer.blobs.addBytes(content, { tag: false })
      const other = yield* enrolled(server)
      const error = yield* Effect.flip(other.blobs.download(hash))
      assert.strictEqual(error._tag, "DownloadFailed")
      if (error._tag !== "DownloadFailed") return
      assert.deepStrictEqual(
        error.failures.map(({ peer, reason }) => [peer, reason._tag]),
        [[server.endpointId, "NotFound"]]
      )
    })
  )
})

describe("the gate stands before blobs", () => {
  scenario("who is not admitted is closed out with 403", () =>
    Effect.gen(function* () {
      const served: Array<unknown> = []
      const server = yield* serve(yield* memoryNode(), {
        blobs: { onServed: (request) => Effect.sync(() => served.push(request)) }
      })
      const { hash } = yield* server.blobs.addBytes(content)
      const connection = yield* dial(yield* memoryNode(), server, BlobsProtocol.ALPN)
      assert.deepStrictEqual(yield* connection.closed, { _tag: "Peer", code: 403, reason: "not admitted" })
      const consumer = yield* enrolled(server)
      yield* consumer.blobs.download(hash)
      assert.lengthOf(served, 1)
    })
  )

  scenario("a transfer ends with the admission of its peer, and what had arrived stays", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const large = blobOf(8_000_000, 5)
      const { hash } = yield* server.blobs.addBytes(large)
      const own = yield* memoryNode()
      const consumer = yield* consume(own, server, { credential: yield* issue({ to: own }) })
      const onProgress = () => server.admittedPeers.revoke(own.endpointId)
      const error = yield* Effect.flip(consumer.blobs.download(hash, { onProgress: () => Effect.asVoid(onProgress()) }))
      assert.include(error.message, "ask it for admission first")
      const status = yield* consumer.blobs.status(hash)
      assert.strictEqual(status._tag, "Partial")
      yield* server.admittedPeers.reinstate(own.endpointId)
      const { received } = yield* consumer.blobs.download(hash)
      assert.isBelow(received, large.length)
      same(large, yield* consumer.blobs.read(hash))
    })
  )

  const restarted = Effect.fnUntraced(function* (nonces?: string, secretKey = keyA) {
    const first = yield* Scope.make()
    // Closed after the consumer, or it would wait for the consumer to go.
    const second = yield* Scope.fork(yield* Effect.scope)
    const start = Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode({ secretKey }), {
        blobs: { authorizePush: () => Effect.succeed("allowed") }
      })
      return { server, hash: (yield* server.blobs.addBytes(content)).hash }
    })
    const { hash, server } = yield* Scope.provide(start, first)
    const own = yield* memoryNode()
    const consumer = yield* consume(own, server, { credential: yield* issue({ to: own, nonce: nonces }) })
    yield* (yield* consumer.client(Vault)).whoami(new Note({}))
    const closing = yield* Effect.forkChild(Scope.close(first, Exit.void))
    yield* TestClock.adjust("2 seconds")
    yield* Fiber.join(closing)
    const again = yield* Scope.provide(start, second)
    return { consumer, own, hash, server: again.server }
  })

  scenario("a producer that was started anew is asked for admission once more, once for all", () =>
    Effect.gen(function* () {
      const { consumer, hash, server } = yield* restarted()
      const hashes = [hash]
      for (let i = 0; i < 20; i++) hashes.push((yield* server.blobs.addBytes(blobOf(50_000, i))).hash)
      // More admissions than ten in a short time would be turned away.
      yield* Effect.forEach(hashes, (one) => consumer.blobs.download(one), { concurrency: "unbounded", discard: true })
      same(content, yield* consumer.blobs.read(hash))
    })
  )

  scenario("for observing and for pushing as well", () =>
    Effect.gen(function* () {
      const observing = yield* restarted()
      assert.lengthOf(yield* Stream.runCollect(Stream.take(observing.consumer.blobs.observe(observing.hash), 1)), 1)
      const pushing = yield* restarted(undefined, keyB)
      const { hash } = yield* pushing.consumer.blobs.addBytes(blobOf(2000, 7))
      yield* pushing.consumer.blobs.push({ hash, format: "raw" })
      assert.isTrue(yield* pushing.server.blobs.has(hash))
    })
  )

  scenario("but not with a one-time token", () =>
    Effect.gen(function* () {
      const { consumer, hash } = yield* restarted(nonce(3))
      const error = yield* Effect.flip(consumer.blobs.download(hash))
      assert.include(error.message, "ask it for admission first")
    })
  )
})

describe("blobs for some roles", () => {
  scenario("are fetched, and pushed, by those who hold them", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { blobs: access })
      const { hash } = yield* server.blobs.addBytes(content)
      const holding = Effect.fnUntraced(function* (role: string | undefined) {
        const own = yield* memoryNode()
        return yield* consume(own, server, { credential: yield* issue({ to: own, role }) })
      })
      const [anybody, trainer, release] = [
        yield* holding(undefined),
        yield* holding("trainer"),
        yield* holding("release")
      ]
      const refused = yield* Effect.flip(anybody.blobs.download(hash))
      assert.strictEqual(refused._tag === "DownloadFailed" && refused.failures[0]?.reason._tag, "Refused")
      yield* trainer.blobs.download(hash)
      yield* release.blobs.download(hash)

      for (const pushing of [anybody, trainer]) {
        const added = yield* pushing.blobs.addBytes(blobOf(2000, 1))
        const error = yield* Effect.flip(pushing.blobs.push({ hash: added.hash, format: "raw" }))
        assert.strictEqual(error._tag === "TransferError" && error.reason._tag, "Refused")
      }
      const added = yield* release.blobs.addBytes(blobOf(3000, 1))
      const both = yield* release.blobs.addCollection([{ name: "new", hash: added.hash }])
      yield* release.blobs.push({ hash: both.hash, format: "hashSeq" })
      const { endpointId } = release.node
      const name = `pushed/${endpointId}/${both.hash}`
      const tag = yield* Effect.repeat(server.blobs.tags.get(name), { until: Option.isSome })
      assert.deepStrictEqual(tag, Option.some({ name, hash: both.hash, format: "hashSeq" as const }))
      yield* server.blobs.collectGarbage
      same(blobOf(3000, 1), yield* server.blobs.read(added.hash))
      assert.lengthOf(yield* Stream.runCollect(server.blobs.tags.list({ prefix: "pushed/" })), 1)
    })
  )

  scenario("and the functions have their say too", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const say = (verdict: "allowed" | "rateLimited") => (peer: string, request: { readonly _tag: string }) =>
        Effect.sync(() => {
          asked.push(`${request._tag} of ${peer}`)
          return verdict
        })
      const server = yield* serve(yield* memoryNode(), {
        blobs: { ...access, authorize: say("rateLimited"), authorizePush: say("allowed") }
      })
      const { hash } = yield* server.blobs.addBytes(content)
      const own = yield* memoryNode()
      const release = yield* consume(own, server, { credential: yield* issue({ to: own, role: "release" }) })
      const limited = yield* Effect.flip(release.blobs.download(hash))
      assert.strictEqual(limited._tag === "DownloadFailed" && limited.failures[0]?.reason._tag, "RateLimited")
      const added = yield* release.blobs.addBytes(blobOf(2000, 1))
      yield* release.blobs.push({ hash: added.hash, format: "raw" })
      const other = yield* enrolled(server)
      yield* other.blobs.addBytes(blobOf(2000, 1))
      yield* Effect.flip(other.blobs.push({ hash: added.hash, format: "raw" }))
      assert.deepStrictEqual(asked, [`Get of ${own.endpointId}`, `Push of ${own.endpointId}`])
    })
  )
})

describe("pushing to a producer", () => {
  scenario("is refused unless it is allowed", () =>
    Effect.gen(function* () {
      const closed = yield* serve(yield* memoryNode())
      const consumer = yield* enrolled(closed)
      const { hash } = yield* consumer.blobs.addBytes(content)
      const error = yield* Effect.flip(consumer.blobs.push({ hash, format: "raw" }))
      assert.strictEqual(error._tag === "TransferError" && error.reason._tag, "Refused")
      assert.isFalse(yield* closed.blobs.has(hash))

      const open = yield* serve(yield* memoryNode(), { blobs: { authorizePush: () => Effect.succeed("allowed") } })
      const welcome = yield* enrolled(open)
      yield* welcome.blobs.addBytes(content)
      yield* welcome.blobs.push({ hash, format: "raw" })
      same(content, yield* open.blobs.read(hash))
    })
  )
})

describe("a producer's blobs with a storage path", () => {
  const at = (storagePath: string) => settings({ rootPubkey: root.publicKey, storagePath })
  const session = <A, E>(
    storagePath: string,
    body: (server: AsterServer["Service"]) => Effect.Effect<A, E, MemoryNetwork | Scope.Scope>
  ) =>
    Effect.flatMap(memoryNode({ secretKey: keyA }), (node) =>
      Effect.flatMap(serve(node, { config: at(storagePath), publish: false }), body)
    ).pipe(Effect.scoped)

  scenario("are there after a restart, and nothing is before they are used", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const place = join(path, "blobs")
      yield* session(path, (server) => Effect.flatMap(enrolled(server), (c) => c.client(Vault)))
      assert.isFalse(existsSync(place))
      const { hash } = yield* session(path, (server) => server.blobs.addBytes(content, { tag: "weights" }))
      assert.isTrue(existsSync(place))
      yield* session(path, (server) =>
        Effect.gen(function* () {
          // The first to need them is the consumer.
          const consumer = yield* enrolled(server)
          yield* consumer.blobs.download(hash)
          same(content, yield* consumer.blobs.read(hash))
          assert.deepStrictEqual(
            (yield* Stream.runCollect(server.blobs.tags.list())).map(({ name }) => name),
            ["weights"]
          )
        })
      )
    })
  )

  scenario("are of one store at a time, or of one that is shared", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const one = yield* serve(yield* memoryNode(), { config: at(path) })
      const two = yield* serve(yield* memoryNode(), { config: at(path) })
      const { hash } = yield* one.blobs.addBytes(content)
      const error = yield* Effect.flip(two.blobs.has(hash))
      assert.strictEqual(error._tag, "BlobStoreError")
      assert.include(error.message, "is open already, in another process or in this one")

      const store = yield* Effect.map(Layer.build(BlobStore.layerMemory()), Context.get(BlobStore))
      const shared = yield* Effect.provideService(
        Effect.gen(function* () {
          const server = yield* serve(yield* memoryNode(), { config: at(path) })
          return [server, yield* enrolled(server)] as const
        }),
        BlobStore,
        store
      )
      yield* shared[0].blobs.addBytes(content)
      assert.strictEqual((yield* shared[1].blobs.download(hash)).received, 0)
    })
  )
})

describe("a producer that drains", () => {
  scenario("lets transfers finish", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const { hash } = yield* server.blobs.addBytes(blobOf(8_000_000, 1))
      const consumer = yield* enrolled(server)
      let draining: Fiber.Fiber<void> | undefined
      const drain = Effect.suspend(() =>
        draining === undefined
          ? Effect.map(Effect.forkDetach(server.drain), (fiber) => void (draining = fiber))
          : Effect.void
      )
      const { received } = yield* consumer.blobs.download(hash, { onProgress: () => drain })
      assert.strictEqual(received, 8_000_000)
      assert.isDefined(draining)
    })
  )
})
