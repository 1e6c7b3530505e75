import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as Collection from "@aster-effect/iroh-blobs/Collection"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { blobOf } from "../iroh-blobs/Vectors.ts"
import { type Sandbox, sandbox } from "./Sandbox.ts"

const env = { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }

const json = Effect.fnUntraced(function* (at: Sandbox, line: string) {
  const { code, err, out } = yield* at.aster(`${line} --json`, { env })
  assert.deepStrictEqual([code, err], [0, ""], line)
  return JSON.parse(out)
})

const refusedWith = Effect.fnUntraced(function* (at: Sandbox, line: string, words: string) {
  const failed = yield* at.aster(line, { env })
  assert.deepStrictEqual([failed.code === 0, failed.out], [false, ""], line)
  assert.include(failed.err, words, line)
})

const content = blobOf(50_000, 1)

/** A collection as a stranger may make one: the given names, in this order, for one content. */
const collectionOf = Effect.fnUntraced(function* (at: Sandbox, names: ReadonlyArray<string>) {
  const one = at.file("one")
  const meta = Collection.encodeNames(names)
  fs.writeFileSync(one, "EVIL")
  const { hash } = yield* json(at, "blobs add one --store s")
  fs.writeFileSync(one, meta)
  const named = yield* json(at, "blobs add one --store s")
  fs.writeFileSync(
    one,
    Collection.root(
      named.hash,
      names.map(() => hash)
    ).bytes
  )
  const root = yield* json(at, "blobs add one --store s")
  fs.rmSync(one)
  return `s${root.hash}`
})

