import { assert, describe, it } from "@effect/vitest"
import { BlobStoreUnavailable } from "@aster-effect/iroh-blobs/BlobError"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { BaoDecoder, type BaoItem } from "../../packages/iroh-blobs/src/proto/BaoDecoder.ts"
import { BaoEncoder } from "../../packages/iroh-blobs/src/proto/BaoEncoder.ts"
import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as ChunkRanges from "@aster-effect/iroh-blobs/ChunkRanges"
import { HashSeq } from "@aster-effect/iroh-blobs/HashSeq"
import { hashBlob } from "../../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { blobOf, receive, respond } from "./Vectors.ts"

const hashOf = (bytes: Uint8Array) => BlobHash.fromBytes(hashBlob(bytes).hash)
const raw = (hash: BlobHash.BlobHash) => ({ hash, format: "raw" }) as const

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "blobs-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const add = (bytes: Uint8Array, tag?: string, format: "raw" | "hashSeq" = "raw") =>
  BlobStore.use((store) =>
    Effect.gen(function* () {
      const writer = yield* store.create
      for (let at = 0; at < bytes.length; at += 50_000) yield* writer.write(bytes.subarray(at, at + 50_000))
      return yield* writer.finish({ tag, format })
    }).pipe(Effect.scoped)
  )

const readAll = (hash: BlobHash.BlobHash) =>
  BlobStore.use((store) =>
    Effect.gen(function* () {
      const blob = yield* store.open(hash)
      return yield* blob.read("data", 0, blob.bitfield().size)
    }).pipe(Effect.scoped)
  )

/** What a provider would send for `ranges`, decoded. */
const itemsOf = (
  blob: Uint8Array,
  ranges: ChunkRanges.ChunkRanges,
  present?: ChunkRanges.ChunkRanges
): ReadonlyArray<BaoItem> => {
  const { bytes, hash } = respond(blob, ranges, present)
  if (present === undefined) return receive(hash, ranges, bytes).items
  const decoder = new BaoDecoder(hash, ranges)
  const items: Array<BaoItem> = []
  for (let at = 0; decoder.wanted > 0 && at + decoder.wanted <= bytes.length;) {
    const end = at + decoder.wanted
    items.push(decoder.accept(bytes.subarray(at, end)))
    at = end
  }
  return items
}

const take = (blob: Uint8Array, ranges: ChunkRanges.ChunkRanges, claimed = blob.length) =>
  BlobStore.use((store) =>
    Effect.gen(function* () {
      const partial = yield* store.receive(hashOf(blob))
      yield* partial.append(claimed, itemsOf(blob, ranges))
      return partial.bitfield()
    }).pipe(Effect.scoped)
  )

const sizes = [0, 1, 1024, 16_384, 16_385, 100_000, 3_000_000]

