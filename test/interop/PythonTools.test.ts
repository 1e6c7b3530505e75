/** The reference's shell, MCP gateway and client generator, each at a producer of its own and at ours: what they show is the same. */
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { KitchenJsonLive, KitchenSinkLive } from "../../examples/kitchen-sink/KitchenSink.ts"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"
import { settings } from "../admission/Deployment.ts"
import { KitchenSessionLive } from "./KitchenSession.ts"
import { PythonReference } from "./PythonReference.ts"

const services = Layer.mergeAll(KitchenSinkLive, KitchenJsonLive, KitchenSessionLive, TaskRunnerLive)

/** A home of its own: the reference keeps what it has seen of a producer for 30 days. */
const home = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(path.join(tmpdir(), "aster-tools-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** The addresses of both producers, which serve the same services. */
const producers = Effect.gen(function* () {
  const { producer } = yield* PythonReference
  const server = AsterServer.layer({ node: loopback, config: settings() }).pipe(
    Layer.provide([services, Logger.layer([])])
  )
  const ours = Context.get(yield* Layer.build(Layer.fresh(server)), AsterServer).address
  return [(yield* producer()).address, ours] as const
})

/** What Python spells as a float, this project spells as the number it is. */
const spelled = (text: string): string => text.replaceAll(/\b(\d+)\.0\b/g, "$1")

const generated = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(py|ts)$/.test(name))
      // The task runners of the two have other defaults.
      .filter((name) => !/task.runner/.test(name))
      .toSorted()
      .map((name) => [
        name,
        spelled(readFileSync(path.join(directory, name), "utf8").replaceAll(/^.*(aster1|Generated at).*$/gm, ""))
      ])
  )

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })("tools of release 0.1.2", (it) => {
  it.effect("the shell describes the services and calls them", () =>
    Effect.gen(function* () {
      const { shell } = yield* PythonReference
      const [theirs, ours] = yield* Effect.forEach(yield* producers, (address) =>
        Effect.gen(function* () {
          const at = yield* home
          const { code, out } = yield* shell({ home: at, directory: at }, address, [
            "cd /services/KitchenSink",
            "describe /services/KitchenSink",
            "describe /services/KitchenSession",
            "ls",
            "./say_hello name=World"
          ])
          assert.strictEqual(code, 0)
          return out.replaceAll(/\(\d+ms\)|^.*(Connected to|your node).*$/gm, "")
        })
      )
      assert.include(theirs, "Hello, World!")
      assert.include(theirs, "say_hello (unary)")
      assert.strictEqual(spelled(ours!), spelled(theirs!))
    })
  )

  it.effect("the MCP gateway offers the methods and calls one", () =>
    Effect.gen(function* () {
      const { script } = yield* PythonReference
      const tools = new URL("python/mcp_tools.py", import.meta.url).pathname
      const [theirs, ours] = yield* Effect.forEach(yield* producers, (address) =>
        Effect.gen(function* () {
          const at = yield* home
          const args = [address, "KitchenSink.say_hello", '{"name":"World"}', "KitchenSink.say_hello"]
          return JSON.parse(yield* script(tools, args, { HOME: at })) as { readonly tools: ReadonlyArray<unknown> }
        })
      )
      assert.lengthOf(theirs!.tools, 1)
      assert.deepStrictEqual(ours, theirs)
    })
  )

  for (const language of ["python", "typescript"]) {
    it.effect(`clients are generated in ${language}`, () =>
      Effect.gen(function* () {
        const { aster } = yield* PythonReference
        const [theirs, ours] = yield* Effect.forEach(yield* producers, (address) =>
          Effect.gen(function* () {
            const at = yield* home
            const out = path.join(at, "out")
            const args = ["contract", "gen-client", address, "--out", out, "--lang", language, "--package", "kitchen"]
            const ran = yield* aster({ home: at, directory: at }, args)
            assert.strictEqual(ran.code, 0, ran.err)
            return generated(out)
          })
        )
        assert.isAbove(Object.keys(theirs!).length, 8)
        assert.deepStrictEqual(ours, theirs)
      })
    )
  }
})
