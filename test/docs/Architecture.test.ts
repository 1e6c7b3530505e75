import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { doorsTable } from "../../tools/docs/doors.ts"
import { packages, rooms } from "../../tools/lint/layers.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const page = readFileSync(`${root}docs/architecture.md`, "utf8")

/** The rows below a head, as cells without their backticks. */
const table = (head: string): ReadonlyArray<ReadonlyArray<string>> => {
  const [, rows = ""] = page.split(`${head}\n`)
  const [body = ""] = rows.split("\n\n")
  return body
    .split("\n")
    .slice(1)
    .map((row) =>
      row
        .slice(2, -2)
        .split(" | ")
        .map((cell) => cell.replaceAll("`", ""))
    )
}

describe("README.md", () => {
  it("names every package", () => {
    const readme = readFileSync(`${root}README.md`, "utf8")
    const named = [...readme.matchAll(/^\| `@aster-effect\/([\w-]+)` \|/gm)].map(([, name]) => name!)
    const there = Object.keys(packages).filter((name) => existsSync(`${root}packages/${name}/package.json`))
    assert.sameMembers(named, there)
  })
})

describe("docs/architecture.md", () => {
  it("has a row for every package that there is, and what it imports", () => {
    const rows = table("| package | knows | imports |")
    assert.deepStrictEqual(
      rows.map(([name, , imports]) => [name, imports]),
      Object.entries(packages)
        .filter(([name]) => existsSync(`${root}packages/${name}/package.json`))
        .map(([name, imports]) => [name, imports.join(", ") || "-"])
    )
  })

  it("has the rooms of core in their order", () => {
    assert.deepStrictEqual(
      table("| room | what is in it |").map(([room]) => room),
      rooms["core"]!.map((room) => `${room}/`)
    )
  })

  it("lists every door: `npm run docs:update` writes the table", () => {
    const [, listed = ""] = page.split("<!-- doors -->\n")
    assert.strictEqual(listed.split("<!-- /doors -->")[0], doorsTable(root))
  })

  const outside = table("| what | import from | names |")

  it("names the doors of checks outside", () => assert.lengthOf(outside, 10))

  it.each(outside)("%s: %s has %s", async (_what, specifier, names) => {
    const module = (await import(specifier!)) as Readonly<Record<string, unknown>>
    for (const name of names!.split(", ")) assert.property(module, name)
  })
})