const suite = (name: string, layer: Effect.Effect<Layer.Layer<BlobStore, unknown>, never, Scope.Scope>) => {
  const test = (title: string, body: Effect.Effect<void, unknown, BlobStore | Scope.Scope>) =>
    it.live(title, () => Effect.flatMap(layer, (store) => Effect.scoped(Effect.provide(body, store))))

  describe(name, () => {
    test(
      "keeps blobs of any size, once",
      Effect.gen(function* () {
        const store = yield* BlobStore
        for (const size of sizes) {
          const blob = blobOf(size, 4)
          const first = yield* add(blob, `blob-${size}`)
          assert.deepStrictEqual(first, { hash: hashOf(blob), size })
          assert.deepStrictEqual(yield* add(blob, `again-${size}`), first)
          assert.deepStrictEqual(yield* store.status(first.hash), { _tag: "Complete", size })
          assert.isTrue(Buffer.from(blob).equals(yield* readAll(first.hash)), `${size}`)
          const outboard = yield* store.open(first.hash).pipe(
            Effect.flatMap((reader) => reader.read("outboard", 0, hashBlob(blob).outboard.length)),
            Effect.scoped
          )
          if (size > 16_384) assert.isTrue(Buffer.from(outboard).equals(hashBlob(blob).outboard))
        }
        const listed = yield* Stream.runCollect(store.list)
        assert.sameMembers(
          listed.map(({ hash }) => hash),
          sizes.filter((size) => size > 0).map((size) => hashOf(blobOf(size, 4)))
        )
      })
    )

    test(
      "keeps what was written, whatever its memory is used for next",
      Effect.gen(function* () {
        const store = yield* BlobStore
        const blob = blobOf(700_000, 9)
        const writer = yield* store.create
        const room = Buffer.alloc(50_000)
        for (let at = 0; at < blob.length; at += room.length) {
          room.set(blob.subarray(at, at + room.length))
          yield* writer.write(room.subarray(0, Math.min(room.length, blob.length - at)))
        }
        const { hash } = yield* writer.finish()
        assert.strictEqual(hash, hashOf(blob))
        assert.isTrue(Buffer.from(blob).equals(yield* readAll(hash)))
      })
    )

    test(
      "takes nothing after a blob's end, nor names that have no UTF-8 form",
      Effect.gen(function* () {
        const store = yield* BlobStore
        const writer = yield* store.create
        yield* writer.write(blobOf(100, 1))
        yield* writer.finish({ tag: "auto" })
        assert.strictEqual((yield* Effect.flip(writer.write(blobOf(1, 1))))._tag, "BlobStoreError")
        assert.strictEqual((yield* Effect.flip(writer.finish()))._tag, "BlobStoreError")
        const content = raw(hashOf(blobOf(100, 1)))
        const refused = yield* Effect.flip(store.tags.set("a\ud800", content))
        assert.include(refused.message, "surrogate")
        const names = yield* Stream.runCollect(store.tags.list())
        assert.deepStrictEqual(
          names.map(({ name }) => name),
          ["auto"]
        )
        for (const [offset, length] of [
          [NaN, 1],
          [0, 0.5],
          [-1, 1],
          [0, 101]
        ] as const) {
          const blob = yield* store.open(content.hash)
          assert.strictEqual((yield* Effect.flip(blob.read("data", offset, length)))._tag, "BlobStoreError")
        }
      })
    )

    test(
      "takes a blob in pieces, in any order",
      Effect.gen(function* () {
        const store = yield* BlobStore
        const blob = blobOf(300_000, 1)
        const hash = hashOf(blob)
        assert.deepStrictEqual((yield* take(blob, [16, 64])).ranges, [16, 64])
        assert.deepStrictEqual(yield* store.status(hash), { _tag: "Partial", size: 300_000, sizeVerified: false })
        assert.deepStrictEqual((yield* take(blob, [160])).ranges, [16, 64, 160])
        assert.deepStrictEqual(yield* store.status(hash), { _tag: "Partial", size: 300_000, sizeVerified: true })
        assert.deepStrictEqual((yield* take(blob, [0, 200])).ranges, [0])
        assert.deepStrictEqual(yield* store.status(hash), { _tag: "Complete", size: 300_000 })
        assert.isTrue(Buffer.from(blob).equals(yield* readAll(hash)))
        const outboard = yield* store.open(hash).pipe(
          Effect.flatMap((reader) => reader.read("outboard", 0, hashBlob(blob).outboard.length)),
          Effect.scoped
        )
        assert.isTrue(Buffer.from(outboard).equals(hashBlob(blob).outboard))
      })
    )

    test(
      "counts whole groups only",
      Effect.gen(function* () {
        const blob = blobOf(100_000, 2)
        assert.deepStrictEqual(yield* take(blob, [3, 30]), { size: 100_000, verified: false, ranges: [] })
        assert.deepStrictEqual(yield* take(blob, [3, 40]), { size: 100_000, verified: false, ranges: [16, 32] })
        // The last chunk alone proves the size although its group is not stored.
        assert.deepStrictEqual(yield* take(blob, ChunkRanges.last), { size: 100_000, verified: true, ranges: [16, 32] })
        const small = blobOf(5000, 1)
        assert.deepStrictEqual((yield* take(small, [0, 2])).ranges, [])
        assert.isTrue(Bitfield.isComplete(yield* take(small, [0])))
      })
    )

    test(
      "keeps the pairs above pieces that it leaves out",
      Effect.gen(function* () {
        const store = yield* BlobStore
        const blob = blobOf(300_000, 2)
        const items = itemsOf(blob, [3, 64])
        const cut = items.findIndex((item) => item._tag === "Data" && item.offset === 16_384)
        yield* Effect.gen(function* () {
          // The first batch holds nothing that is stored but the pairs of what the second one brings.
          const partial = yield* store.receive(hashOf(blob))
          yield* partial.append(blob.length, items.slice(0, cut))
          yield* partial.append(blob.length, items.slice(cut))
        }).pipe(Effect.scoped)
        yield* take(blob, ChunkRanges.last)
        const bytes = yield* Effect.gen(function* () {
          const reader = yield* store.open(hashOf(blob))
          assert.deepStrictEqual(reader.bitfield(), { size: 300_000, verified: true, ranges: [16, 64] })
          const encoder = new BaoEncoder(BlobHash.toBytes(hashOf(blob)), reader.bitfield(), [16, 64])
          const parts = [encoder.header]
          for (let need = encoder.need; need !== undefined; need = encoder.need) {
            parts.push(encoder.supply(yield* reader.read(need.from, need.offset, need.length)))
          }
          return Buffer.concat(parts)
        }).pipe(Effect.scoped)
        assert.isTrue(bytes.equals(respond(blob, [16, 64]).bytes))
      })
    )

    test(
      "a false size claim neither sticks nor spoils what was verified under it",
      Effect.gen(function* () {
        const store = yield* BlobStore
        const blob = blobOf(100_000, 2)
        const claims = yield* take(blob, [0, 16], 120_000)
        assert.deepStrictEqual(claims, { size: 120_000, verified: false, ranges: [0, 16] })
        assert.deepStrictEqual(yield* take(blob, [96]), { size: 100_000, verified: true, ranges: [0, 16, 96] })
        assert.strictEqual((yield* take(blob, [16, 32], 66_000)).size, 100_000)
        // 32 chunks are stored; a claim whose end lies there must not pass for proven.
        const other = blobOf(100_000, 3)
        yield* take(other, [0, 80])
        assert.isFalse((yield* take(other, [0, 16], 70_000)).verified)
        yield* take(blob, [0])
        yield* take(other, [0])
        for (const whole of [blob, other]) {
          assert.deepStrictEqual(yield* store.status(hashOf(whole)), { _tag: "Complete", size: 100_000 })
          assert.isTrue(Buffer.from(whole).equals(yield* readAll(hashOf(whole))))
        }
      })
    )

    test(
      "an import completes a partial blob under its readers",
      Effect.gen(function* () {
        const store = yield* BlobStore
        const blob = blobOf(200_000, 7)
        const partial = yield* store.receive(hashOf(blob))
        yield* partial.append(blob.length, itemsOf(blob, [0, 32]))
        const reader = yield* store.open(hashOf(blob))
        assert.strictEqual((yield* reader.read("data", 0, 10)).length, 10)
        yield* add(blob)
        assert.isTrue(Bitfield.isComplete(reader.bitfield()))
        assert.isTrue(Buffer.from(blob).equals(yield* reader.read("data", 0, blob.length)))
        yield* partial.append(blob.length, itemsOf(blob, [32, 48]))
        assert.deepStrictEqual(yield* store.status(hashOf(blob)), { _tag: "Complete", size: 200_000 })
      })
    )

    test(
      "observers see the state and every change",
      Effect.gen(function* () {
        const store = yield* BlobStore
        const blob = blobOf(100_000, 12)
        const seen: Array<Bitfield.Bitfield> = []
        const watching = yield* store.observe(hashOf(blob)).pipe(
          Stream.tap((bitfield) => Effect.sync(() => seen.push(bitfield))),
          Stream.takeUntil(Bitfield.isComplete),
          Stream.runDrain,
          Effect.forkChild({ startImmediately: true })
        )
        const writer = yield* store.receive(hashOf(blob))
        for (const range of [[16, 32], [96], [0]]) {
          yield* Effect.sleep(5)
          yield* writer.append(blob.length, itemsOf(blob, range))
        }
        yield* Fiber.join(watching)
        assert.deepStrictEqual(
          seen.map(({ ranges }) => ranges),
          [[], [16, 32], [16, 32, 96], [0]]
        )
        assert.deepStrictEqual(yield* store.status(hashOf(blobOf(9, 9))), { _tag: "NotFound" })
        yield* Stream.runHead(store.observe(hashOf(blobOf(9, 9))))
        assert.lengthOf(yield* Stream.runCollect(store.list), 1)
      })
    )

    test(
      "tags are named roots in the order of their bytes",
      Effect.gen(function* () {
        const { tags } = yield* BlobStore
        const content = raw(BlobHash.emptyBlob)
        for (const name of ["b", "a/2", "a/1", "a", "é", "a/\u{10ffff}"]) yield* tags.set(name, content)
        const names = (filter?: Parameters<typeof tags.list>[0]) =>
          Effect.map(Stream.runCollect(tags.list(filter)), (list) => list.map(({ name }) => name))
        assert.deepStrictEqual(yield* names(), ["a", "a/1", "a/2", "a/\u{10ffff}", "b", "é"])
        assert.deepStrictEqual(yield* names({ prefix: "a/" }), ["a/1", "a/2", "a/\u{10ffff}"])
        assert.deepStrictEqual(yield* names({ prefix: "a", from: "a/2", to: "b" }), ["a/2", "a/\u{10ffff}"])
        assert.deepStrictEqual(yield* tags.get("a"), Option.some({ name: "a", ...content }))
        yield* tags.rename("a", "z")
        assert.deepStrictEqual(yield* tags.get("a"), Option.none())
        assert.strictEqual((yield* Effect.flip(tags.rename("a", "y")))._tag, "TagNotFound")
        assert.strictEqual(yield* tags.remove("nobody"), 0)
        assert.strictEqual(yield* tags.removeAll({ prefix: "a/" }), 3)
        assert.deepStrictEqual(yield* names(), ["b", "z", "é"])
        const first = yield* tags.create(content)
        assert.match(first, /^auto-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z(-\d)?$/)
        assert.notStrictEqual(first, yield* tags.create(content))
      })
    )

    test(
      "garbage is what nothing keeps",
      Effect.gen(function* () {
        const store = yield* BlobStore
        const blobs = Array.from({ length: 9 }, (_, i) => blobOf(20_000 + i, i))
        const hashes = blobs.map(hashOf)
        const seq = HashSeq.of([hashes[0]!, hashes[1]!])
        const bigSeq = HashSeq.of([...Array.from({ length: 600 }, () => BlobHash.emptyBlob), hashes[2]!])
        for (const blob of blobs) yield* add(blob)
        yield* add(seq.bytes, "seq", "hashSeq")
        // The same sequence tagged raw must not hide its children.
        yield* store.tags.set("a-raw", raw(hashOf(seq.bytes)))
        yield* add(bigSeq.bytes, "big", "hashSeq")
        yield* store.tags.set("three", raw(hashes[3]!))
        const scope = yield* Scope.make()
        yield* store.open(hashes[4]!).pipe(Scope.provide(scope))
        yield* store.protect(raw(hashes[5]!)).pipe(Scope.provide(scope))
        const partial = blobOf(100_000, 77)
        const receiving = yield* store.receive(hashOf(partial)).pipe(Scope.provide(scope))
        yield* receiving.append(partial.length, itemsOf(partial, [0, 16]))
        assert.deepStrictEqual(yield* store.collectGarbage, { removed: 3, kept: 8 })
        for (const [i, hash] of hashes.entries()) {
          assert.strictEqual((yield* store.status(hash))._tag, i < 6 ? "Complete" : "NotFound", `${i}`)
        }
        assert.strictEqual((yield* Effect.flip(readAll(hashes[7]!)))._tag, "BlobNotFound")
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* store.collectGarbage, { removed: 3, kept: 6 })
        assert.strictEqual((yield* store.status(hashOf(partial)))._tag, "NotFound")
        yield* store.tags.removeAll({})
        assert.deepStrictEqual(yield* store.collectGarbage, { removed: 6, kept: 0 })
        yield* add(blobs[0]!)
        assert.isTrue(Buffer.from(blobs[0]!).equals(yield* readAll(hashes[0]!)))
      })
    )

    test(
      "what is tagged, open or being written survives collections that never stop",
      Effect.gen(function* () {
        const store = yield* BlobStore
        const collecting = yield* store.collectGarbage.pipe(
          Effect.forever,
          Effect.forkChild({ startImmediately: true })
        )
        const work = Effect.fnUntraced(function* (id: number) {
          const blob = blobOf(17_000 + id * 40, id)
          const { hash } = yield* add(blob, `tag-${id}`)
          yield* Effect.sleep(id % 3)
          assert.isTrue(Buffer.from(blob).equals(yield* readAll(hash)))
          yield* store.tags.remove(`tag-${id}`)
          const other = blobOf(60_000 + id, id)
          yield* Effect.gen(function* () {
            const partial = yield* store.receive(hashOf(other))
            for (const range of [[0, 16], [48], [16, 48]]) {
              yield* partial.append(other.length, itemsOf(other, range))
              yield* Effect.sleep(1)
            }
            assert.isTrue(Buffer.from(other).equals(yield* readAll(hashOf(other))))
          }).pipe(Effect.scoped)
        })
        // Several workers add, drop and add again the same blobs.
        yield* Effect.forEach(
          Array.from({ length: 120 }, (_, i) => i % 30),
          work,
          { concurrency: 8, discard: true }
        )
        assert.isUndefined(collecting.pollUnsafe())
        yield* Fiber.interrupt(collecting)
        yield* store.collectGarbage
        assert.lengthOf(yield* Stream.runCollect(store.list), 0)
      })
    )
  })
}

