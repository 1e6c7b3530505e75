/** The program of docs/docs.md, as a process, prints what stands there. */
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