describe("aster blobs get --output", () => {
  it.live("replaces nothing without --force, and nothing but files with it", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      fs.writeFileSync(at.file("a"), content)
      const { hash } = yield* json(at, "blobs add a --store s")
      const get = `blobs get ${hash} --store s -o`
      fs.writeFileSync(at.file("mine"), "mine", { mode: 0o640 })
      fs.chmodSync(at.file("mine"), 0o640)
      fs.symlinkSync("mine", at.file("link"))
      fs.symlinkSync("nowhere", at.file("dangling"))
      fs.mkdirSync(at.file("folder"))
      execFileSync("mkfifo", [at.file("pipe")])
      for (const flag of ["", " --force"]) {
        yield* refusedWith(at, `${get} folder${flag}`, "is a folder")
        yield* refusedWith(at, `${get} pipe${flag}`, "--output -")
        yield* refusedWith(at, `${get} /dev/null${flag}`, "--output -")
        yield* refusedWith(at, `${get} s/blobs.db${flag}`, "in the blob store")
        yield* refusedWith(at, `${get} s/new${flag}`, "in the blob store")
        yield* refusedWith(at, `${get} dangling${flag}`, "symbolic link")
      }
      yield* refusedWith(at, `${get} mine`, "--force")
      yield* refusedWith(at, `${get} link`, "--force")
      yield* refusedWith(at, `${get} link --force`, "symbolic link")
      assert.strictEqual(fs.readFileSync(at.file("mine"), "utf8"), "mine")
      assert.isTrue(fs.statSync(at.file("pipe")).isFIFO())
      assert.isTrue(fs.lstatSync(at.file("link")).isSymbolicLink())

      yield* json(at, `${get} mine --force`)
      assert.isTrue(fs.readFileSync(at.file("mine")).equals(content))
      // It is the user's file still.
      assert.strictEqual(fs.statSync(at.file("mine")).mode & 0o777, 0o640)
      const long = "n".repeat(250)
      yield* json(at, `${get} ${long}`)
      assert.isTrue(fs.readFileSync(at.file(long)).equals(content))
      yield* refusedWith(at, `${get} ${"n".repeat(256)}`, "ENAMETOOLONG")
      assert.isEmpty(fs.readdirSync(at.directory).filter((name) => name.startsWith(".aster-")))
    })
  )

  it.live("writes to standard output for -, and nothing besides", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      fs.writeFileSync(at.file("a"), content)
      const { hash } = yield* json(at, "blobs add a --store s")
      fs.mkdirSync(at.file("d"))
      fs.writeFileSync(at.file("d/a"), content)
      const folder = yield* json(at, "blobs add d --store s")
      const run = (args: ReadonlyArray<string>, input = Buffer.alloc(0)) =>
        execFileSync(
          process.execPath,
          ["--conditions=@aster-effect/source", path.resolve("packages/cli/bin/aster.js"), ...args],
          {
            input,
            cwd: at.directory,
            env: { ...process.env, ...env, HOME: at.home },
            stdio: ["pipe", "pipe", "ignore"]
          }
        )
      assert.isTrue(run(["blobs", "get", hash, "--store", "s", "-o", "-"]).equals(content))
      assert.isFalse(fs.existsSync(at.file("-")))
      yield* refusedWith(at, `blobs get ${folder.hash} --store s -o -`, "name a folder")
      yield* refusedWith(at, `blobs get ${hash} --store s -o - --json`, "--json")
      // And reads standard input for it.
      const added = JSON.parse(
        run(["blobs", "add", "-", "--store", "s", "--json"], Buffer.from(blobOf(70_000, 2))).toString()
      )
      assert.strictEqual(added.hash, BlobHash.of(blobOf(70_000, 2)))
    })
  )

  it.live("of a stranger's collection stays in the folder, follows no link, and brings no identity", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      const get = (name: string, flags = "") => `blobs get ${name} --store s -o out${flags}`
      const fresh = () => {
        fs.rmSync(at.file("out"), { recursive: true, force: true })
        fs.mkdirSync(at.file("out"))
      }
      const outside = at.file("outside")
      fs.mkdirSync(outside)
      for (const name of [
        "../x",
        "a/../../x",
        "/absolute",
        "a//b",
        ".",
        "x/",
        "a\u0000b",
        "\u001b[2Jx",
        "n".repeat(256)
      ]) {
        fresh()
        yield* refusedWith(at, get(yield* collectionOf(at, ["fine", name])), "")
        assert.deepStrictEqual(fs.readdirSync(at.file("out")), [], JSON.stringify(name))
      }
      // Entries that would take each other's place.
      for (const names of [
        ["a", "a"],
        ["a", "a/b"],
        ["a/b", "a"]
      ]) {
        fresh()
        yield* refusedWith(at, get(yield* collectionOf(at, names)), "Malformed")
        assert.deepStrictEqual(fs.readdirSync(at.file("out")), [])
      }
      // Here such names are different files.
      fresh()
      const alike = ["a", "A", "\u00e9", "e\u0301"]
      yield* at.aster(get(yield* collectionOf(at, alike)), { env })
      assert.sameMembers(fs.readdirSync(at.file("out")), alike)

      fresh()
      fs.symlinkSync("../outside", at.file("out/link"))
      for (const flags of ["", " --force"]) {
        yield* refusedWith(at, get(yield* collectionOf(at, ["before", "link/x"]), flags), "symbolic link")
      }
      assert.deepStrictEqual(fs.readdirSync(outside), [])
      assert.deepStrictEqual(fs.readdirSync(at.file("out")), ["link"])

      fresh()
      fs.writeFileSync(at.file("out/kept"), "mine")
      yield* refusedWith(at, get(yield* collectionOf(at, ["before", "kept"])), "exists already")
      assert.deepStrictEqual(fs.readdirSync(at.file("out")), ["kept"])
      yield* json(at, get(yield* collectionOf(at, ["before", "kept"]), " --force"))
      assert.strictEqual(fs.readFileSync(at.file("out/kept"), "utf8"), "EVIL")

      for (const name of [".aster-identity", "deep/.ASTER-IDENTITY"]) {
        fresh()
        yield* refusedWith(at, get(yield* collectionOf(at, [name])), "trust")
        assert.deepStrictEqual(fs.readdirSync(at.file("out")), [])
      }
    })
  )
})

