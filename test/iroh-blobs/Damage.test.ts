import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { HashSeq } from "@aster-effect/iroh-blobs/HashSeq"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { inNetwork, makePeer, type Peer } from "./Peers.ts"
import { blobOf } from "./Vectors.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "blobs-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true, force: true }))
)

/** A peer with a store in a directory. */
const onDisk = Effect.gen(function* () {
  const path = yield* temporary
  const peer = yield* makePeer({ store: BlobStore.layer({ directory: path }) })
  return { ...peer, path, file: (hash: string, extension = "data") => join(path, "data", `${hash}.${extension}`) }
})

const overwrite = (file: string, at: number, text = "damage") => {
  const handle = fs.openSync(file, "r+")
  fs.writeSync(handle, text, at)
  fs.closeSync(handle)
}

const same = (actual: Uint8Array, expected: Uint8Array) => assert.isTrue(Buffer.from(expected).equals(actual))

const blob = blobOf(300_000, 5)
const hash = BlobHash.of(blob)
const raw = { hash, format: "raw" } as const

/** Ways in which a file goes bad, and the chunks that are left. */
const damages: ReadonlyArray<readonly [string, (at: Effect.Success<typeof onDisk>) => void, ReadonlyArray<number>]> = [
  ["changed", ({ file }) => overwrite(file(hash), 50_000), [0, 48, 64]],
  ["truncated", ({ file }) => fs.truncateSync(file(hash), 100_000), [0, 96]],
  ["emptied", ({ file }) => fs.truncateSync(file(hash), 0), []],
  ["removed", ({ file }) => fs.rmSync(file(hash)), []]
]

describe("a damaged blob", () => {
  for (const [how, damage, left] of damages) {
    it.live(`that was ${how} is read, streamed and exported by nobody, and counts as missing`, () =>
      Effect.gen(function* () {
        for (const use of ["read", "stream", "export", "verify"] as const) {
          const at = yield* onDisk
          yield* at.blobs.addBytes(blob, { tag: "kept" })
          damage(at)
          const target = join(at.path, "..", `${use}-${how}`)
          const uses = {
            read: at.blobs.read(hash),
            stream: Stream.runDrain(at.blobs.stream(hash)),
            export: at.blobs.export(hash, target),
            verify: at.blobs.verify(hash).pipe(Effect.andThen(at.blobs.read(hash)))
          }
          const error = yield* Effect.flip(Effect.asVoid<unknown, { readonly _tag: string }, never>(uses[use]))
          assert.include(["BlobDamaged", "BlobNotFound"], error._tag)
          assert.isFalse(fs.existsSync(target))
          assert.isFalse(yield* at.blobs.has(hash))
          // What a read came by is known to be damaged; looking at everything finds all of it.
          assert.deepStrictEqual((yield* at.blobs.verify(hash)).ranges, left)
        }
      }).pipe(inNetwork)
    )

    it.live(`that was ${how} is repaired by adding it again, and by downloading it`, () =>
      Effect.gen(function* () {
        const source = yield* makePeer()
        yield* source.blobs.addBytes(blob)
        const repairs = {
          add: (at: Peer) => at.blobs.addBytes(blob),
          download: (at: Peer) => at.blobs.download(raw, { from: [source.addr] }),
          downloadMany: (at: Peer) => at.blobs.downloadMany([hash], { from: [source.addr] })
        }
        for (const repair of Object.values(repairs)) {
          const at = yield* onDisk
          yield* at.blobs.addBytes(blob)
          damage(at)
          yield* repair(at)
          same(yield* at.blobs.read(hash), blob)
          same(fs.readFileSync(at.file(hash)), blob)
          assert.deepStrictEqual((yield* at.blobs.verify(hash)).ranges, [0])
        }
        // No more is fetched than what is damaged.
        const at = yield* onDisk
        yield* at.blobs.addBytes(blob)
        overwrite(at.file(hash), 50_000)
        assert.strictEqual((yield* at.blobs.download(raw, { from: [source.addr] })).received, 16_384)
      }).pipe(inNetwork)
    )
  }

  it.live("whose outboard alone is damaged is whole, and gets a new one", () =>
    Effect.gen(function* () {
      for (const bad of [(file: string) => overwrite(file, 0), (file: string) => fs.rmSync(file)]) {
        const at = yield* onDisk
        yield* at.blobs.addBytes(blob)
        bad(at.file(hash, "obao4"))
        assert.deepStrictEqual((yield* at.blobs.download(raw, { from: [] })).received, 0)
        same(yield* at.blobs.read(hash), blob)
      }
    }).pipe(inNetwork)
  )

  it.live("is not kept by a download that goes on", () =>
    Effect.gen(function* () {
      const source = yield* makePeer()
      yield* source.blobs.addBytes(blob)
      const at = yield* onDisk
      yield* at.store.protect(raw)
      yield* at.blobs.download(raw, { from: [source.addr], ranges: [{ end: 160_000 }], tag: false })
      overwrite(at.file(hash), 20_000)
      const { received } = yield* at.blobs.download(raw, { from: [source.addr] })
      // All groups but those that were there, and the one that was damaged.
      assert.strictEqual(received, 300_000 - Math.ceil(160_000 / 16_384) * 16_384 + 16_384)
      same(yield* at.blobs.read(hash), blob)
      same(fs.readFileSync(at.file(hash)), blob)
    }).pipe(inNetwork)
  )

  it.live("is not served, and its getters hear what is left", () =>
    Effect.gen(function* () {
      const at = yield* onDisk
      const getter = yield* makePeer()
      yield* at.blobs.addBytes(blob)
      overwrite(at.file(hash), 50_000)
      const failed = yield* Effect.flip(getter.blobs.download(raw, { from: [at.addr] }))
      assert.strictEqual(failed._tag, "DownloadFailed")
      if (failed._tag === "DownloadFailed") assert.strictEqual(failed.failures[0]?.reason._tag, "NotFound")
      assert.isFalse(yield* at.blobs.has(hash))
      // All that was good has arrived.
      assert.deepStrictEqual((yield* getter.store.bitfield(hash)).ranges, [0, 48, 64])
      yield* at.blobs.addBytes(blob)
      assert.strictEqual((yield* getter.blobs.download(raw, { from: [at.addr] })).received, 16_384)
    }).pipe(inNetwork)
  )

  it.live("is found in the database as well", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      const small = blobOf(5000, 1)
      const smallHash = BlobHash.of(small)
      const open = makePeer({ store: BlobStore.layer({ directory: path }) })
      yield* Effect.scoped(Effect.flatMap(open, ({ blobs }) => blobs.addBytes(small)))
      const db = new DatabaseSync(join(path, "blobs.db"))
      db.prepare("UPDATE blobs SET data = ? WHERE hash = ?").run(blobOf(5000, 2), smallHash)
      db.close()
      const { blobs } = yield* open
      assert.strictEqual((yield* Effect.flip(blobs.read(smallHash)))._tag, "BlobDamaged")
      yield* blobs.addBytes(small)
      same(yield* blobs.read(smallHash), small)
    }).pipe(inNetwork)
  )
})

