/** What each package is published as. */
import { assert, describe, it } from "@effect/vitest"
import { execFile, execFileSync } from "node:child_process"
import { existsSync, globSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { inject } from "vitest"

const root = fileURLToPath(new URL("../../", import.meta.url))
const tarballs = inject("tarballs")

const tool = (name: string, ...args: ReadonlyArray<string>) =>
  promisify(execFile)(process.execPath, [path.join(root, "node_modules", name), ...args], { maxBuffer: 1 << 26 })

/** What a command printed, whether it succeeded or not: what it found wrong is what a failing test should show. */
const printed = (running: Promise<{ readonly stdout: string; readonly stderr: string }>): Promise<string> =>
  running.then(
    () => "",
    (error: { readonly stdout: string; readonly stderr: string }) => error.stdout + error.stderr
  )

/** Modules that can be imported by name: all but those in proto and internal. */
const doorsOf = (folder: string): ReadonlyArray<string> =>
  globSync("**/*.ts", { cwd: path.join(root, "packages", folder, "src") })
    .filter((file) => file !== "index.ts" && !/(^|\/)(internal|proto)\//.test(file))
    .map((file) => `./${file.replace(/\.ts$/, "")}`)

describe.each(tarballs)("$name", ({ file, folder, name }) => {
  const home = path.join(root, "packages", folder)
  const files = execFileSync("tar", ["-tzf", file], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/^package\//, ""))

  it("has what was built from each source, and nothing else", () => {
    const sources = globSync("**/*.ts", { cwd: path.join(home, "src") })
    const expected = sources.flatMap((source) => {
      const built = source.replace(/\.ts$/, "")
      return [
        `src/${source}`,
        ...[".js", ".js.map", ".d.ts", ".d.ts.map"].map((extension) => `dist/${built}${extension}`)
      ]
    })
    assert.deepStrictEqual(files.filter((each) => /^(src|dist)\//.test(each)).sort(), expected.sort())
  })

  it("has a readme, the license and a manifest that says where it comes from", () => {
    for (const each of ["README.md", "LICENSE", "package.json"]) assert.include(files, each)
    const license = (directory: string) => readFileSync(path.join(directory, "LICENSE"), "utf8")
    assert.strictEqual(license(home), license(root))
    const manifest = JSON.parse(readFileSync(path.join(home, "package.json"), "utf8"))
    assert.deepStrictEqual(manifest.repository.directory, `packages/${folder}`)
    assert.isAtLeast(manifest.keywords.length, 3)
    assert.deepStrictEqual(manifest.engines, { node: ">=22.19" })
    assert.notProperty(manifest.dependencies ?? {}, "effect")
    const readme = readFileSync(path.join(home, "README.md"), "utf8")
    assert.match(readme, new RegExp(`^# ${name}$`, "m"))
    assert.match(readme, /npm install/)
    for (const [link] of readme.matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      assert.fail(`${link}) leads nowhere outside this repository`)
    }
  })

  it("passes publint", async () => {
    assert.strictEqual(await printed(tool("publint/src/cli.js", "run", file, "--strict")), "")
  })

  it("has types for every module that can be imported", async () => {
    const doors = doorsOf(folder)
    const entrypoints = doors.length === 0 ? [] : ["--include-entrypoints", ...doors]
    assert.strictEqual(
      await printed(
        tool("@arethetypeswrong/cli/dist/index.js", file, "--profile", "esm-only", "--no-color", ...entrypoints)
      ),
      ""
    )
  })

  it("exports its doors and nothing from proto and internal", () => {
    const manifest = path.join(home, "package.json")
    assert.isTrue(existsSync(manifest))
    const script = `
      const outcome = (name) => {
        try {
          return require.resolve(name) && "exported"
        } catch ({ code }) {
          return code === "ERR_PACKAGE_PATH_NOT_EXPORTED" ? "closed" : code
        }
      }
      console.log(JSON.stringify(process.argv.slice(1).map((name) => [name, outcome(name)])))`
    const modules = globSync("**/*.ts", { cwd: path.join(home, "src") }).map((each) => each.replace(/\.ts$/, ""))
    const outcomes = JSON.parse(
      execFileSync(process.execPath, ["-e", script, ...modules.map((each) => `${name}/${each}`)], {
        cwd: home,
        encoding: "utf8"
      })
    ) as ReadonlyArray<readonly [string, string]>
    const wrong = outcomes.filter(
      ([each, outcome]) => outcome !== (/\/(internal|proto)\//.test(each) ? "closed" : "exported")
    )
    assert.deepStrictEqual(wrong, [])
  })
})