describe("aster blobs add", () => {
  it.live("of a folder leaves out keys, the store, and what cannot travel, and says so", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      yield* at.aster("keygen root --out d/root.key")
      yield* at.aster("enroll node --role consumer --name ops --root-key d/root.key --out d/ops.cred")
      fs.copyFileSync(at.file("d/ops.cred"), at.file("d/.aster-identity"))
      fs.writeFileSync(at.file("d/id_rsa"), "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n")
      fs.writeFileSync(at.file("d/data.txt"), "data")
      fs.writeFileSync(at.file("d/run.sh"), "#!/bin/sh", { mode: 0o755 })
      fs.writeFileSync(at.file("d/a:b"), "x")
      fs.mkdirSync(at.file("d/empty"))
      // A name that is not UTF-8, and the one that it is shown as.
      fs.writeFileSync(Buffer.concat([Buffer.from(at.file("d/bad-")), Buffer.from([0xff])]), "one")
      fs.writeFileSync(at.file("d/bad-\ufffd"), "other")
      execFileSync("mkfifo", [at.file("d/pipe")])

      const { code, err, out } = yield* at.aster("blobs add d --store d/store", { env })
      assert.strictEqual(code, 0, err)
      for (const words of [
        /left out 4 that hold keys or credentials: /,
        /left out \d+ that are the store's own: store\/blobs\.db/,
        /left out 1 that are neither file nor folder: pipe/,
        /left out 1 whose names are not UTF-8: bad-/,
        /left out 1 whose names are no file names on every system \(rename them\): a:b/,
        /no empty folders.*: empty/,
        /can be executed.*: run\.sh/
      ]) {
        assert.match(err, words)
      }
      const entries = yield* json(at, `blobs ls ${/s[0-9a-f]{64}/.exec(out)![0]} --store d/store`)
      assert.deepStrictEqual(
        entries.map(({ name, size }: { name: string; size: number }) => [name, size]),
        [
          ["bad-\ufffd", 5],
          ["data.txt", 4],
          ["root.pub", fs.statSync(at.file("d/root.pub")).size],
          ["run.sh", 9]
        ]
      )
    })
  )

  it.live("does not wait for a pipe or a device, and warns of a key", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      execFileSync("mkfifo", [at.file("pipe")])
      yield* refusedWith(at, "blobs add pipe --store s", "aster blobs add -")
      yield* refusedWith(at, "blobs add /dev/zero --store s", "aster blobs add -")
      yield* at.aster("keygen root --out root.key")
      const { code, err } = yield* at.aster("blobs add root.key --store s", { env })
      assert.strictEqual(code, 0)
      assert.include(err, "holds a key")
    })
  )

  it.live("keeps a blob under the name auto, and refuses half a character as a name", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      fs.writeFileSync(at.file("a"), content)
      yield* json(at, "blobs add a --store s --tag auto")
      assert.deepStrictEqual((yield* json(at, "blobs ls --store s"))[0].tags, ["auto"])
      const failed = yield* at.run(["blobs", "add", "a", "--store", "s", "--tag", "a\ud800"], { env })
      assert.strictEqual(failed.code, 1)
      assert.include(failed.err, "surrogate")
    })
  )
})

describe("aster blobs rm and verify", () => {
  it.live("remove what nothing else keeps", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      fs.mkdirSync(at.file("d"))
      for (const [i, name] of ["x", "y", "z"].entries()) fs.writeFileSync(at.file(`d/${name}`), blobOf(20_000, i))
      const folder = yield* json(at, "blobs add d --store s --tag folder")
      const x = yield* json(at, "blobs add d/x --store s --tag x")
      const listed = () =>
        Effect.map(json(at, "blobs ls --store s"), (all) => all.map((one: { hash: string }) => one.hash))
      yield* refusedWith(at, "blobs rm nonsense --store s", "aster blobs ls")
      yield* refusedWith(at, `blobs rm ${"1".repeat(64)} --store s`, "not in the store")
      // A file of the collection stays while the collection does.
      const kept = yield* at.aster(`blobs rm ${x.hash} --store s`, { env })
      assert.strictEqual(kept.code, 0)
      assert.include(kept.err, "kept by other tags")
      yield* json(at, "blobs add d/x --store s --tag x")
      const removed = yield* json(at, "blobs rm folder --store s")
      assert.lengthOf(removed.removed, 4)
      assert.deepStrictEqual(removed.kept, [x.hash])
      assert.deepStrictEqual(yield* listed(), [x.hash])
      yield* json(at, `blobs rm ${x.hash} --store s`)
      assert.deepStrictEqual(yield* listed(), [])
      assert.deepStrictEqual(yield* at.list("s/data"), [])
      assert.strictEqual(folder.files, 3)
    })
  )

  it.live("find damage, which adding repairs", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      fs.writeFileSync(at.file("a"), content)
      fs.writeFileSync(at.file("b"), blobOf(60_000, 2))
      const { hash } = yield* json(at, "blobs add a --store s")
      yield* json(at, "blobs add b --store s")
      const sound = yield* at.aster("blobs verify --store s", { env })
      assert.deepStrictEqual([sound.code, sound.err], [0, ""])
      assert.match(sound.out, /2 blobs, .*: 0 damaged, 0 partial/)
      const file = at.file(`s/data/${hash}.data`)
      const bytes = fs.readFileSync(file)
      bytes[40_000] = bytes[40_000]! ^ 1
      fs.writeFileSync(file, bytes)
      // Also when a command has come by it before.
      for (let time = 0; time < 2; time++) {
        const found = yield* at.aster("blobs verify --store s", { env })
        assert.strictEqual(found.code, 1)
        assert.include(found.out, `${hash}  damaged`)
        yield* refusedWith(at, `blobs get ${hash} --store s -o out`, "not in the store")
        assert.isFalse(fs.existsSync(at.file("out")))
      }
      yield* json(at, "blobs add a --store s")
      assert.strictEqual((yield* at.aster(`blobs verify ${hash} --store s`, { env })).code, 0)
      yield* json(at, `blobs get ${hash} --store s -o out`)
      assert.isTrue(fs.readFileSync(at.file("out")).equals(content))
    })
  )
})