describe("collecting garbage", () => {
  const content = HashSeq.of(Array.from({ length: 700 }, (_, i) => BlobHash.of(blobOf(40, i))))
  const root = BlobHash.of(content.bytes)

  const filled = Effect.gen(function* () {
    const at = yield* onDisk
    yield* Effect.forEach(
      Array.from({ length: 700 }, (_, i) => blobOf(40, i)),
      (child) => at.blobs.addBytes(child, { tag: false }),
      { concurrency: "unbounded", discard: true }
    )
    yield* at.blobs.addBytes(content.bytes, { tag: "precious", format: "hashSeq" })
    yield* at.blobs.addBytes(blobOf(17_000, 1), { tag: false })
    return at
  })
  const count = (at: Peer) => Effect.map(Stream.runCollect(at.blobs.list), (all) => all.length)

  it.live("removes nothing while it is not known what a tag keeps, and names it", () =>
    Effect.gen(function* () {
      const ways: ReadonlyArray<readonly [(file: string) => void, (file: string) => void]> = [
        [(file) => fs.renameSync(file, `${file}.away`), (file) => fs.renameSync(`${file}.away`, file)],
        [(file) => fs.truncateSync(file, 1000), (file) => fs.writeFileSync(file, content.bytes)],
        [(file) => overwrite(file, 500, "x".repeat(18_000)), (file) => fs.writeFileSync(file, content.bytes)],
        [(file) => overwrite(file, 20_000), (file) => fs.writeFileSync(file, content.bytes)]
      ]
      for (const [damage, repair] of ways) {
        const at = yield* filled
        const before = yield* count(at)
        const rootFile = at.file(root)
        damage(rootFile)
        // The second time the damage is known already, and still no reason to forget what was listed.
        for (let time = 0; time < 2; time++) {
          const error = yield* Effect.flip(at.blobs.collectGarbage)
          assert.strictEqual(error._tag, "UnreadableRoot")
          assert.include(error.message, root)
          assert.include(error.message, "precious")
          assert.strictEqual((yield* Effect.flip(at.blobs.remove([hash])))._tag, "UnreadableRoot")
          assert.strictEqual(yield* count(at), before)
        }
        repair(rootFile)
        yield* at.blobs.verify(root)
        assert.deepInclude(yield* at.blobs.collectGarbage, { removed: 1 })
        for (const child of new HashSeq(content.bytes)) assert.isTrue(yield* at.blobs.has(child))
      }
    }).pipe(inNetwork)
  )

  it.live("removes those that are asked for and kept by nothing, and no others", () =>
    Effect.gen(function* () {
      const at = yield* filled
      const other = yield* at.blobs.addBytes(blobOf(18_000, 1), { tag: false })
      const child = BlobHash.of(blobOf(40, 3))
      const garbage = BlobHash.of(blobOf(17_000, 1))
      assert.deepStrictEqual(yield* at.blobs.remove([child, root, garbage, BlobHash.of(blobOf(1, 1))]), [garbage])
      assert.isTrue(yield* at.blobs.has(other.hash))
      assert.isTrue(yield* at.blobs.has(child))
      assert.isFalse(fs.existsSync(at.file(garbage)))
      assert.deepStrictEqual(fs.readdirSync(join(at.path, "temp")), [])
      assert.isTrue(Bitfield.isComplete(yield* at.store.bitfield(root)))
    }).pipe(inNetwork)
  )

  it.live("of many hashes lets others have the thread", () =>
    Effect.gen(function* () {
      const store = yield* BlobStore
      const bytes = new Uint8Array(32 * 100_000)
      new DataView(bytes.buffer).setUint32(0, 1)
      for (let i = 0; i < 100_000; i++) new DataView(bytes.buffer).setUint32(i * 32, i)
      const writer = yield* store.create
      yield* writer.write(bytes)
      yield* writer.finish({ tag: "seq", format: "hashSeq" })
      let turns = 0
      const ticking = yield* Effect.forkChild(
        Effect.forever(Effect.sleep(1).pipe(Effect.andThen(Effect.sync(() => turns++))))
      )
      yield* store.collectGarbage
      assert.isAbove(turns, 20)
      ticking.interruptUnsafe()
    }).pipe(Effect.scoped, Effect.provide(BlobStore.layerMemory()))
  )
})
