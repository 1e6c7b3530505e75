/** `aster docs` as a user runs it: two stores, one ticket. */
import { assert, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const aster = fileURLToPath(new URL("../../packages/cli/bin/aster.js", import.meta.url))

it("a document is made, shared, joined, read and written", { timeout: 180_000 }, async () => {
  const home = mkdtempSync(path.join(tmpdir(), "aster-docs-"))
  const env = { ...process.env, HOME: home, ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }
  const args = (line: ReadonlyArray<string>) => ["--conditions=@aster-effect/source", aster, "docs", ...line]
  const run = (...line: ReadonlyArray<string>) => runWith("", ...line)
  const runWith = (input: string | Uint8Array, ...line: ReadonlyArray<string>) => {
    const { status, stderr, stdout } = spawnSync(process.execPath, args(line), {
      env,
      input,
      encoding: "utf8",
      timeout: 60_000
    })
    return { status, stdout: stdout.trim(), stderr: stderr.trim() }
  }
  try {
    const { stdout: id } = run("create")
    assert.match(id, /^[0-9a-f]{64}$/)
    assert.strictEqual(run("set", id, "city", "Bern").status, 0)
    const file = path.join(home, "some bytes")
    writeFileSync(file, Uint8Array.of(0xff, 0x0a, 0x0a))
    assert.strictEqual(run("set", id, "bytes", "--file", file).status, 0)
    assert.strictEqual(runWith("from a pipe\n", "set", id, "pipe", "--file", "-").status, 0)
    assert.match(run("set", id, "nothing").stderr, /name a value, or a file/)
    const sharing = spawn(process.execPath, args(["share", id, "--write"]), {
      env,
      stdio: ["ignore", "pipe", "ignore"]
    })
    try {
      const ticket = await new Promise<string>((resolve) =>
        sharing.stdout.once("data", (text) => resolve(String(text).trim()))
      )
      const other = ["--store", path.join(home, "other")]
      assert.strictEqual(run("join", ticket, ...other).stdout, id)
      assert.strictEqual(run("get", id, "city", ...other).stdout, "Bern")
      const raw = spawnSync(process.execPath, args(["get", id, "bytes", "--raw", ...other]), { env, timeout: 60_000 })
      assert.deepStrictEqual([...raw.stdout], [0xff, 0x0a, 0x0a])
      assert.strictEqual(run("get", id, "pipe", ...other).stdout, "from a pipe")
      assert.strictEqual(run("set", id, "food", "bread", ...other).status, 0)
      assert.match(
        run("ls", id, ...other).stdout,
        /^bytes {2}3 bytes.*\ncity {2}4 bytes.*\nfood {2}5 bytes.*\npipe {2}12 bytes/
      )
      assert.strictEqual(run("rm", id, "food", ...other).stdout, "1 entries deleted")
      const missing = run("get", id, "food", ...other)
      assert.deepStrictEqual([missing.status, missing.stderr], [1, "Error: there is nothing under food"])
      // One process at a time.
      assert.match(run("ls").stderr, /open already/)
    } finally {
      sharing.kill("SIGKILL")
    }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})
