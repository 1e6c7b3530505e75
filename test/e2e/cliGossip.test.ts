import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { asterProcess, until } from "./asterProcess.ts"

const aster = (home: string, args: ReadonlyArray<string>) => asterProcess(home, ["gossip", ...args])

describe("aster gossip, as processes", () => {
  it("what is sent is printed by all who listen, as text and as JSON lines", async () => {
    const home = await fs.mkdtemp(path.join(tmpdir(), "aster-gossip-"))
    const first = aster(home, ["listen", "weather"])
    const children = [first]
    try {
      await until(() => first.printed.err.includes("--peer aster1"), "the address is printed")
      const [ticket] = /aster1\S+/.exec(first.printed.err)!
      const second = aster(home, ["listen", "weather", "--peer", ticket, "--json"])
      children.push(second)
      await until(() => second.printed.err.includes("is a neighbour"), "it has joined")
      const one = aster(home, ["send", "weather", "sunny", "bell\u0007", "--peer", ticket])
      assert.strictEqual((await one.ended).code, 0, one.printed.err)
      const lines = aster(home, ["send", "weather", "--peer", ticket])
      lines.child.stdin.end("rain\n\nsnow\n")
      assert.strictEqual((await lines.ended).code, 0, lines.printed.err)
      await until(() => first.printed.out.split("\n").length > 4, "all is printed")
      assert.sameMembers(first.printed.out.trimEnd().split("\n"), ["sunny", "bell\\u0007", "rain", "snow"])
      await until(() => second.printed.out.split("\n").length > 4, "all is printed there")
      const objects = second.printed.out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as { text: string })
      assert.sameMembers(
        objects.map(({ text }) => text),
        ["sunny", "bell\u0007", "rain", "snow"]
      )
    } finally {
      for (const { child } of children) child.kill("SIGKILL")
      await fs.rm(home, { recursive: true, force: true })
    }
  })

  it("without a peer, and with one that is not there, it says what to do", async () => {
    const home = await fs.mkdtemp(path.join(tmpdir(), "aster-gossip-"))
    try {
      const nobody = aster(home, ["send", "weather", "x"])
      assert.notStrictEqual((await nobody.ended).code, 0)
      assert.include(nobody.printed.err, "--peer")
      const gone = aster(home, ["send", "weather", "x", "--timeout", "1", "--peer", "8a".repeat(32)])
      assert.notStrictEqual((await gone.ended).code, 0)
      assert.include(gone.printed.err, "no member answered")
    } finally {
      await fs.rm(home, { recursive: true, force: true })
    }
  })
})
