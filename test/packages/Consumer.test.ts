/** An app of somebody else: an empty project that installs the tarballs beside a later effect of the same major. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, inject } from "vitest"

const root = fileURLToPath(new URL("../../", import.meta.url))
const tarballs = inject("tarballs")
const home = mkdtempSync(path.join(tmpdir(), "consumer-"))
const app = path.join(home, "app")

const run = async (command: string, args: ReadonlyArray<string>, cwd = app): Promise<string> => {
  try {
    return (await promisify(execFile)(command, args, { cwd, maxBuffer: 1 << 26 })).stdout
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { readonly stdout?: string; readonly stderr?: string }
    throw new Error(`${command} ${args.join(" ")}\n${stdout}${stderr}`, { cause: error })
  }
}

const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]

const version = (name: string): string =>
  (JSON.parse(readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")) as { version: string })
    .version

const pinned = (name: string): string => `${name}@${version(name)}`

/** The effect that this repository has, under a later version: the next minor is not ours to have. */
const laterEffect = async (): Promise<string> => {
  const copy = path.join(home, "effect")
  cpSync(path.join(root, "node_modules/effect"), copy, { recursive: true, dereference: true })
  const manifest = JSON.parse(readFileSync(path.join(copy, "package.json"), "utf8"))
  writeFileSync(path.join(copy, "package.json"), JSON.stringify({ ...manifest, version: "4.99.0", scripts: {} }))
  return path.join(home, (await run("npm", ["pack", "--silent", "--pack-destination", home, copy], home)).trim())
}

/** The oldest Node.js that is supported; what runs the tests is the newest. */
const installNode22 = async (): Promise<string> => {
  const directory = path.join(home, "node22")
  cpSync(path.join(root, "test/packages/node22"), directory, { recursive: true })
  await run("npm", ["ci", ...quiet], directory)
  return path.join(directory, "node_modules/.bin/node")
}

/** The fenced blocks of a page: language, the file that is shown or `run`, text. */
const blocks = (page: string) =>
  [...readFileSync(path.join(root, page), "utf8").matchAll(/^```(\w+)(?: (?:file=)?(\S+))?\n([\s\S]*?)^```$/gm)].map(
    ([, language, file, text]) => ({ language: language!, file, text: text! })
  )

/** Whether a program printed what a page says, where … stands for what differs. */
const assertPrinted = (actual: string, shown: string): void => {
  const pattern = shown.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
  if (!new RegExp(`^${pattern.join("[^]*?")}$`).test(actual)) assert.strictEqual(actual, shown)
}

/** A program of the app; ends with the test that started it. */
const start = (node: string, args: ReadonlyArray<string>) => {
  const child = spawn(node, args, { cwd: app, stdio: ["ignore", "pipe", "inherit"] })
  const lines = createInterface({ input: child.stdout })
  return {
    /** All that it prints up to this line. */
    until: async (last: string): Promise<string> => {
      let printed = ""
      for await (const line of lines) {
        printed += `${line}\n`
        if (line === last) return printed
      }
      throw new Error(`${args.join(" ")} ended after\n${printed}`)
    },
    stop: async (signal: NodeJS.Signals): Promise<number | null> => {
      const exit = once(child, "exit")
      child.kill(signal)
      return (await exit)[0] as number | null
    },
    kill: () => child.kill("SIGKILL")
  }
}

const addressIn = (printed: string): string => / serving at (\S+)/.exec(printed)![1]!

/** What the README says that a file of it prints: the next block of text. */
const outputOf = (name: string): string => {
  const shown = blocks("README.md")
  const from = shown.findIndex(({ file }) => file === `examples/task-runner/${name}`)
  return shown.slice(from).find(({ language }) => language === "text")!.text
}

let node22 = ""

beforeAll(async () => {
  mkdirSync(app)
  writeFileSync(path.join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))
  const effect = await laterEffect()
  const tools = ["typescript", "@types/node", "vitest", "@effect/vitest", "@effect/platform-node"].map(pinned)
  await run("npm", ["install", ...quiet, effect, ...tools, ...tarballs.map(({ file }) => file)])
  node22 = await installNode22()
  const compilerOptions = {
    target: "es2024",
    module: "nodenext",
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    resolveJsonModule: true,
    noEmit: true
  }
  writeFileSync(path.join(app, "tsconfig.json"), JSON.stringify({ compilerOptions }))
  for (const { file, text } of blocks("README.md")) {
    if (file?.startsWith("examples/") === true) writeFileSync(path.join(app, path.basename(file)), text)
  }
  cpSync(path.join(root, "examples"), path.join(app, "examples"), {
    recursive: true,
    filter: (source) => !/(tsconfig|package)\.json$/.test(source)
  })
})

