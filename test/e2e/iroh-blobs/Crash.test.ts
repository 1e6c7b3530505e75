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

/**
 * When a worker is killed: `ms` after its start or after it has opened the store, wherever that finds it, or when a tag or a
 * partial blob was kept for the `count`-th time.
 */
type Kill =
  | { readonly _tag: "Opening" | "Working"; readonly ms: number }
  | { readonly _tag: "Kept"; readonly what: "tag" | "partial"; readonly count: number }

const runAndKill = (directory: string, seed: number, when: Kill): Promise<Run> =>
  new Promise((resolve) => {
    const stop = when._tag === "Kept" ? [when.what, `${when.count}`] : []
    const child = spawn(
      process.execPath,
      ["--conditions=@aster-effect/source", worker, directory, `${seed}`, ...stop],
      {
        stdio: ["ignore", "pipe", "pipe"]
      }
    )
    const kill = (ms: number) => setTimeout(() => child.kill("SIGKILL"), ms)
    let output = ""
    const said = (word: string, bytes: unknown) => !output.includes(word) && (output + String(bytes)).includes(word)
    child.stdout.on("data", (bytes) => {
      if (when._tag === "Working" && said("ready", bytes)) kill(when.ms)
      if (when._tag === "Kept" && said("stopped", bytes)) kill(0)
      output += bytes
    })
    child.stderr.on("data", (bytes) => (output += bytes))
    child.on("close", (_, signal) => resolve({ output, signal }))
    if (when._tag === "Opening") kill(when.ms)
  })

describe("BlobStore.layerDirectory", () => {
  it(`stays sound through ${RUNS} kills at random points`, { timeout: 600_000 }, async () => {
    const directories = [0, 1].map(() => mkdtempSync(join(tmpdir(), "blobs-crash-")))
    const random = new Random(1).next
    const survived = { tag: 0, partial: 0 }
    try {
      const lane = async (directory: string) => {
        let before: Kill | undefined
        for (let run = 0; run < RUNS / 2; run++) {
          const what = run % 8 === 0 ? "partial" : "tag"
          const count = 1 + Math.floor(random() * (what === "tag" ? 2 : 4))
          const when: Kill =
            run % 10 === 9
              ? { _tag: "Opening", ms: 100 + random() * 500 }
              : run % 4 === 0
                ? { _tag: "Kept", what, count }
                : { _tag: "Working", ms: random() * 120 }
          const { output, signal } = await runAndKill(directory, Math.floor(random() * 2 ** 31), when)
          assert.strictEqual(signal, "SIGKILL", `run ${run} ended by itself: ${output}`)
          const ready = /^ready (\d+) (\d+)$/m.exec(output)
          if (ready !== null && before?._tag === "Kept") {
            const found = Number(before.what === "tag" ? ready[1] : ready[2])
            assert.isAbove(found, 0, `run ${run} finds no ${before.what}, which the run before it kept`)
            survived[before.what]++
          }
          before = when
        }
      }
      await Promise.all(directories.map(lane))
    } finally {
      for (const directory of directories) rmSync(directory, { recursive: true, force: true })
    }
    // Every fourth run is one of these, in turns, and is followed by one that opens the store.
    assert.isAbove(survived.tag, RUNS / 12)
    assert.isAbove(survived.partial, RUNS / 12)
  })
})
