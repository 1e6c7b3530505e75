import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"
import { blobOf } from "../iroh-blobs/Vectors.ts"
import { type Sandbox, sandbox } from "./Sandbox.ts"

const env = { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }

/** Files by their paths under the working directory. */
const put = (at: Sandbox, files: Readonly<Record<string, Uint8Array>>) =>
  Effect.promise(async () => {
    for (const [name, bytes] of Object.entries(files)) {
      await fs.mkdir(path.dirname(at.file(name)), { recursive: true })
      await fs.writeFile(at.file(name), bytes)
    }
  })

const same = (at: Sandbox, name: string, bytes: Uint8Array) =>
  Effect.promise(async () => assert.isTrue(Buffer.from(bytes).equals(await fs.readFile(at.file(name))), name))

/** Runs a command that has to work, and reads the JSON it prints. */
const json = Effect.fnUntraced(function* (at: Sandbox, line: string) {
  const { code, err, out } = yield* at.aster(`${line} --json`, { env })
  assert.deepStrictEqual([code, err], [0, ""], line)
  return JSON.parse(out)
})

const weights = blobOf(1_300_000, 3)

describe("aster blobs", () => {
  it.live("adds and lists files and folders, in the store of the settings", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      yield* put(at, { "w.bin": weights, "data/a.txt": blobOf(3, 1), "data/deep/b.bin": blobOf(50_000, 2) })
      yield* Effect.promise(() => fs.symlink("/etc/hostname", at.file("data/link")))

      const file = yield* json(at, "blobs add w.bin --tag weights")
      assert.deepInclude(file, { format: "raw", size: 1_300_000 })
      const { code, err, out } = yield* at.aster("blobs add data", { env })
      assert.strictEqual(code, 0)
      assert.strictEqual(err, "Warning: left out 1 that are neither file nor folder: link")
      assert.match(out, /^Hash: {5}s[0-9a-f]{64}\nSize: {5}48\.8 KiB\nKind: {5}collection, 2 files$/)
      const folder = /s([0-9a-f]{64})/.exec(out)![1]!

      assert.deepStrictEqual(yield* at.list("~/.aster/blobs"), ["blobs.db", "data", "temp"])
      // Adding again adds nothing.
      yield* at.aster("blobs add data", { env })
      const listed = yield* json(at, "blobs ls")
      assert.lengthOf(listed, 2)
      assert.deepInclude(listed[0], { hash: folder, format: "hashSeq", size: 50_003, state: "complete", files: 2 })
      assert.match(listed[0].tags.join(), /^auto-[^,]*$/)
      assert.deepStrictEqual(listed[1], { ...file, state: "complete", tags: ["weights"] })
      const lines = (yield* at.aster("blobs ls", { env })).out.split("\n")
      assert.match(lines[0]!, /^s[0-9a-f]{64} +48\.8 KiB {2}2 files +complete {2}auto-/)
      assert.match(lines[1]!, /^[0-9a-f]{64} +1\.2 MiB {2}blob +complete {2}weights$/)

      for (const name of [folder, `s${folder}`]) {
        const entries = yield* json(at, `blobs ls ${name}`)
        assert.deepStrictEqual(
          entries.map(({ name, size }: { name: string; size: number }) => [name, size]),
          [
            ["a.txt", 3],
            ["deep/b.bin", 50_000]
          ]
        )
      }
      const stored = { env: { ...env, ASTER_STORAGE_PATH: "storage" } }
      yield* at.aster("blobs add w.bin", stored)
      assert.include(yield* at.list("storage/blobs"), "blobs.db")
      yield* at.aster("blobs add w.bin --store here", stored)
      assert.include(yield* at.list("here"), "blobs.db")
    })
  )

  it.live("shares, downloads and writes out, and goes on with what is there", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      yield* put(at, { "w.bin": weights, "data/a.txt": blobOf(3, 1), "data/deep/b.bin": blobOf(50_000, 2) })
      const file = yield* json(at, "blobs add w.bin --store s1")
      const secret = yield* json(at, "blobs add data/a.txt --store s1")
      const folder = yield* json(at, "blobs add data --store s1")
      const sharing = yield* at.start(["blobs", "share", file.hash, "--store", "s1"], { env })
      const ticket = yield* sharing.out
      assert.match(ticket, /^blob[a-z2-7]+$/)
      const busy = yield* at.aster("blobs ls --store s1", { env })
      assert.strictEqual(busy.code, 1)
      assert.include(busy.err, "is open already")

      const got = yield* at.aster(`blobs get ${ticket} --store s2 --output out/w.bin`, { env })
      assert.deepStrictEqual([got.code, got.err], [0, ""])
      assert.strictEqual(
        got.out,
        `Hash:     ${file.hash}\nSize:     1.2 MiB\nReceived: 1.2 MiB\nOutput:   ${at.file("out/w.bin")}`
      )
      yield* same(at, "out/w.bin", weights)
      assert.deepInclude(yield* json(at, `blobs get ${ticket} --store s2`), { received: 0, output: null })

      // Nothing but what is shared can be had, although the store holds it.
      const other = yield* at.aster(`blobs get ${secret.hash} --from ${addressOf(ticket)} --store s2`, { env })
      assert.strictEqual(other.code, 1)
      assert.include(other.err, "does not permit it")
      yield* Fiber.interrupt(sharing.fiber)

      const seq = yield* at.start(["blobs", "share", folder.hash, "--store", "s1", "--json"], { env })
      const { endpoint_id, format, ticket: second } = JSON.parse(yield* seq.out)
      assert.deepStrictEqual([format, endpoint_id.length], ["hashSeq", 64])
      const whole = yield* json(at, `blobs get ${second} --store s2 -o dir --tag mine`)
      assert.deepInclude(whole, { hash: folder.hash, size: 50_003, files: 2, failures: [] })
      yield* same(at, "dir/a.txt", blobOf(3, 1))
      yield* same(at, "dir/deep/b.bin", blobOf(50_000, 2))
      yield* Fiber.interrupt(seq.fiber)

      // What is here needs nobody any more.
      yield* json(at, `blobs get ${folder.hash} --store s2 -o again`)
      yield* same(at, "again/deep/b.bin", blobOf(50_000, 2))
      const tags = (yield* json(at, "blobs ls --store s2")).map(({ tags }: { tags: ReadonlyArray<string> }) => tags)
      assert.deepStrictEqual(tags[1], ["mine"])
      assert.lengthOf(tags, 2)
    })
  )

  it.live("says what is wrong and what to do", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      yield* put(at, { "w.bin": blobOf(100, 1), "bad/a:b": blobOf(1, 1) })
      const { hash } = yield* json(at, "blobs add w.bin")
      const absent = "1".repeat(64)
      const gone = yield* at.start(["blobs", "share", hash, "--json"], { env })
      const { ticket } = JSON.parse(yield* gone.out)
      yield* Fiber.interrupt(gone.fiber)
      const cases = [
        ["blobs", 1, "add"],
        ["blobs add", 2, "Missing required argument"],
        ["blobs get x --timeout soon", 2, "--timeout"],
        ["blobs add nothing", 1, "no such file or folder"],
        ["blobs add w.bin/x", 1, "no such file or folder"],
        ["blobs add w.bin --store w.bin", 1, "as a blob store"],
        ["blobs ls --store nowhere", 1, "aster blobs add"],
        ["blobs ls nonsense", 1, "64 hex digits"],
        [`blobs ls ${hash}`, 1, "not a hash sequence"],
        [`blobs share ${absent}`, 1, "add or download it first"],
        [`blobs share ${hash} --store nowhere`, 1, "there is no blob store"],
        [`blobs get ${absent}`, 1, "--from ADDRESS"],
        ["blobs get blob!", 1, "blob ticket"],
        [`blobs get ${absent} --from nonsense`, 1, "Bad address"],
        [`blobs get ${hash} -o bad`, 1, "name the file"],
        [`blobs get s${hash} -o w.bin`, 1, "needs a folder"],
        [`blobs get ${ticket} --store new --rcan nowhere`, 1, "nowhere"],
        [`blobs get ${ticket} --store new --timeout 1s`, 1, "run the command again"]
      ] as const
      for (const [line, code, words] of cases) {
        const failed = yield* at.aster(line, { env })
        assert.deepStrictEqual([failed.code, failed.out], [code, ""], line)
        assert.include(failed.err, words, line)
      }
      assert.deepStrictEqual(yield* at.list("nowhere"), [])
    })
  )

  it.live("is let in by a producer that admits enrolled consumers only, with a credential", () =>
    Effect.gen(function* () {
      const at = yield* sandbox()
      yield* at.aster("keygen root --out root.key")
      const root = JSON.parse(yield* at.read("root.pub")).public_key
      yield* at.aster("enroll node --role consumer --name ops --root-key root.key --out ops.cred")
      const producer = yield* gatedProducer(root)
      const { hash } = yield* producer.blobs.addBytes(weights)
      const ticket = yield* producer.blobs.share(hash)

      const nobody = yield* at.aster(`blobs get ${ticket}`, { env })
      assert.strictEqual(nobody.code, 1)
      assert.include(nobody.err, "did not admit this consumer")
      assert.include(nobody.err, "--rcan PATH")

      // Whoever made the ticket asks for it, so what is only lying around is not shown.
      const about = { env: { ...env, ASTER_ENROLLMENT_CREDENTIAL: at.file("ops.cred") } }
      assert.include((yield* at.aster(`blobs get ${ticket}`, about)).err, "--rcan PATH")

      yield* at.aster("keygen root --out other.key --force")
      yield* at.aster("enroll node --role consumer --name ops --root-key other.key --out other.cred")
      const stranger = yield* at.aster(`blobs get ${ticket} --rcan other.cred`, { env })
      assert.strictEqual(stranger.code, 1)
      assert.include(stranger.err, "signed by root key")

      const got = yield* at.aster(`blobs get ${ticket} --rcan ops.cred -o w.bin`, { env })
      assert.strictEqual(got.code, 0, got.err)
      yield* same(at, "w.bin", weights)
      // By the producer's address and the hash it printed, too.
      const again = ["blobs", "get", hash, "--from", producer.address, "--rcan", "ops.cred", "--store", "other"]
      assert.strictEqual((yield* at.run(again, { env })).code, 0)
    })
  )
})

/** The address of a ticket's peer, as for calls. */
const addressOf = (ticket: string) => NodeAddr.toBase64(BlobTicket.decode(ticket).addr)

/** A producer that admits enrolled consumers only. */
const gatedProducer = Effect.fnUntraced(function* (rootPubkey: string) {
  const config = AsterConfig.load({ environment: false, identity: false })
  const server = AsterServer.layer({ node: loopback, config, rootPubkey }).pipe(Layer.provide(TaskRunnerLive))
  return Context.get(yield* Effect.provide(Layer.build(server), Logger.layer([])), AsterServer)
})
