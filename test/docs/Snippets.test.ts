import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../", import.meta.url))
const pages = ["README.md", ...globSync(["docs/**/*.md", "packages/*/README.md"], { cwd: root })]

/** Code blocks that say which file they show: "```ts file=examples/x.ts". */
const blocks = pages.flatMap((page) =>
  [...readFileSync(root + page, "utf8").matchAll(/^```\w+ file=(\S+)\n([\s\S]*?)^```$/gm)].map(
    ([, file, code]) => [page, file!, code!] as const
  )
)

describe("the code in the docs", () => {
  it("is there", () => assert.isAtLeast(blocks.length, 3))

  it.each(blocks)("%s shows %s as it is", (_page, file, code) => {
    assert.strictEqual(code, readFileSync(root + file, "utf8"))
  })
})

/** Modules of packages that a page names. */
const modules = pages.flatMap((page) =>
  [...readFileSync(root + page, "utf8").matchAll(/@aster-effect\/([\w-]+)\/([\w/-]*\w)/g)]
    .filter(([, folder]) => existsSync(`${root}packages/${folder}`))
    .map(([name, folder, module]) => [page, name, `packages/${folder}/src/${module}`] as const)
)

describe("the modules that the docs name", () => {
  it("are there", () => {
    assert.isAtLeast(modules.length, 50)
    for (const [page, name, file] of modules) {
      assert.isTrue(existsSync(`${root}${file}.ts`) || existsSync(root + file), `${page} names ${name}`)
    }
  })
})

describe("what a page says to install", () => {
  it.each(pages.filter((page) => page.endsWith("README.md")))("%s: is all that its code imports", (page) => {
    const text = readFileSync(root + page, "utf8")
    const installed = new Set(
      [...text.matchAll(/^npm install ((?:.*\\\n)*.*)$|`npm install -D ([^`]*)`/gm)].flatMap(([, command, dev]) =>
        (command ?? dev!).split(/[\s\\]+/)
      )
    )
    const imported = [...text.matchAll(/^import .* from "((?:@[\w-]+\/)?[\w-]+)/gm)].map(([, name]) => name!)
    for (const name of imported) assert.isTrue(installed.has(name), name)
  })
})
