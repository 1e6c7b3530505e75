import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const docs = fileURLToPath(new URL("../../docs/", import.meta.url))
const page = readFileSync(path.join(docs, "security.md"), "utf8")
const source = (file: string): string => readFileSync(path.join(docs, file), "utf8")

/** The rows of the tables whose last column links to tests, as cells. */
const rows = page
  .split("\n")
  .filter((line) => /^\| .*\.ts\) \|$/.test(line))
  .map((line) => line.slice(2, -2).split(" | "))

const links = (cells: ReadonlyArray<string>) =>
  [...cells.at(-1)!.matchAll(/\[([^\]]+)\]\((\.\.\/test\/[\w/.-]+)\)/g)].map(
    ([, title, file]) => [title!, file!] as const
  )

/** The titles of a file's tests, and the first words of the rows of its tables of tests; those left out are no tests. */
const titles = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(\.\w+)?[([]\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*,/g)]
    .filter(([, modifier]) => modifier !== ".skip" && modifier !== ".todo")
    .map(([, , double, single]) => (double === undefined ? single! : (JSON.parse(`"${double}"`) as string)))

describe("docs/security.md", () => {
  it("has a test for every attack and every weakness", () => {
    assert.isAtLeast(rows.length, 80)
    for (const row of rows) assert.isAtLeast(links(row).length, 1, row.join(" | "))
  })

  it.each([...new Map(rows.flatMap(links).map((link) => [link.join(" "), link])).values()])(
    "%s is in %s",
    (title, file) => {
      assert.include(titles(source(file)), title)
    }
  )

  it("lists every scenario of an attack", () => {
    const listed = new Set(rows.flatMap(links).map(([title]) => title))
    const files = readdirSync(path.join(docs, "../test/admission/attacks"))
    const scenarios = files.flatMap((file) =>
      [...source(`../test/admission/attacks/${file}`).matchAll(/^ {2}test\(\s*"([^"]*)"/gm)].map(([, title]) => title!)
    )
    assert.isAtLeast(scenarios.length, 30)
    for (const title of scenarios) assert.isTrue(listed.has(title), title)
  })

  it("knows the number of every weakness, and only tests that are named after it or stand for it", () => {
    const numbered = rows.filter(([number]) => /^\d+$/.test(number!))
    assert.deepStrictEqual(
      numbered.map(([number]) => Number(number)),
      Array.from({ length: 24 }, (_, i) => i + 1)
    )
    for (const row of numbered) {
      assert.isTrue(
        links(row).some(([title]) => title.startsWith(`${row[0]}: `)),
        row.join(" | ")
      )
    }
  })

  it("runs its scenarios on both networks", () => {
    for (const file of ["../test/admission/Scenarios.test.ts", "../test/e2e/trust/Trust.test.ts"]) {
      for (const name of ["scenarios", "attacks"]) assert.match(source(file), new RegExp(`=> ${name}\\(\\w+\\)\\)`))
    }
  })
})