suite(
  "BlobStore.layerMemory",
  Effect.sync(() => BlobStore.layerMemory())
)
suite(
  "BlobStore.layer",
  Effect.map(temporary, (path) => BlobStore.layer({ directory: join(path, "store") }))
)
suite(
  "BlobStore.layerDirectory",
  Effect.map(temporary, (path) => BlobStore.layerDirectory(join(path, "store")))
)

describe("BlobStore.layer", () => {
  it.live("opens with its first use, once for all, and again after it could not", () =>
    Effect.gen(function* () {
      const directory = join(yield* temporary, "store")
      const layer = BlobStore.layer({ directory, gcInterval: "10 millis" })
      const holder = yield* Scope.make()
      yield* Layer.build(BlobStore.layerDirectory(directory)).pipe(Scope.provide(holder))
      yield* Effect.gen(function* () {
        const store = yield* BlobStore
        const refused = yield* Effect.flip(store.create)
        assert.include(
          refused.message,
          `The blob store could not be opened: The blob store at ${directory} is open already`
        )
        assert.strictEqual(refused.cause instanceof BlobStoreUnavailable && refused.cause.path, directory)
        assert.strictEqual((yield* Effect.flip(Stream.runCollect(store.list)))._tag, "BlobStoreError")
        yield* Scope.close(holder, Exit.void)
        const blobs = Array.from({ length: 20 }, (_, i) => blobOf(20_000, i))
        yield* Effect.forEach(blobs, (blob) => add(blob, "kept"), { concurrency: "unbounded", discard: true })
        // Garbage is collected from then on.
        yield* Effect.repeat(Effect.delay(Stream.runCollect(store.list), 10), { until: ({ length }) => length === 1 })
      }).pipe(Effect.provide(layer))
      // What the layer had opened is closed.
      yield* Effect.provide(BlobStore, BlobStore.layerDirectory(directory))
    }).pipe(Effect.scoped)
  )

  it.live("that nobody uses leaves no trace", () =>
    Effect.gen(function* () {
      const directory = join(yield* temporary, "store")
      yield* Effect.provide(BlobStore, BlobStore.layer({ directory }))
      assert.isFalse(existsSync(directory))
    }).pipe(Effect.scoped)
  )

  it.live("gives way to a store that is there", () =>
    Effect.gen(function* () {
      const given = yield* BlobStore
      const absent = Layer.fresh(BlobStore.layerIfAbsent())
      assert.strictEqual(yield* Effect.provide(BlobStore, absent), given)
    }).pipe(Effect.provide(BlobStore.layerMemory()))
  )
})

