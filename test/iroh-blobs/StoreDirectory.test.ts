import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { blobOf } from "./Vectors.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "blobs-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true, force: true }))
)

const add = (bytes: Uint8Array, tag: string) =>
  BlobStore.use((store) =>
    Effect.flatMap(store.create, (writer) => Effect.andThen(writer.write(bytes), writer.finish({ tag })))
  ).pipe(Effect.scoped)

const readAll = (hash: BlobHash.BlobHash) =>
  BlobStore.use((store) => Effect.flatMap(store.open(hash), (blob) => blob.read("data", 0, blob.bitfield().size))).pipe(
    Effect.scoped
  )

const tags = BlobStore.use((store) => Effect.map(Stream.runCollect(store.tags.list()), (all) => all.map((t) => t.name)))

/** What a store says while it is open in `path`; `said` collects what is logged. */
const inStore = <A, E>(
  path: string,
  body: Effect.Effect<A, E, BlobStore>,
  options: { readonly readOnly?: boolean; readonly said?: Array<string> } = {}
) =>
  Effect.provide(body, BlobStore.layerDirectory(path, { readOnly: options.readOnly })).pipe(
    Effect.provide(Logger.layer([Logger.make(({ message }) => void options.said?.push(String(message)))]))
  )

/** A snapshot of every file below a folder. */
const filesOf = (path: string): ReadonlyMap<string, string> =>
  new Map(
    fs
      .readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => [file, fs.readFileSync(file).toString("base64")])
  )

const [first, second] = [blobOf(100_000, 1), blobOf(200_000, 2)]
const [firstHash, secondHash] = [BlobHash.of(first), BlobHash.of(second)]

/** A store with two tagged blobs, and a copy of its database as it was with the first alone. */
const filled = Effect.fnUntraced(function* (path: string) {
  yield* inStore(path, add(first, "first"))
  const older = fs.readFileSync(join(path, "blobs.db"))
  yield* inStore(path, add(second, "second"))
  return older
})

const whole = Effect.gen(function* () {
  assert.isTrue(Buffer.from(first).equals(yield* readAll(firstHash)))
  assert.isTrue(Buffer.from(second).equals(yield* readAll(secondHash)))
})

const recovered = (hash: string) => `recovered/${hash}`

