import { assert, describe, it } from "@effect/vitest"
import { Random } from "../../Random.ts"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const worker = fileURLToPath(new URL("storeWorker.ts", import.meta.url))
const RUNS = 220

interface Run {
  readonly output: string
  readonly signal: NodeJS.Signals | null
}

/** Runs a worker and kills it `delay` ms after it is ready, or after its start for a kill while it opens the store. */
const runAndKill = (directory: string, seed: number, delay: number, whileOpening: boolean): Promise<Run> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ["--conditions=@aster-effect/source", worker, directory, `${seed}`], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    const kill = () => setTimeout(() => child.kill("SIGKILL"), delay)
    let output = ""
    child.stdout.on("data", (bytes) => {
      if (!whileOpening && !output.includes("ready") && String(bytes).includes("ready")) kill()
      output += bytes
    })
    child.stderr.on("data", (bytes) => (output += bytes))
    child.on("exit", (_, signal) => resolve({ output, signal }))
    if (whileOpening) kill()
  })

describe("BlobStore.layerDirectory", () => {
  it(`stays sound through ${RUNS} kills at random points`, { timeout: 600_000 }, async () => {
    const directories = [0, 1].map(() => mkdtempSync(join(tmpdir(), "blobs-crash-")))
    const random = new Random(1).next
    let withPartial = 0
    let withTags = 0
    try {
      const lane = async (directory: string) => {
        for (let run = 0; run < RUNS / 2; run++) {
          const whileOpening = run % 10 === 9
          const delay = whileOpening ? 100 + random() * 500 : random() * 120
          const { output, signal } = await runAndKill(directory, Math.floor(random() * 2 ** 31), delay, whileOpening)
          assert.strictEqual(signal, "SIGKILL", `run ${run} ended by itself: ${output}`)
          const [, tags, partial] = /^ready (\d+) (\d+)$/m.exec(output) ?? []
          if (Number(tags) > 0) withTags++
          if (Number(partial) > 0) withPartial++
        }
      }
      await Promise.all(directories.map(lane))
    } finally {
      for (const directory of directories) rmSync(directory, { recursive: true, force: true })
    }
    // The kills did hit stores with something in them, and downloads in their middle.
    assert.isAbove(withTags, RUNS / 2)
    assert.isAbove(withPartial, RUNS / 20)
  })
})