describe("BlobStore.layerDirectory, reopened", () => {
  it.live("has what it had, partial blobs included, and no strays", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      const session = <A, E>(body: Effect.Effect<A, E, BlobStore>) =>
        Effect.provide(body, BlobStore.layerDirectory(path))
      const [small, large, part] = [blobOf(100, 1), blobOf(70_000, 2), blobOf(200_000, 3)]
      yield* session(Effect.andThen(Effect.andThen(add(small, "small"), add(large, "large")), take(part, [0, 64])))
      writeFileSync(join(path, "temp", "7"), "x")
      writeFileSync(join(path, "temp", "7.obao4"), "x")
      const stray = `${hashOf(blobOf(1, 1))}.data`
      writeFileSync(join(path, "data", stray), "not what its name says")
      yield* session(
        Effect.gen(function* () {
          const store = yield* BlobStore
          assert.deepStrictEqual(yield* store.status(hashOf(blobOf(1, 1))), { _tag: "NotFound" })
          assert.strictEqual(readFileSync(join(path, "data", stray), "utf8"), "not what its name says")
          rmSync(join(path, "data", stray))
          assert.isTrue(Buffer.from(small).equals(yield* readAll(hashOf(small))))
          assert.isTrue(Buffer.from(large).equals(yield* readAll(hashOf(large))))
          assert.deepStrictEqual((yield* take(part, [64])).ranges, [0])
          assert.isTrue(Buffer.from(part).equals(yield* readAll(hashOf(part))))
          assert.lengthOf(yield* Stream.runCollect(store.tags.list()), 2)
          assert.sameMembers(
            readdirSync(join(path, "data")),
            [large, part].flatMap((blob) => [`${hashOf(blob)}.data`, `${hashOf(blob)}.obao4`])
          )
          assert.isEmpty(readdirSync(join(path, "temp")))
          yield* store.tags.removeAll({})
          yield* store.collectGarbage
          assert.isEmpty(readdirSync(join(path, "data")))
        })
      )
    })
  )

  it.live("takes no folder with other things for a store, and nothing of others away", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      const opened = Effect.provide(Effect.void, BlobStore.layerDirectory(path))
      const theirs = ["data/thesis.txt", `data/${"0".repeat(64)}.txt`, "temp/thesis.txt"]
      for (const folder of ["data", "temp"]) mkdirSync(join(path, folder))
      for (const name of theirs) writeFileSync(join(path, name), "mine")
      const refused = yield* Effect.flip(opened)
      assert.include(refused.message, "name an empty or a new folder")
      assert.sameMembers(readdirSync(path), ["data", "temp"])
      // Nor does a store that others put things into.
      writeFileSync(join(path, "blobs.db"), "")
      yield* opened
      for (const name of theirs) assert.strictEqual(readFileSync(join(path, name), "utf8"), "mine")
    })
  )

  it.live("is used by one at a time", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      const once = Effect.provide(Effect.void, BlobStore.layerDirectory(path))
      const both = Effect.scoped(
        Effect.gen(function* () {
          yield* Layer.build(BlobStore.layerDirectory(path))
          yield* Layer.build(Layer.fresh(BlobStore.layerDirectory(path)))
        })
      )
      const refused = yield* Effect.flip(both)
      assert.strictEqual(refused._tag, "BlobStoreUnavailable")
      assert.include(refused.message, "another process")
      yield* once
    })
  )

  it.live("collects garbage by itself when told to", () =>
    Effect.gen(function* () {
      const store = yield* BlobStore
      yield* add(blobOf(20_000, 1))
      yield* Effect.repeat(Effect.delay(Stream.runCollect(store.list), 10), { until: ({ length }) => length === 0 })
    }).pipe(Effect.provide(BlobStore.layerMemory({ gcInterval: "10 millis" })))
  )
})
