import { AsterConfig } from "@aster-effect/config/AsterConfig"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"
import { nodeA } from "../config/Fixture.ts"
import { sandbox } from "./Sandbox.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

const page = readFileSync(`${root}docs/cli.md`, "utf8")

/** The lines of the blocks that are marked to be run. */
const lines = [...page.matchAll(/^```sh aster\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
  block.trim().split("\n")
)

/** What files that commands read are to have in them, by name. */
const contents = new Map(
  [...page.matchAll(/^```text in=(\S+)\n([\s\S]*?)^```$/gm)].map(([, name, text]) => [name, text])
)

/** Splits as a shell would where words are plain, single-quoted or variables. */
const words = (line: string, variables: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain = ""]) => quoted ?? (plain.startsWith("$") ? (variables[plain.slice(1)] ?? plain) : plain)
  )

describe("docs/cli.md", () => {
  it.live("has examples that work, in their order", () =>
    Effect.gen(function* () {
      const { directory, file, read, run, start } = yield* sandbox()
      // The module's imports are found from there.
      yield* Effect.promise(async () => {
        await fs.symlink(`${root}node_modules`, file("node_modules"))
        await fs.copyFile(`${root}examples/task-runner/TaskRunner.ts`, file("TaskRunner.ts"))
      })
      const ran: Array<string> = []
      const env = { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }
      const variables: Record<string, string> = { ENDPOINT_ID: nodeA.id }
      let interrupt: Effect.Effect<unknown> = Effect.void
      for (const line of lines) {
        if (line.includes("$ADDRESS") && variables["ADDRESS"] === undefined) {
          const rootPubkey = JSON.parse(yield* read("root.pub")).public_key
          const server = AsterServer.layer({
            node: loopback,
            config: AsterConfig.load({ environment: false, identity: false }),
            rootPubkey,
            allowAllConsumers: true
          }).pipe(Layer.provide(TaskRunnerLive))
          const context = yield* Effect.provide(Layer.build(server), Logger.layer([]))
          const { address, blobs } = Context.get(context, AsterServer)
          variables["ADDRESS"] = address
          variables["BLOB"] = (yield* blobs.addBytes(new TextEncoder().encode("model weights v2.1"))).hash
        }
        const [command = "", input] = line.split(" < ")
        const [program, ...args] = words(command, variables)
        assert.strictEqual(program, "aster")
        ran.push(args[0]!)
        if (args[1] === "share") {
          const sharing = yield* start(args, { env })
          variables["TICKET"] = yield* sharing.out
          interrupt = Fiber.interrupt(sharing.fiber)
          continue
        }
        const stdin = input === undefined ? undefined : [contents.get(input) ?? assert.fail(`no ${input} on the page`)]
        const { code, err, out } = yield* run(args, { env, stdin })
        assert.strictEqual(code, 0, `${line}\n${err}`)
        if (line.includes("$TICKET")) yield* interrupt
        variables["HASH"] = /"hash": "(\w+)"/.exec(out)?.[1] ?? variables["HASH"] ?? ""
      }
      assert.sameMembers(
        [...new Set(ran)],
        [
          "keygen",
          "profile",
          "enroll",
          "authorize",
          "config",
          "contract",
          "call",
          "ticket",
          "blobs",
          "credential",
          "services",
          "shell"
        ]
      )
      const made = yield* Effect.promise(() => fs.readdir(directory))
      assert.includeMembers(made, ["once.token", "copy"])
    })
  )
})
