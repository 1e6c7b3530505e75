/** An app of somebody else: an empty project that installs the tarballs beside a later effect of the same major. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build } from "esbuild"
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

/** A program of the app; ends with the test that started it. */
const start = (node: string, args: ReadonlyArray<string>) => {
  const child = spawn(node, args, { cwd: app, stdio: ["ignore", "pipe", "inherit"] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    line: async (): Promise<string> => {
      const next = await lines.next()
      if (next.done === true) throw new Error(`${args.join(" ")} ended`)
      return next.value
    },
    stop: async (signal: NodeJS.Signals): Promise<number | null> => {
      const exit = once(child, "exit")
      child.kill(signal)
      return (await exit)[0] as number | null
    },
    kill: () => child.kill("SIGKILL")
  }
}

/** What a producer prints once it serves. */
const addressOf = async (producer: ReturnType<typeof start>): Promise<string> => {
  for (;;) {
    const [, address] = (await producer.line()).split(" serving at ")
    if (address !== undefined) return address
  }
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

  for (const [name, node] of [
    ["22.19", () => node22],
    [process.versions.node, () => process.execPath]
  ] as const) {
    it(`serves and calls on Node.js ${name}`, async () => {
      assert.include(await run(node(), ["--version"]), `v${name}`)
      const producer = start(node(), ["producer.ts"])
      try {
        const address = await addressOf(producer)
        assert.strictEqual(await run(node(), ["consumer.ts", address]), "completed: Processed t-1\n")
        assert.strictEqual(await producer.stop("SIGTERM"), 0)
      } finally {
        producer.kill()
      }
    })
  }

  it("bundles a server with esbuild", async () => {
    const outfile = path.join(app, "bundle/producer.mjs")
    await build({
      absWorkingDir: app,
      entryPoints: ["producer.ts"],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node22.19",
      external: ["@number0/iroh"],
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
      logLevel: "silent"
    })
    // Of all packages only the native one is still there.
    const deployed = path.join(home, "deployed")
    for (const each of globSync("node_modules/@number0/*", { cwd: app })) {
      cpSync(path.join(app, each), path.join(deployed, each), { recursive: true })
    }
    cpSync(outfile, path.join(deployed, "producer.mjs"))
    const producer = start(node22, [path.join(deployed, "producer.mjs")])
    try {
      const address = await addressOf(producer)
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
