import { assert, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const worker = fileURLToPath(new URL("fullDiskWorker.ts", import.meta.url))
const aster = fileURLToPath(new URL("../../../packages/cli/bin/aster.js", import.meta.url))

const isRoot = process.getuid?.() === 0 && process.platform === "linux"
/** A small disk of its own takes root, which CI is. */
const canMount =
  isRoot &&
  (() => {
    const at = fs.mkdtempSync(join(tmpdir(), "blobs-mount-"))
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", at]).status === 0
    if (mounted) execFileSync("umount", [at])
    fs.rmdirSync(at)
    return mounted
  })()
if (!canMount) console.log("full and read-only disks are not tried: mounting a tmpfs takes root on Linux")

/** Runs a test with a disk of the given size. */
const onDisk = (size: string, body: (path: string) => void) => {
  const at = fs.mkdtempSync(join(tmpdir(), "blobs-disk-"))
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", at])
  try {
    body(at)
  } finally {
    execFileSync("umount", [at])
    fs.rmdirSync(at)
  }
}

const run = (program: string, args: ReadonlyArray<string>, cwd: string) =>
  spawnSync(process.execPath, ["--conditions=@aster-effect/source", program, ...args], {
    cwd,
    encoding: "utf8",
    timeout: 60_000,
    env: { ...process.env, HOME: cwd, ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }
  })

/** Takes all room but some bytes. */
const fill = (path: string, leave = 0) => {
  const { bavail, bsize } = fs.statfsSync(path)
  fs.writeFileSync(join(path, "fill"), Buffer.alloc(Math.max(0, bavail * bsize - leave)))
}

describe.skipIf(!canMount && process.env["CI"] === undefined)("a store on a disk", () => {
  for (const how of ["held", "watched", "free", "partial"]) {
    it(`that is full when a blob is to be recorded is never ahead of it: ${how}`, { timeout: 180_000 }, () => {
      // At some of these sizes the files fit and the record does not.
      for (const leave of [8192, 49_152, 53_248, 65_536]) {
        onDisk("600k", (path) => {
          const { status, stderr, stdout } = run(worker, [path, how, `${leave}`], path)
          assert.strictEqual(status, 0, `${leave}: ${stdout}${stderr}`)
        })
      }
    })
  }

  it("that is full or cannot be written is listed, shared and read all the same", { timeout: 180_000 }, () => {
    onDisk("4m", (path) => {
      const [home] = [fs.mkdtempSync(join(tmpdir(), "blobs-home-"))]
      const store = join(path, "store")
      fs.writeFileSync(join(home, "a"), Buffer.alloc(100_000, "a"))
      const added = run(aster, ["blobs", "add", "a", "--store", store, "--tag", "a", "--json"], home)
      assert.strictEqual(added.status, 0, added.stderr)
      const hash: string = JSON.parse(added.stdout).hash
      const list = () => {
        const listed = run(aster, ["blobs", "ls", "--store", store, "--json"], home)
        assert.strictEqual(listed.status, 0, listed.stderr)
        assert.deepInclude(JSON.parse(listed.stdout)[0], { hash, state: "complete" })
      }
      fill(path)
      list()
      const out = run(aster, ["blobs", "get", hash, "--store", store, "-o", "out"], home)
      assert.strictEqual(out.status, 0, out.stderr)
      fs.rmSync(join(path, "fill"))
      // A crash leaves the log beside the database.
      const crashed = run(worker, [path, "crash", "0"], path)
      assert.strictEqual(crashed.signal, "SIGKILL")
      assert.isAbove(fs.statSync(join(path, "crashed", "blobs.db-wal")).size, 0)
      execFileSync("mount", ["-o", "remount,ro", path])
      list()
      const logged = run(aster, ["blobs", "ls", "--store", join(path, "crashed"), "--json"], home)
      assert.strictEqual(logged.status, 0, logged.stderr)
      assert.lengthOf(JSON.parse(logged.stdout), 1)
      const refused = run(aster, ["blobs", "add", "a", "--store", store], home)
      assert.strictEqual(refused.status, 1)
      assert.match(refused.stderr, /^Error: .*(EROFS|read-only|disk I\/O)/m)
      fs.rmSync(home, { recursive: true })
    })
  })
})
