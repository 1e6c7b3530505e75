import { AsterConfig } from "@aster-effect/config/AsterConfig"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger } from "effect"
import { readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { loopback } from "../../examples/loopback.ts"
import { TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"
import { nodeA } from "../config/Fixture.ts"
import { sandbox } from "./Sandbox.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** The lines of the blocks that are marked to be run. */
const lines = [...readFileSync(`${root}docs/cli.md`, "utf8").matchAll(/^```sh aster\n([\s\S]*?)^```$/gm)].flatMap(
  ([, block = ""]) => block.trim().split("\n")
)

/** Splits as a shell would where words are plain, single-quoted or variables. */
const words = (line: string, variables: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain = ""]) => quoted ?? (plain.startsWith("$") ? (variables[plain.slice(1)] ?? plain) : plain)
  )

describe("docs/cli.md", () => {
  it.live("has examples that work, in their order", () =>
    Effect.gen(function* () {
      const { directory, file, read, run } = yield* sandbox()
      // The module's imports are found from there.
      yield* Effect.promise(async () => {
        await fs.symlink(`${root}node_modules`, file("node_modules"))
        await fs.copyFile(`${root}examples/task-runner/TaskRunner.ts`, file("TaskRunner.ts"))
      })
      const ran: Array<string> = []
      const env = { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }
      let address = ""
      for (const line of lines) {
        if (line.includes("$ADDRESS") && address === "") {
          const rootPubkey = JSON.parse(yield* read("root.pub")).public_key
          const server = AsterServer.layer({
            node: loopback,
            config: AsterConfig.load({ environment: false, identity: false }),
            rootPubkey,
            allowAllConsumers: true
          }).pipe(Layer.provide(TaskRunnerLive))
          address = Context.get(yield* Effect.provide(Layer.build(server), Logger.layer([])), AsterServer).address
        }
        const [program, ...args] = words(line, { ADDRESS: address, ENDPOINT_ID: nodeA.id })
        assert.strictEqual(program, "aster")
        const { code, err } = yield* run(args, { env })
        assert.strictEqual(code, 0, `${line}\n${err}`)
        ran.push(args[0]!)
      }
      assert.sameMembers(
        [...new Set(ran)],
        ["keygen", "profile", "enroll", "authorize", "config", "contract", "call", "ticket"]
      )
      assert.isTrue((yield* Effect.promise(() => fs.readdir(directory))).includes("once.token"))
    })
  )
})
