/** The programs of docs/blobs.md, as processes, by the commands that stand there. */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { line, shell, stop } from "../faults/Shell.ts"

const page = await fs.readFile(new URL("../../docs/blobs.md", import.meta.url), "utf8")
const commands = [...page.matchAll(/^```sh run\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
  block.trim().split("\n")
)
/** The one command that matches. */
const command = (pattern: RegExp): string => {
  const found = commands.filter((line) => pattern.test(line))
  assert.lengthOf(found, 1, String(pattern))
  return found[0]!
}
const consumeEnrolled = command(/model-weights consume \S+ \S+ trainer.cred$/)
const consumeAsStranger = command(/model-weights consume \S+ \S+$/)

describe("docs/blobs.md", () => {
  it.live(
    "a gated producer gives calls and blobs to the enrolled, nothing to others, and keeps them",
    () =>
      Effect.gen(function* () {
        const { ended, place, run, variables } = yield* shell
        for (const line of commands.filter((line) => /^aster (keygen|enroll) /.test(line))) {
          const { code, stderr } = yield* ended(line)
          assert.strictEqual(code, 0, `${line}: ${stderr}`)
        }

        const produce = Effect.gen(function* () {
          const producer = yield* run(command(/model-weights produce/))
          const [, address = ""] = yield* line(producer, /^TaskRunner v2 serving at (\S+) \(trusted\)$/)
          const [, hash = "", how] = yield* line(producer, /^model weights: (\w+) \((\w+)\)$/)
          Object.assign(variables, { ADDRESS: address, HASH: hash })
          return { producer, address, hash: BlobHash.parse(hash), how }
        })
        const first = yield* produce
        assert.strictEqual(first.how, "stored")

        const enrolled = yield* ended(consumeEnrolled)
        assert.deepStrictEqual(enrolled, {
          code: 0,
          stderr: "",
          lines: ["completed: Processed t-1", "model weights v2.1"]
        })
        const stranger = yield* ended(consumeAsStranger)
        assert.strictEqual(stranger.code, 1)
        assert.include(stranger.stderr + stranger.lines.join("\n"), "showed no credential")
        assert.notInclude(stranger.lines.join("\n"), "model weights")

        // Nor by asking for the blob without asking to come in.
        const knock = Effect.gen(function* () {
          const blobs = yield* Blobs
          const from = [NodeAddr.parse(first.address)]
          return yield* Effect.flip(blobs.download({ hash: first.hash, format: "raw" }, { from }))
        })
        const error = yield* Effect.provide(
          knock,
          Blobs.layer.pipe(Layer.provide([BlobStore.layer(), IrohNode.layer(loopback)]))
        )
        assert.strictEqual(error._tag === "DownloadFailed" && error.failures[0]?.reason._tag, "NotAdmitted")

        yield* stop(first.producer)
        assert.include(yield* Effect.promise(() => fs.readdir(join(place, "state", "blobs"))), "blobs.db")
        const second = yield* produce
        assert.deepStrictEqual([second.hash, second.how], [first.hash, "kept"])
        assert.strictEqual(NodeAddr.parse(second.address).endpointId, NodeAddr.parse(first.address).endpointId)
        const again = yield* ended(consumeEnrolled)
        assert.deepStrictEqual(again.lines.at(-1), "model weights v2.1", again.stderr)
        // A process that is killed leaves the blob as well.
        second.producer.process.kill("SIGKILL")
        yield* second.producer.ended
        const third = yield* produce
        assert.strictEqual(third.how, "kept")
        assert.strictEqual((yield* ended(consumeEnrolled)).code, 0)

        yield* Effect.promise(() => fs.writeFile(join(place, "weights.bin"), "model weights v2.2"))
        const busy = yield* ended(command(/aster blobs ls/))
        assert.strictEqual(busy.code, 1)
        assert.include(busy.stderr, "is open already, in another process")
        yield* stop(third.producer)
        const added = yield* ended(command(/aster blobs add/))
        const [, hash = ""] = /\b([0-9a-f]{64})\b/.exec(added.lines.join("\n")) ?? []
        const listed = yield* ended(command(/aster blobs ls/))
        for (const tag of ["weights/v2.1", "weights/v2.2"]) assert.include(listed.lines.join("\n"), tag, listed.stderr)
        const fourth = yield* produce
        variables["HASH"] = hash
        const newer = yield* ended(consumeEnrolled)
        assert.strictEqual(newer.lines.at(-1), "model weights v2.2", newer.stderr)
        yield* stop(fourth.producer)
        const verified = yield* ended(command(/aster blobs verify/))
        assert.strictEqual(verified.code, 0, verified.stderr)
        assert.match(verified.lines.join("\n"), /^\d+ blobs, .*: 0 damaged, 0 partial$/m)
        assert.match((yield* ended(command(/aster blobs rm/))).lines.join("\n"), /Removed: +1 blob/)
      }),
    180_000
  )

  it.live("a folder is shared and fetched elsewhere", () =>
    Effect.gen(function* () {
      const { ended, place, run, variables } = yield* shell
      const files = { "a.txt": "first", "deep/er/b.bin": "x".repeat(300_000), "deep/empty": "" }
      for (const [name, content] of Object.entries(files)) {
        yield* Effect.promise(async () => {
          await fs.mkdir(join(place, "FOLDER", name, ".."), { recursive: true })
          await fs.writeFile(join(place, "FOLDER", name), content)
        })
      }
      const sharing = yield* run(command(/share-folder share/))
      assert.strictEqual(yield* sharing.line, "sharing 3 files, 300005 bytes, until Ctrl+C:")
      variables["TICKET"] = yield* sharing.line
      const { code, lines, stderr } = yield* ended(command(/share-folder fetch/))
      assert.strictEqual(code, 0, stderr)
      assert.match(lines[0]!, /^\d+ bytes received, verified and written to copy$/)
      for (const [name, content] of Object.entries(files)) {
        assert.strictEqual(yield* Effect.promise(() => fs.readFile(join(place, "copy", name), "utf8")), content)
      }
      yield* stop(sharing)
    })
  )
})