afterAll(() => rmSync(home, { recursive: true, force: true }))

describe("an app", () => {
  it("has one copy of effect, its own", async () => {
    const copies = globSync("**/node_modules/effect/package.json", { cwd: app })
    assert.deepStrictEqual(copies, ["node_modules/effect/package.json"])
    assert.include(readFileSync(path.join(app, copies[0]!), "utf8"), '"version":"4.99.0"')
  })

  it("on an effect that is too old is told so by npm", async () => {
    const old = path.join(home, "old")
    mkdirSync(old)
    writeFileSync(path.join(old, "package.json"), JSON.stringify({ private: true, dependencies: { effect: "4.0.6" } }))
    const install = run("npm", ["install", ...quiet, "--package-lock-only", ...tarballs.map(({ file }) => file)], old)
    const refused = await install.then(
      () => "installed",
      (error: Error) => error.message
    )
    assert.match(refused, /ERESOLVE[\s\S]*peer effect@"\^4\.1\.0"/)
  })

  it("compiles, libraries checked as well: the README's code and that of all examples", async () => {
    await run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."])
  })

  it("tests its service as the README says", async () => {
    await run(process.execPath, ["node_modules/vitest/vitest.mjs", "run", "--dir", ".", "TaskRunner.test.ts"])
  })

  it.each(["options.ts", "interceptor.ts"])("runs %s, which prints what the README says", async (name) => {
    assertPrinted(await run(process.execPath, [name]), outputOf(name))
  })

  for (const [name, node] of [
    ["22.19", () => node22],
    [process.versions.node, () => process.execPath]
  ] as const) {
    it(`serves and calls on Node.js ${name}, and prints what the README says`, async () => {
      assert.include(await run(node(), ["--version"]), `v${name}`)
      const producer = start(node(), ["producer.ts"])
      try {
        const printed = await producer.until("Ctrl+C stops it.")
        assertPrinted(printed, outputOf("producer.ts"))
        assertPrinted(await run(node(), ["consumer.ts", addressIn(printed)]), outputOf("consumer.ts"))
        assert.strictEqual(await producer.stop("SIGTERM"), 0)
      } finally {
        producer.kill()
      }
    })
  }

  it("bundles a server with esbuild as docs/running.md says", async () => {
    const command = blocks("docs/running.md").find(({ text }) => text.startsWith("esbuild "))!.text
    await run("sh", ["-c", `PATH="${path.join(root, "node_modules/.bin")}:$PATH"; ${command}`])
    // Of all packages only the native one is still there.
    const deployed = path.join(home, "deployed")
    cpSync(path.join(app, "node_modules/@number0"), path.join(deployed, "node_modules/@number0"), { recursive: true })
    cpSync(path.join(app, "producer.mjs"), path.join(deployed, "producer.mjs"))
    const producer = start(node22, [path.join(deployed, "producer.mjs")])
    try {
      const address = addressIn(await producer.until("Ctrl+C stops it."))
      assert.strictEqual(await run(node22, ["consumer.ts", address]), "completed: Processed t-1\n")
      assert.strictEqual(await producer.stop("SIGINT"), 0)
    } finally {
      producer.kill()
    }
  })
})

describe("the readme of", () => {
  it.each(tarballs)("$name shows code that prints what it says", async ({ folder }) => {
    const shown = blocks(`packages/${folder}/README.md`)
    const code = shown.find(({ language }) => language === "ts")
    const command = shown.find(({ file, language }) => language === "sh" && file === "run")?.text ?? `node ${folder}.ts`
    assert.isDefined(code?.file)
    writeFileSync(path.join(app, `${folder}.ts`), code!.text)
    const output = shown.find(({ language }) => language === "text")
    assert.strictEqual(await run("sh", ["-c", command]), output?.text)
  })
})
