import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const worker = fileURLToPath(new URL("memoryWorker.ts", import.meta.url))

describe("BlobStore.layerDirectory", () => {
  it("imports and exports 1 GiB with less than 100 MiB of memory", { timeout: 300_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), "blobs-memory-"))
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [
        "--conditions=@aster-effect/source",
        worker,
        directory
      ])
      assert.include(stdout, "same")
      assert.isBelow(Number(/growth (\d+)/.exec(stdout)![1]), 100, stdout)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
