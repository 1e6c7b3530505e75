import { assert, describe, it } from "@effect/vitest"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
import * as ChunkRanges from "@aster-effect/iroh-blobs/ChunkRanges"
import * as ChunkRangesSeq from "@aster-effect/iroh-blobs/ChunkRangesSeq"
import { HashSeq } from "@aster-effect/iroh-blobs/HashSeq"
import { hashBlob } from "../../../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import * as Request from "@aster-effect/iroh-blobs/Request"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Router from "@aster-effect/iroh/Router"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { ask } from "../../iroh-blobs/Peers.ts"
import { blobOf, contentOf, hex, rangesOf, respond, sha256, unhex, vectors } from "../../iroh-blobs/Vectors.ts"
import { downloaded, rustNode } from "../../peers/RustNode.ts"

const node = IrohNode.layer({ bindAddress: "127.0.0.1:0", relayMode: "disabled" })
const live = Blobs.layer.pipe(Layer.provideMerge(Layer.mergeAll(BlobStore.layerMemory(), node)))

/** Runs a test between a node of ours that serves and allows pushes, and a Rust node. */
const withBoth = <A, E>(
  body: (rust: Effect.Success<typeof rustNode>) => Effect.Effect<A, E, Blobs | BlobStore | IrohNode>
) =>
  Effect.gen(function* () {
    yield* Router.serve({ protocols: [BlobsProtocol.protocol()], gracePeriod: "1 second" })
    return yield* body(yield* rustNode)
  }).pipe(Effect.scoped, Effect.provide(live))

const hashOf = (bytes: Uint8Array) => BlobHash.fromBytes(hashBlob(bytes).hash)
const sizes = [0, 1, 1023, 1024, 1025, 16_383, 16_384, 16_385, 1_048_576, 17 * 1_048_576]

/** The bare protocol with a Rust node, as a peer that `ask` can ask. */
const asked = Effect.fnUntraced(function* (ticket: string) {
  const self = yield* IrohNode
  const { addr } = BlobTicket.decode(ticket)
  const peer = { node: self, addr } as Parameters<typeof ask>[0]
  return (bytes: Uint8Array, finish = true) => ask(peer, peer, bytes, finish)
})

