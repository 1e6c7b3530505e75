import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { publicKey } from "./Keys.ts"

const worker = fileURLToPath(new URL("stateWorker.ts", import.meta.url))
const ROUNDS = 8
const root = publicKey()
const selves = [publicKey(), publicKey()]

/** Runs a worker and kills it once so many producers were acknowledged. Answers all that it said. */
const runAndKill = (directory: string, self: string, acknowledged: number) =>
  new Promise<string>((resolve, reject) => {
    const child = spawn(process.execPath, ["--conditions=@aster-effect/source", worker, directory, root, self], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    child.stdout.on("data", (bytes) => {
      output += bytes
      if (output.split("\ndone ").length > acknowledged) child.kill("SIGKILL")
    })
    child.stderr.on("data", (bytes) => (output += bytes))
    child.on("close", (_, signal) =>
      signal === "SIGKILL" ? resolve(output) : reject(new Error(`the worker ended by itself: ${output}`))
    )
  })

describe("the state of a mesh", () => {
  it("loses nobody who was acknowledged, and keeps its salt, through kills of two processes that share it", async () => {
    const directory = mkdtempSync(join(tmpdir(), "mesh-crash-"))
    const acknowledged = new Set<string>()
    const salts = new Set<string>()
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const before = [...acknowledged]
        const outputs = await Promise.all(
          selves.map((self, i) => runAndKill(directory, self, 1 + ((3 * round + 2 * i) % 7)))
        )
        for (const output of outputs) {
          const [, salt = "", members = ""] = /^ready (\w+) (.*)$/m.exec(output) ?? []
          salts.add(salt)
          assert.includeMembers(members.split(" "), before)
          // What is said last may be cut off by the kill.
          for (const [, id] of output.matchAll(/^done ([0-9a-f]{64})$/gm)) acknowledged.add(id!)
        }
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
    assert.strictEqual(salts.size, 1)
    assert.isAtLeast(acknowledged.size, 2 * ROUNDS)
  })
})
