import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Database } from "../../../packages/iroh-docs/src/internal/database.ts"
import { sqliteStorage } from "../../../packages/iroh-docs/src/internal/sqliteStorage.ts"

const worker = fileURLToPath(new URL("storeWorker.ts", import.meta.url))
const RUNS = 30

/** When a worker is killed: `ms` after its start, or after this many writes were acknowledged. */
interface Kill {
  readonly writes: number | undefined
  readonly ms: number
}

const runAndKill = (directory: string, seed: number, acknowledged: number, { ms, writes }: Kill) =>
  new Promise<{ readonly output: string; readonly signal: NodeJS.Signals | null }>((resolve) => {
    const args = ["--conditions=@aster-effect/source", worker, directory, `${seed}`, `${acknowledged}`]
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] })
    let killing = false
    const kill = () => {
      killing = true
      setTimeout(() => child.kill("SIGKILL"), ms)
    }
    let output = ""
    child.stdout.on("data", (bytes) => {
      output += bytes
      if (!killing && writes !== undefined && output.split("done ").length > writes) kill()
    })
    child.stderr.on("data", (bytes) => (output += bytes))
    child.on("close", (_, signal) => resolve({ output, signal }))
    if (writes === undefined) kill()
  })

const temporary = (): string => mkdtempSync(join(tmpdir(), "docs-crash-"))

describe("documents in a directory", () => {
  it(
    `lose nothing that was acknowledged, and show nothing half, through ${RUNS} kills`,
    { timeout: 600_000 },
    async () => {
      const directory = temporary()
      let seed = 1
      const random = () => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
        return seed / 2 ** 32
      }
      let acknowledged = 0
      let withEntries = 0
      try {
        for (let run = 0; run < RUNS; run++) {
          const kill =
            run % 10 === 9
              ? { writes: undefined, ms: 50 + random() * 400 }
              : { writes: 1 + Math.floor(random() * 20), ms: random() * 20 }
          const { output, signal } = await runAndKill(directory, Math.floor(random() * 2 ** 31), acknowledged, kill)
          assert.strictEqual(signal, "SIGKILL", `run ${run} ended by itself: ${output.slice(-500)}`)
          for (const [, done] of output.matchAll(/^done (\d+)$/gm)) acknowledged = Number(done)
          if (Number(/^ready (\d+)$/m.exec(output)?.[1]) > 0) withEntries++
        }
      } finally {
        rmSync(directory, { recursive: true, force: true })
      }
      assert.isAbove(withEntries, RUNS / 2)
      assert.isAbove(acknowledged, RUNS)
    }
  )

  it("are refused, and left as they are, when they cannot be read or are of another version", () => {
    const damaged = temporary()
    writeFileSync(join(damaged, "docs.db"), "something else ".repeat(100))
    assert.throws(() => sqliteStorage(damaged), /not a database/)
    assert.strictEqual(readFileSync(join(damaged, "docs.db"), "utf8"), "something else ".repeat(100))

    for (const version of [0, 2]) {
      const other = temporary()
      const db = new Database(other)
      db.run(`PRAGMA user_version = ${version}`)
      db.close()
      const before = readFileSync(join(other, "docs.db"))
      assert.throws(() => sqliteStorage(other), new RegExp(`version ${version}`))
      assert.isTrue(before.equals(readFileSync(join(other, "docs.db"))))
      rmSync(other, { recursive: true })
    }

    const foreign = temporary()
    const { DatabaseSync } = process.getBuiltinModule("node:sqlite")
    const db = new DatabaseSync(join(foreign, "docs.db"))
    db.exec("CREATE TABLE mine (a)")
    db.close()
    assert.throws(() => sqliteStorage(foreign), /not a store of documents/)
    for (const directory of [damaged, foreign]) rmSync(directory, { recursive: true })
  })

  it("are for one process at a time, and for nobody else's eyes", () => {
    const parent = temporary()
    const directory = join(parent, "docs")
    mkdirSync(directory)
    const storage = sqliteStorage(directory)
    assert.throws(() => sqliteStorage(directory), /locked/)
    assert.strictEqual(statSync(join(directory, "docs.db")).mode & 0o777, 0o600)
    storage.close()
    sqliteStorage(directory).close()
    rmSync(parent, { recursive: true })
  })
})
