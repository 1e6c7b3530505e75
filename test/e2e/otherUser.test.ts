import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const worker = fileURLToPath(new URL("otherUserWorker.ts", import.meta.url))
/** Who owns nothing here. */
const NOBODY = 65_534

const isRoot = process.getuid?.() === 0
if (!isRoot) console.log("stores of another user are not tried: to become another user takes root")

/** Everything below a folder: names, owners, modes, and what is in files. Databases touch their index even for reading. */
const everything = (folder: string): Record<string, string> =>
  Object.fromEntries(
    fs
      .readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(({ name }) => !name.endsWith(".db-shm"))
      .map((entry) => {
        const file = join(entry.parentPath, entry.name)
        const { mode, uid } = fs.statSync(file)
        const content = entry.isFile() ? createHash("sha256").update(fs.readFileSync(file)).digest("hex") : "folder"
        return [file.slice(folder.length + 1), `${uid} ${mode.toString(8)} ${content}`]
      })
  )

interface Run {
  readonly before: Record<string, string>
  readonly after: Record<string, string>
  readonly outcomes: Record<string, string>
}

const run = (folder: string) =>
  new Promise<Run>((resolve, reject) => {
    const child = spawn(process.execPath, ["--conditions=@aster-effect/source", worker, folder, `${NOBODY}`])
    let output = ""
    let before: Record<string, string> | undefined
    child.stdout.on("data", (bytes) => {
      output += bytes
      if (before !== undefined || !output.includes("made\n")) return
      before = everything(folder)
      child.stdin.end("go\n")
    })
    child.stderr.on("data", (bytes) => (output += bytes))
    child.on("close", (code) => {
      const json = /^\{$[^]*?^\}$/m.exec(output)?.[0]
      if (code !== 0 || before === undefined || json === undefined) return reject(new Error(`${code}: ${output}`))
      resolve({ before, after: everything(folder), outcomes: JSON.parse(json) })
    })
  })

describe.skipIf(!isRoot)("a store of another user", () => {
  it("is refused with who it belongs to and what to do, and left as it is", async () => {
    const folder = fs.mkdtempSync(join(tmpdir(), "other-user-"))
    try {
      const { after, before, outcomes } = await run(folder)
      const refused = (name: string, error: RegExp) => assert.match(outcomes[name]!, error, name)
      const belongs = (error: string) =>
        new RegExp(`^${error}: .*belongs to user 0, and user ${NOBODY}, .* may not (read|write) it; run as that user`)
      for (const kind of ["closed", "readable", "shared"]) {
        refused(`blobs ${kind} write`, belongs("BlobStoreUnavailable"))
        refused(`docs ${kind}`, belongs("DocsStoreError"))
        refused(`tokens ${kind}`, belongs("NonceStoreError"))
        refused(`mesh ${kind}`, /^MeshError: .*permission denied; check the owner and mode/)
        refused(`file ${kind}`, /^FileError: .*permission denied; check the owner and mode/)
      }
      // What may be read is read, without a change.
      refused("blobs closed list", belongs("BlobStoreUnavailable"))
      for (const kind of ["readable", "shared"]) {
        assert.strictEqual(outcomes[`blobs ${kind} list`], "done Complete")
        assert.strictEqual(outcomes[`blobs ${kind} read`], "done 40000 bytes")
      }
      // A file that may not be read is not a damaged one.
      refused("blobs mixed read", /^BlobStoreError: .*permission denied/)
      assert.strictEqual(outcomes["blobs mixed again"], "done Complete")
      assert.deepStrictEqual(after, before)
    } finally {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  })
})
