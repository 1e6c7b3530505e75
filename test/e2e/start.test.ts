/** The examples, started as the README says. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { runInNewContext } from "node:vm"
import { start } from "../faults/Child.ts"

describe("npm start", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it.live(`prints address, root key and contracts, and ${signal} ends it well`, () =>
      Effect.gen(function* () {
        const child = yield* start("examples/task-runner/index.js")
        const lines: Array<string> = []
        for (let line = ""; line !== "Ctrl+C stops it."; lines.push(line)) line = yield* child.line
        const printed = lines.join("\n")
        assert.match(printed, /^TaskRunner v2 serving at aster1[a-z0-9]+$/im)
        assert.match(printed, /^root public key: \S+$/m)
        assert.match(printed, /^TaskRunner v2: contract [0-9a-f]{64}$/m)
        child.process.kill(signal)
        const ended = yield* Effect.timeout(child.ended, "1 minute")
        assert.deepStrictEqual([ended.code, ended.signal], [0, null])
        // The log is there, and nothing is wrong in it.
        for (const line of ended.stderr.trimEnd().split("\n"))
          assert.match(line, /^[\d:.]{12} (INFO |WARNING) aster — /)
      })
    )
  }

  it.live("ends the producer when npm itself is told to end", () =>
    Effect.gen(function* () {
      const npm = spawn("npm", ["start"], {
        cwd: new URL("../../", import.meta.url),
        stdio: ["ignore", "pipe", "ignore"]
      })
      const exit = once(npm, "exit")
      yield* Effect.addFinalizer(() => Effect.sync(() => npm.kill("SIGKILL")))
      const lines = createInterface({ input: npm.stdout })
      yield* Effect.promise(async () => {
        for await (const line of lines) if (line === "Ctrl+C stops it.") return
      })
      const closed = once(npm.stdout, "close")
      npm.kill("SIGTERM")
      assert.deepStrictEqual(
        yield* Effect.timeout(
          Effect.promise(() => exit),
          "1 minute"
        ),
        [0, null]
      )
      // Open for as long as a process that npm started has it.
      yield* Effect.timeout(
        Effect.promise(() => closed),
        "1 minute"
      )
    })
  )
})

describe("the examples", () => {
  it.live("effect-rpc says the same over a WebSocket and over iroh, and serves a group as a service", () =>
    Effect.gen(function* () {
      for (const transport of ["websocket", "iroh"]) {
        const child = yield* start("examples/effect-rpc/index.js", [transport])
        const lines: Array<string> = []
        while (lines.length < 5) lines.push(yield* child.line)
        assert.deepStrictEqual(lines, ["doubled: 42", "counted: 1", "counted: 2", "counted: 3", "too far: 5000"])
        assert.strictEqual((yield* Effect.timeout(child.ended, "1 minute")).code, 0)
      }
      const child = yield* start("examples/effect-rpc/index.js", ["service"])
      // The server has something to say in between.
      for (const expected of ["1: buy tea", "2: drink it", "there is no note 3"]) {
        while ((yield* child.line) !== expected);
      }
      assert.strictEqual((yield* Effect.timeout(child.ended, "1 minute")).code, 0)
    })
  )

  it.live("demo calls everything and ends", () =>
    Effect.gen(function* () {
      const child = yield* start("examples/demo/index.js")
      assert.strictEqual((yield* Effect.timeout(child.ended, "1 minute")).code, 0)
    })
  )

  it.live("client calls the producer that it is given", () =>
    Effect.gen(function* () {
      const producer = yield* start("examples/task-runner/index.js")
      let address: string | undefined
      while (address === undefined) address = (yield* producer.line).split(" serving at ")[1]
      const client = yield* start("examples/client/index.js", [address])
      assert.strictEqual(yield* client.line, "completed: Processed t-1")
      assert.strictEqual((yield* Effect.timeout(client.ended, "1 minute")).code, 0)
    })
  )

  it.live("say in one line what is wrong with an address", () =>
    Effect.gen(function* () {
      for (const [args, problem] of [
        [["examples/client/index.js"], "missing: pass the producer's address"],
        [["examples/client/index.js", "garbage"], "Bad address"],
        [["examples/client/index.js", "ab".repeat(32)], "Cannot connect"],
        [["examples/kitchen-sink/index.js", "call", "garbage"], "Bad address"]
      ] as const) {
        const [path, ...rest] = args
        const { code, stderr } = yield* Effect.flatMap(start(path, rest), ({ ended }) => ended)
        assert.strictEqual(code, 1)
        assert.match(stderr, /^error: .+\n$/)
        assert.include(stderr, problem)
      }
    })
  )

  it.live("kitchen-sink prints one line for scripts", () =>
    Effect.gen(function* () {
      const child = yield* start("examples/kitchen-sink/index.js", ["serve", "--json"])
      const keys = Object.keys(JSON.parse(yield* child.line) as object)
      assert.deepStrictEqual(keys, ["address", "endpointAddrB64", "endpointId", "directAddresses", "services"])
      child.process.kill("SIGTERM")
      assert.strictEqual((yield* Effect.timeout(child.ended, "1 minute")).code, 0)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(child.line)), "a second line")
    })
  )
})

describe("an old Node.js", () => {
  const script = readFileSync(new URL("../../examples/requireNode.js", import.meta.url), "utf8")
  const run = (node: string) => {
    const said: Array<string> = []
    const codes: Array<number> = []
    const process = { versions: { node }, exit: (code: number) => codes.push(code) }
    runInNewContext(script, { process, console: { error: (text: string) => said.push(text) } })
    return { codes, said }
  }

  it("is told which one is needed", () => {
    for (const version of ["20.19.0", "22.18.0"]) {
      const { codes, said } = run(version)
      assert.deepStrictEqual(codes, [1])
      assert.lengthOf(said, 1)
      assert.include(said[0], `needs Node.js 22.19 or newer, and this is ${version}`)
    }
    assert.deepStrictEqual(run("22.19.0"), { codes: [], said: [] })
  })
})
