/** The programs of the pages, as processes, print what stands there. */
import { assert, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../", import.meta.url))

it("settings of two nodes are shared live", () => {
  const expected = /^```text\n([\s\S]*?)^```$/m.exec(readFileSync(`${root}docs/docs.md`, "utf8"))?.[1]
  const program = `${root}examples/shared-settings/main.ts`
  const { status, stdout } = spawnSync(process.execPath, ["--conditions=@aster-effect/source", program], {
    encoding: "utf8",
    timeout: 50_000
  })
  assert.strictEqual(status, 0)
  assert.strictEqual(stdout, expected)
})

it("five protocols of one node are behind one gate", () => {
  const page = readFileSync(`${root}README.md`, "utf8")
  const expected = /^node examples\/one-node\n```\n\n```text\n([\s\S]*?)^```$/m.exec(page)?.[1]
  const { status, stdout } = spawnSync(process.execPath, [`${root}examples/one-node/index.js`], {
    encoding: "utf8",
    timeout: 50_000
  })
  assert.strictEqual(status, 0)
  assert.strictEqual(stdout, expected)
})
