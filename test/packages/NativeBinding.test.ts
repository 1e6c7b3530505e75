/** The native binding as an app without Rust gets it: from a package that carries the addon for its platform. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { execFile } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { inject } from "vitest"
import { target } from "../../packages/iroh-native/src/internal/addon.ts"
import { makePackage } from "../../tools/native/targets.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const addon = path.join(root, `packages/iroh-native/native/iroh-native.${target()}.node`)
const isBuilt = existsSync(addon)
if (!isBuilt) console.log("The addon is not built, so its package is not tested: npm run build:native")

const home = mkdtempSync(path.join(tmpdir(), "native-"))
const app = path.join(home, "app")
afterAll(() => rmSync(home, { recursive: true, force: true }))

const run = (command: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = process.env) =>
  promisify(execFile)(command, args, { cwd: app, env, maxBuffer: 1 << 26 })

const npm = (...args: ReadonlyArray<string>) =>
  run("npm", [...args, "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"])

/** Two nodes that talk, on the binding that is asked for; what goes wrong is printed. */
const program = `
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"

const node = (options) =>
  Effect.map(Layer.build(Layer.fresh(IrohNode.layer({ ...loopback, ...options }))), (context) => Context.get(context, IrohNode))
const talk = Effect.gen(function* () {
  const binding = process.argv[2]
  const [a, b] = [yield* node({ alpns: ["app/1"], binding }), yield* node({ binding })]
  const accepting = yield* Effect.forkChild(a.accept)
  const client = yield* b.connect(yield* a.address, "app/1")
  const server = yield* Fiber.join(accepting)
  const { send } = yield* client.openBi
  yield* send.write(new TextEncoder().encode("hello"))
  const { recv } = yield* server.acceptBi
  console.log(new TextDecoder().decode(yield* recv.read()))
})
await Effect.runPromise(Effect.catch(Effect.scoped(talk), (error) => Effect.sync(() => console.log(error.reason + ": " + error.message))))
`

/** Nothing of this machine's but Node: no cargo, no repository. */
const talk = (binding: string) =>
  run(process.execPath, ["talk.mjs", binding], { PATH: path.dirname(process.execPath), HOME: home })

describe.skipIf(!isBuilt)("an app with @aster-effect/iroh-native", () => {
  beforeAll(async () => {
    mkdirSync(app, { recursive: true })
    writeFileSync(path.join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))
    writeFileSync(path.join(app, "talk.mjs"), program)
    const wanted = inject("tarballs").filter(({ folder }) => folder === "iroh" || folder === "iroh-native")
    await npm("install", path.join(root, "node_modules/effect"), "--install-links", ...wanted.map(({ file }) => file))
  })

  it("goes on without an addon, unless it asks for one", async () => {
    const { stderr, stdout } = await talk("auto")
    assert.strictEqual(stdout, "hello\n")
    assert.strictEqual(stderr, "")
    assert.match((await talk("native")).stdout, /^NoNativeBinding: .*choose the binding "number0"/)
  })

  it("takes the addon from its platform's package, and says so", async () => {
    const folder = makePackage(addon, target(), path.join(home, "packages"))
    const packed = (await run("npm", ["pack", "--silent", "--pack-destination", home, folder])).stdout.trim()
    await npm("install", path.join(home, packed))
    const { stderr, stdout } = await talk("auto")
    assert.strictEqual(stdout, "hello\n")
    assert.include(stderr, "@aster-effect/iroh-native")
    assert.isTrue(
      existsSync(path.join(app, `node_modules/@aster-effect/iroh-native-${target()}/THIRD-PARTY-LICENSES.md`))
    )
  })

  it("is told what to do when the addon is broken", async () => {
    const installed = path.join(app, `node_modules/@aster-effect/iroh-native-${target()}`)
    writeFileSync(path.join(installed, `iroh-native.${target()}.node`), "not an addon")
    for (const binding of ["auto", "native"]) {
      assert.match((await talk(binding)).stdout, /^BrokenNativeBinding: .*choose the binding "number0"/)
    }
    assert.strictEqual((await talk("number0")).stdout, "hello\n")
  })
})