describe("a store that is not as it was left", () => {
  const cases: ReadonlyArray<readonly [string, (path: string, older: Buffer) => void, ReadonlyArray<string>]> = [
    ["with an empty database", (path) => fs.writeFileSync(join(path, "blobs.db"), ""), []],
    ["without its database", (path) => fs.rmSync(join(path, "blobs.db")), []],
    ["with an older database", (path, older) => fs.writeFileSync(join(path, "blobs.db"), older), ["first"]]
  ]
  for (const [title, change, left] of cases) {
    it.live(`${title} loses no blob: what is what its name says is recorded again, and kept`, () =>
      Effect.gen(function* () {
        const path = yield* temporary
        const older = yield* filled(path)
        change(path, older)
        const said: Array<string> = []
        yield* inStore(
          path,
          Effect.gen(function* () {
            yield* whole
            const lost = [firstHash, secondHash].slice(left.length)
            assert.sameMembers([...(yield* tags)], [...left, ...lost.map(recovered)])
            yield* BlobStore.use((store) => store.collectGarbage)
            yield* whole
          }),
          { said }
        )
        assert.match(said.join(), /had no record in blobs\.db/)
        // Once and for all.
        said.length = 0
        yield* inStore(path, whole, { said })
        assert.deepStrictEqual(said, [])
      }).pipe(Effect.scoped)
    )
  }

  it.live("opened for reading is left exactly as it is", () =>
    Effect.gen(function* () {
      for (const [, change] of cases) {
        const path = join(yield* temporary, "store")
        const older = yield* filled(path)
        change(path, older)
        const before = filesOf(path)
        const said: Array<string> = []
        const opened = yield* Effect.result(inStore(path, tags, { readOnly: true, said }))
        assert.deepStrictEqual(filesOf(path), before)
        if (opened._tag === "Failure") assert.include(opened.failure.message, "verified and recorded anew")
        else assert.match(said.join(), /left alone/)
      }
    }).pipe(Effect.scoped)
  )

  it.live("with somebody else's database, a damaged or a later one is refused, and nothing in it changes", () =>
    Effect.gen(function* () {
      const databases: ReadonlyArray<readonly [string, (file: string) => void]> = [
        [
          "another program",
          (file) => {
            const db = new DatabaseSync(file)
            db.exec("CREATE TABLE blobs (name); INSERT INTO blobs VALUES ('theirs')")
            db.close()
          }
        ],
        ["damaged", (file) => fs.writeFileSync(file, Buffer.alloc(20_480, "not a database"))],
        [
          "later version",
          (file) => {
            const db = new DatabaseSync(file)
            db.exec("PRAGMA user_version = 2; CREATE TABLE other (name)")
            db.close()
          }
        ]
      ]
      for (const [words, make] of databases) {
        const path = join(yield* temporary, "store")
        yield* filled(path)
        fs.rmSync(join(path, "blobs.db"))
        make(join(path, "blobs.db"))
        const before = filesOf(path)
        for (const readOnly of [false, true]) {
          const refused = yield* Effect.flip(inStore(path, Effect.void, { readOnly }))
          assert.include(refused.message, words)
          assert.deepStrictEqual(filesOf(path), before)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("whose log is there without its database is refused, because SQLite would delete the log", () =>
    Effect.gen(function* () {
      for (const empty of [true, false]) {
        const path = join(yield* temporary, "store")
        // A copy of a store that is open, as a crash leaves it.
        yield* inStore(
          path,
          Effect.gen(function* () {
            yield* add(first, "first")
            fs.cpSync(path, `${path}-crashed`, { recursive: true })
          })
        )
        const crashed = `${path}-crashed`
        assert.isAbove(fs.statSync(join(crashed, "blobs.db-wal")).size, 0)
        if (empty) fs.writeFileSync(join(crashed, "blobs.db"), "")
        else fs.rmSync(join(crashed, "blobs.db"))
        const before = filesOf(crashed)
        const refused = yield* Effect.flip(inStore(crashed, Effect.void))
        assert.include(refused.message, "blobs.db-wal")
        assert.deepStrictEqual(filesOf(crashed), before)
      }
    }).pipe(Effect.scoped)
  )

  it.live("without its log has what the database knows, and records the rest again", () =>
    Effect.gen(function* () {
      const path = join(yield* temporary, "store")
      yield* inStore(path, add(first, "first"))
      yield* inStore(
        path,
        Effect.gen(function* () {
          yield* add(second, "second")
          fs.cpSync(path, `${path}-crashed`, { recursive: true })
        })
      )
      fs.rmSync(join(`${path}-crashed`, "blobs.db-wal"))
      yield* inStore(
        `${path}-crashed`,
        Effect.gen(function* () {
          yield* whole
          assert.sameMembers([...(yield* tags)], ["first", recovered(secondHash)])
        })
      )
    }).pipe(Effect.scoped)
  )

  it.live("keeps the good part of a blob that is damaged and has no record", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      yield* filled(path)
      fs.rmSync(join(path, "blobs.db"))
      const file = join(path, "data", `${secondHash}.data`)
      const handle = fs.openSync(file, "r+")
      fs.writeSync(handle, "damage", 50_000)
      fs.closeSync(handle)
      yield* inStore(
        path,
        BlobStore.use((store) =>
          Effect.gen(function* () {
            assert.deepStrictEqual((yield* store.bitfield(secondHash)).ranges, [0, 48, 64])
            assert.isTrue(Option.isSome(yield* store.tags.get(recovered(secondHash))))
          })
        )
      )
    }).pipe(Effect.scoped)
  )

  it.live("says which files are gone, and has them again when they are back", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      yield* filled(path)
      const file = join(path, "data", `${firstHash}.data`)
      fs.renameSync(file, `${file}.away`)
      const said: Array<string> = []
      yield* inStore(
        path,
        BlobStore.use((store) =>
          Effect.gen(function* () {
            assert.isFalse(Bitfield.isComplete(yield* store.bitfield(firstHash)))
            yield* store.collectGarbage
            fs.renameSync(`${file}.away`, file)
            yield* whole
          })
        ),
        { said }
      )
      assert.match(said.join(), new RegExp(`file is gone.*${firstHash}`))
    }).pipe(Effect.scoped)
  )

  it.live("tidies up what an import or a removal that was killed left, and only that", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      const older = yield* filled(path)
      fs.writeFileSync(join(path, "blobs.db"), older)
      // The note of an import of the second blob that never came to its record.
      fs.writeFileSync(join(path, "temp", `${secondHash}.unsettled`), "")
      // One of a removal that never came to its decision.
      fs.writeFileSync(join(path, "temp", `${firstHash}.unsettled`), "")
      yield* inStore(
        path,
        Effect.gen(function* () {
          assert.deepStrictEqual([...(yield* tags)], ["first"])
          assert.isTrue(Buffer.from(first).equals(yield* readAll(firstHash)))
        })
      )
      assert.deepStrictEqual(fs.readdirSync(join(path, "temp")), [])
      assert.sameMembers(fs.readdirSync(join(path, "data")), [`${firstHash}.data`, `${firstHash}.obao4`])
    }).pipe(Effect.scoped)
  )
})

describe("a store that is open for reading only", () => {
  it.live("answers, changes nothing, and refuses what would", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      yield* filled(path)
      const before = filesOf(path)
      yield* inStore(
        path,
        Effect.gen(function* () {
          const store = yield* BlobStore
          yield* whole
          assert.strictEqual(
            (yield* Effect.flip(store.tags.set("x", { hash: firstHash, format: "raw" })))._tag,
            "BlobStoreError"
          )
          assert.strictEqual((yield* Effect.flip(add(first, "x")))._tag, "BlobStoreError")
          assert.strictEqual((yield* Effect.flip(store.tags.remove("first")))._tag, "BlobStoreError")
          // It is still one at a time.
          const both = yield* Effect.flip(
            Effect.scoped(Layer.build(Layer.fresh(BlobStore.layerDirectory(path, { readOnly: true }))))
          )
          assert.include(both.message, "open already")
        }),
        { readOnly: true }
      )
      assert.deepStrictEqual(filesOf(path), before)
      const absent = yield* Effect.flip(inStore(join(path, "nowhere"), Effect.void, { readOnly: true }))
      assert.include(absent.message, "no such folder")
      assert.isFalse(fs.existsSync(join(path, "nowhere")))
    }).pipe(Effect.scoped)
  )
})
