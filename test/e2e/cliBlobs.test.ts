import { assert, describe, it } from "@effect/vitest"
import type { ChildProcess } from "node:child_process"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { afterEach, beforeEach } from "vitest"
import { asterProcess, until } from "./asterProcess.ts"

let home: string
let started: Array<ChildProcess>

beforeEach(async () => {
  home = await fs.mkdtemp(path.join(tmpdir(), "aster-blobs-"))
  started = []
})
afterEach(async () => {
  for (const child of started) child.kill("SIGKILL")
  await fs.rm(home, { recursive: true, force: true })
})

/** Starts the command in an empty home directory, without input. */
const aster = (line: string) => {
  const running = asterProcess(home, line.split(" "))
  running.child.stdin.end()
  started.push(running.child)
  return running
}

const json = async (line: string) => {
  const { code, err, out } = await aster(`${line} --json`).ended
  assert.strictEqual(code, 0, err)
  return JSON.parse(out)
}

describe("aster blobs, as processes", () => {
  it("goes from one to another, also when the download is killed on its way", { timeout: 120_000 }, async () => {
    const content = Buffer.alloc(12_000_000)
    for (let i = 0; i < content.length; i++) content[i] = (i * 31 + (i >> 9)) & 0xff
    await fs.writeFile(path.join(home, "in"), content)
    const { hash } = await json("blobs add in --store a")
    const sharing = aster(`blobs share ${hash} --store a`)
    await until(() => sharing.printed.out.endsWith("\n") || sharing.child.exitCode !== null, "the ticket")
    const ticket = sharing.printed.out.trim()
    assert.match(ticket, /^blob[a-z2-7]+$/, sharing.printed.err)

    const killed = aster(`blobs get ${ticket} --store b --output out`)
    const data = path.join(home, "b", "data", `${hash}.data`)
    await until(async () => ((await fs.stat(data).catch(() => undefined))?.size ?? 0) > 6_000_000, "half of it")
    killed.child.kill("SIGKILL")
    assert.strictEqual((await killed.ended).signal, "SIGKILL")
    assert.sameMembers(await fs.readdir(home), ["a", "b", "in"])
    assert.deepInclude((await json("blobs ls --store b"))[0], { hash, state: "partial" })

    const { received } = await json(`blobs get ${ticket} --store b --output out`)
    assert.isAtMost(received, content.length - 4_000_000)
    assert.isTrue(content.equals(await fs.readFile(path.join(home, "out"))))

    sharing.child.kill("SIGINT")
    const { code, err } = await sharing.ended
    assert.strictEqual(code, 130)
    assert.match(err, /MiB sent, completed/)
    // Nobody there any more, and nothing missing: it needs nobody.
    assert.strictEqual((await json(`blobs get ${ticket} --store b --output again`)).received, 0)
    const { code: alone } = await aster(`blobs get ${ticket} --store c --timeout 1`).ended
    assert.strictEqual(alone, 1)
  })
})