describe("with a Rust node", () => {
  it.live("blobs of every size come in, and again cost nothing", () =>
    withBoth(
      Effect.fnUntraced(function* (rust) {
        const blobs = yield* Blobs
        for (const size of sizes) {
          const content = blobOf(size, 6)
          const hash = BlobHash.parse(yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from(content))))
          const ticket = rust.blobs.createTicket(hash)
          assert.strictEqual(BlobTicket.encode(BlobTicket.decode(ticket)), ticket)
          assert.strictEqual((yield* blobs.download(ticket)).received, size)
          assert.isTrue(Buffer.from(content).equals(yield* blobs.read(hash)), `${size}`)
          assert.strictEqual((yield* blobs.download(ticket)).received, 0)
        }
      })
    )
  )

  it.live("blobs of every size go out", () =>
    withBoth(
      Effect.fnUntraced(function* (rust) {
        const blobs = yield* Blobs
        for (const size of sizes) {
          const content = blobOf(size, 6)
          const { hash } = yield* blobs.addBytes(content)
          const ticket = yield* blobs.share(hash)
          assert.isTrue(Buffer.from(content).equals(yield* downloaded(rust.blobs, ticket)), `${size}`)
        }
      })
    )
  )

  it.live("every recorded request still gets its recorded answer", () =>
    withBoth(
      Effect.fnUntraced(function* (rust) {
        const add = (bytes: Uint8Array) => Effect.promise(() => rust.blobs.addBytes(Buffer.from(bytes)))
        for (const { hash, k, n } of vectors.blobs) assert.strictEqual(yield* add(blobOf(n, k)), hash)
        yield* add(unhex(vectors.hashSeq.bytesHex))
        for (const { entries, metaHex, rootHex } of vectors.collections) {
          for (const bytes of [unhex(metaHex), unhex(rootHex), ...entries.map(([, rule]) => contentOf(rule))])
            yield* add(bytes)
        }
        const request = yield* asked(rust.blobs.createTicket(vectors.blobs[1]!.hash))
        for (const { requestHex, responseLength, responseSha256 } of [
          ...vectors.get,
          ...vectors.hashSeq.requests,
          ...vectors.getMany,
          ...vectors.collections
        ]) {
          if (requestHex === undefined || responseSha256 === undefined) continue
          const { bytes, end } = yield* request(unhex(requestHex))
          assert.deepStrictEqual(
            [end, bytes.length, sha256(bytes)],
            ["finished", responseLength, responseSha256],
            requestHex
          )
        }
        for (const { firstMessageHex, requestHex } of vectors.observe) {
          if (requestHex !== undefined)
            assert.strictEqual(hex((yield* request(unhex(requestHex))).bytes), firstMessageHex)
        }
        for (const { note, outcome, requestHex } of vectors.errors) {
          const { bytes, end } = yield* request(unhex(requestHex), !note.includes("left open"))
          if (outcome.startsWith("stream reset")) assert.strictEqual(end, "reset 3", note)
          else if (outcome.startsWith("no answer")) assert.deepStrictEqual([end, bytes.length], ["open", 0], note)
          else assert.deepStrictEqual([end, bytes.length], ["finished", Number(/after (\d+)/.exec(outcome)![1])], note)
        }
      })
    )
  )

  it.live("parts of a blob, then the rest", () =>
    withBoth(
      Effect.fnUntraced(function* (rust) {
        const blobs = yield* Blobs
        const content = blobOf(1_000_000, 4)
        const hash = BlobHash.parse(yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from(content))))
        const ticket = rust.blobs.createTicket(hash)
        const ranges = [{ end: 1 }, { start: 500_000, end: 600_000 }, { start: 999_999 }]
        const { received } = yield* blobs.download(ticket, { ranges, tag: false })
        assert.isBelow(received, 200_000)
        for (const range of ranges) {
          const part = content.subarray(range.start ?? 0, range.end)
          assert.isTrue(Buffer.from(part).equals(yield* blobs.read(hash, range)))
        }
        assert.strictEqual((yield* blobs.download(ticket)).received, 1_000_000 - received)
        assert.isTrue(Buffer.from(content).equals(yield* blobs.read(hash)))
      })
    )
  )

  it.live("collections in both directions", () =>
    withBoth(
      Effect.fnUntraced(function* (rust) {
        const blobs = yield* Blobs
        const files = [0, 5, 20_000, 700_000].map((size) => [`dir/${size}`, Buffer.from(blobOf(size, 2))] as const)
        const hash = BlobHash.parse(yield* Effect.promise(() => rust.blobs.addCollection(files)))
        const ticket = rust.blobs.createCollectionTicket(hash)
        assert.strictEqual(BlobTicket.decode(ticket).format, "hashSeq")
        yield* blobs.download(ticket)
        const entries = yield* blobs.collection(hash)
        assert.deepStrictEqual(
          entries.map(({ name }) => name),
          files.map(([name]) => name)
        )
        for (const [i, entry] of entries.entries()) assert.isTrue(files[i]![1].equals(yield* blobs.read(entry.hash)))
        assert.strictEqual((yield* blobs.addCollection(entries)).hash, hash, "ours is the same collection")

        const mine = [{ name: "mine", hash: (yield* blobs.addBytes(blobOf(50_000, 9))).hash }]
        const own = yield* blobs.addCollection(mine)
        // This binding asks for no children, even with a ticket for a hash sequence: so one by one.
        const root = yield* blobs.read(own.hash)
        for (const hash of [own.hash, ...new HashSeq(root)]) {
          const ticket = yield* blobs.share(hash)
          yield* downloaded(rust.blobs, ticket)
        }
        const listed = yield* Effect.promise(() => rust.blobs.listCollection(own.hash))
        assert.deepStrictEqual(
          listed.map(({ hash, name, size }) => ({ hash, name, size })),
          [{ ...mine[0]!, size: 50_000 }]
        )
      })
    )
  )

  it.live("many at a time in both directions", () =>
    withBoth(
      Effect.fnUntraced(function* (rust) {
        const blobs = yield* Blobs
        const one = Effect.fnUntraced(function* (i: number) {
          const [theirs, ours] = [blobOf(10_000 + i * 9000, i), blobOf(20_000 + i * 7000, i)]
          const hash = BlobHash.parse(yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from(theirs))))
          yield* blobs.download(rust.blobs.createTicket(hash))
          assert.isTrue(Buffer.from(theirs).equals(yield* blobs.read(hash)))
          const ticket = yield* blobs.share((yield* blobs.addBytes(ours)).hash)
          assert.isTrue(Buffer.from(ours).equals(yield* downloaded(rust.blobs, ticket)))
        })
        yield* Effect.forEach(
          Array.from({ length: 40 }, (_, i) => i),
          one,
          { concurrency: 20, discard: true }
        )
      })
    )
  )

  it.live("what we push is stored, and observed while it grows", () =>
    withBoth(
      Effect.fnUntraced(function* (rust) {
        const blobs = yield* Blobs
        const content = blobOf(300_000, 3)
        const { hash } = yield* blobs.addBytes(content)
        const any = yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from("any")))
        const { addr } = BlobTicket.decode(rust.blobs.createTicket(any))
        const seen = yield* blobs.observe(hash, addr).pipe(
          Stream.tap(({ ranges }) =>
            ranges.length === 0 ? Effect.forkDetach(blobs.push({ hash, format: "raw" }, addr)) : Effect.void
          ),
          Stream.takeUntil(({ ranges }) => ranges.length === 1 && ranges[0] === 0),
          Stream.runCollect
        )
        assert.deepStrictEqual(seen.at(-1), { size: 300_000, ranges: [0] })
        assert.isTrue(Buffer.from(content).equals(yield* Effect.promise(() => rust.blobs.read(hash))))
        const parts = HashSeq.of([hash, (yield* blobs.addBytes(blobOf(20, 20))).hash])
        const seq = yield* blobs.addBytes(parts.bytes, { format: "hashSeq" })
        yield* blobs.push({ hash: seq.hash, format: "hashSeq" }, addr)
        yield* blobs.observe(parts.at(1), addr).pipe(
          Stream.takeUntil(({ ranges }) => ranges.length === 1),
          Stream.runDrain
        )
        assert.include(yield* Effect.promise(() => rust.blobs.blobStatus(seq.hash)), "Complete")
      })
    )
  )

  it.live("a Rust getter with half a blob asks for the other half only", () => {
    const served: Array<BlobsProtocol.ServedRequest> = []
    const protocol = BlobsProtocol.protocol({ onServed: (request) => Effect.sync(() => served.push(request)) })
    return Effect.gen(function* () {
      const blobs = yield* Blobs
      yield* Router.serve({ protocols: [protocol], gracePeriod: "1 second" })
      const rust = yield* rustNode
      const content = blobOf(300_000, 8)
      const { hash } = yield* blobs.addBytes(content)
      const any = yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from("any")))
      const request = yield* asked(rust.blobs.createTicket(any))
      // Two stretches with a gap between them, and none of the end.
      const there = [0, 64, 128, 192]
      const header = Request.encode({ _tag: "Push", hash, ranges: ChunkRangesSeq.single(there) })
      yield* request(Buffer.concat([header, respond(content, there).bytes]))
      const { addr } = BlobTicket.decode(rust.blobs.createTicket(any))
      yield* blobs.observe(hash, addr).pipe(
        Stream.takeUntil(({ ranges }) => ChunkRanges.equal(ranges, there)),
        Stream.runDrain
      )
      const ticket = yield* blobs.share(hash)
      const got = yield* downloaded(rust.blobs, ticket)
      assert.isTrue(Buffer.from(content).equals(got))
      const gets = served.flatMap(({ request }) => (request?._tag === "Get" ? [request] : []))
      assert.deepStrictEqual(
        gets.map(({ ranges }) => ChunkRangesSeq.at(ranges, 0)),
        [[64, 128, 192]]
      )
      assert.isBelow(served[0]!.sent, 300_000 - 120 * 1024)
    }).pipe(Effect.scoped, Effect.provide(live))
  })

  it.live("several blobs at once, also those after one that the Rust node lacks", () =>
    withBoth(
      Effect.fnUntraced(function* (rust) {
        const blobs = yield* Blobs
        const contents = Array.from({ length: 6 }, (_, i) => blobOf(1 + i * 40_000, i))
        const hashes = contents.map((content) => BlobHash.fromBytes(hashBlob(content).hash))
        for (const [i, content] of contents.entries())
          if (i !== 2) yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from(content)))
        const { addr } = BlobTicket.decode(rust.blobs.createTicket(hashes[0]!))
        const failed = yield* Effect.flip(blobs.downloadMany(hashes, { from: [addr] }))
        assert.isTrue(failed._tag === "DownloadFailed" && failed.hash === hashes[2])
        for (const [i, content] of contents.entries())
          if (i !== 2) assert.isTrue(Buffer.from(content).equals(yield* blobs.read(hashes[i]!)))
        assert.isFalse(yield* blobs.has(hashes[2]!))
        // The same of a hash sequence.
        const seq = HashSeq.of([hashes[2]!, ...Array.from({ length: 3 }, (_, i) => hashOf(blobOf(30_000 + i, 30)))])
        for (let i = 0; i < 3; i++)
          yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from(blobOf(30_000 + i, 30))))
        const root = BlobHash.parse(yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from(seq.bytes))))
        yield* Effect.flip(blobs.download({ hash: root, format: "hashSeq" }, { from: [addr] }))
        for (let i = 1; i <= 3; i++) assert.isTrue(yield* blobs.has(seq.at(i)))
      })
    )
  )

  it.live("a Rust provider with half a blob gives its half", () =>
    withBoth(
      Effect.fnUntraced(function* (rust) {
        const blobs = yield* Blobs
        const content = blobOf(300_000, 5)
        const { hash: bytes } = hashBlob(content)
        const hash = BlobHash.fromBytes(bytes)
        const any = yield* Effect.promise(() => rust.blobs.addBytes(Buffer.from("any")))
        const ticket = rust.blobs.createTicket(any)
        const request = yield* asked(ticket)
        const half = rangesOf(["0", "160"])
        const header = Request.encode({ _tag: "Push", hash, ranges: ChunkRangesSeq.single([...half, 288]) })
        yield* request(Buffer.concat([header, respond(content, [...half, 288]).bytes]))
        const { addr } = BlobTicket.decode(ticket)
        yield* blobs.observe(hash, addr).pipe(
          Stream.takeUntil(({ ranges }) => ranges.length >= 3),
          Stream.runDrain
        )
        const failed = yield* Effect.flip(blobs.download({ hash, format: "raw" }, { from: [addr] }))
        assert.strictEqual(failed._tag, "DownloadFailed")
        // What it has can be had by asking for it.
        yield* blobs.download({ hash, format: "raw" }, { from: [addr], ranges: [{ end: 160 * 1024 }], tag: false })
        assert.isTrue(Buffer.from(content.subarray(0, 163_840)).equals(yield* blobs.read(hash, { end: 163_840 })))
      })
    )
  )
})
