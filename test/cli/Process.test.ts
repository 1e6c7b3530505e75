import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { seedIn } from "./Sandbox.ts"

const bin = fileURLToPath(new URL("../../packages/cli/bin/aster.js", import.meta.url))

let home: string
beforeAll(() => (home = mkdtempSync(path.join(tmpdir(), "aster-process-"))))
afterAll(() => rmSync(home, { recursive: true, force: true }))

/** The real command in a process of its own, in an empty home directory, without a keyring. */
const aster = (args: ReadonlyArray<string>, input = "") => {
  const { status, stderr, stdout } = spawnSync(process.execPath, ["--conditions=@aster-effect/source", bin, ...args], {
    cwd: home,
    env: { PATH: process.env["PATH"], HOME: home, DBUS_SESSION_BUS_ADDRESS: `unix:path=${home}/none` },
    encoding: "utf8",
    input,
    timeout: 60_000
  })
  return { code: status, out: stdout, err: stderr }
}

describe("the aster process", () => {
  it.each([
    ["--version", 0],
    ["--help", 0],
    ["", 1],
    ["profile use nope", 1],
    ["nope", 2],
    ["config show --nope", 2]
  ])("aster %s exits %d", (line, code) => {
    const { err, out, ...outcome } = aster(line === "" ? [] : line.split(" "))
    assert.strictEqual(outcome.code, code)
    // What was asked for goes to standard output, what went wrong to standard error.
    assert.deepStrictEqual([out === "", err === ""], [code !== 0, code === 0])
    if (code === 2) assert.match(err, /^Error: .*\n(.*\n)*Run aster .*--help for its usage\.\n$/)
  })

  it("prints its own and its libraries' versions", () =>
    assert.match(
      aster(["--version"]).out,
      /^aster \d+\.\d+\.\d+ \(@aster-effect\/core \d.*, effect \d.*, Node\.js \d.*\)\n$/
    ))

  it("goes from key to configuration without a keyring, and says so", () => {
    const refused = aster(["keygen", "root"])
    assert.strictEqual(refused.code, 1)
    assert.match(refused.err, /^Error: no OS keyring is available .*--key-file PATH/)

    const made = aster(["keygen", "root", "--key-file", "root.key"])
    assert.strictEqual(made.code, 0)
    assert.strictEqual(statSync(path.join(home, "root.key")).mode & 0o777, 0o600)
    assert.strictEqual(statSync(path.join(home, ".aster")).mode & 0o777, 0o700)

    const enrolled = aster(["enroll", "node", "--role", "producer", "--name", "p", "--key-file", "root.key"])
    assert.strictEqual(enrolled.code, 0)
    assert.strictEqual(statSync(path.join(home, ".aster-identity")).mode & 0o777, 0o600)

    const shown = aster(["config", "show", "--json"])
    assert.strictEqual(shown.code, 0)
    const root = JSON.parse(readFileSync(path.join(home, "root.pub"), "utf8")).public_key
    assert.deepStrictEqual(JSON.parse(shown.out).trust.root_pubkey, { value: root, source: ".aster-identity" })

    const seed = seedIn(readFileSync(path.join(home, "root.key"), "utf8"))
    for (const { err, out } of [made, enrolled, shown]) assert.notInclude(out + err, seed)
  })

  it("takes a yes from a pipe", () => {
    aster(["profile", "create", "gone"])
    assert.strictEqual(aster(["profile", "delete", "gone"], "y\n").code, 0)
    assert.strictEqual(aster(["profile", "show", "gone"]).code, 1)
  })

  it("works when installed: the built files, without conditions", () => {
    if (!existsSync(path.join(path.dirname(bin), "../dist/main.js"))) assert.fail("build the packages first: tsc -b")
    const { status, stdout } = spawnSync(process.execPath, [bin, "--version"], { encoding: "utf8" })
    assert.strictEqual(status, 0)
    assert.match(stdout, /^aster /)
  })

  it("says nothing of a desktop bus that is not there", () => {
    for (const line of ["keygen root", "profile show default", "enroll node --role consumer --name a"]) {
      const { err, out } = aster(line.split(" "))
      assert.notMatch(err + out, /d-?bus|org\.freedesktop/i)
    }
  })

  it("ends quietly when its reader does", async () => {
    const child = spawn(process.execPath, ["--conditions=@aster-effect/source", bin, "--help"], {
      cwd: home,
      env: { PATH: process.env["PATH"], HOME: home },
      stdio: ["ignore", "pipe", "pipe"]
    })
    child.stdout.destroy()
    let err = ""
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()))
    const [code] = await once(child, "exit")
    assert.deepStrictEqual([code, err], [0, ""])
  })

  it("an empty HOME does not make the working directory the home directory", () => {
    const made = mkdtempSync(path.join(home, "elsewhere-"))
    spawnSync(process.execPath, ["--conditions=@aster-effect/source", bin, "profile", "list"], {
      cwd: made,
      env: { PATH: process.env["PATH"], HOME: "" }
    })
    assert.deepStrictEqual(readdirSync(made), [])
    assert.isFalse(existsSync("/.aster"))
  })
})
