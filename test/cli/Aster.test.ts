import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { sandbox } from "./Sandbox.ts"

const commands = [
  "keygen root",
  "keygen producer",
  "profile list",
  "profile create",
  "profile use",
  "profile show",
  "profile delete",
  "enroll node",
  "authorize",
  "authorize consumer",
  "config show",
  "contract gen",
  "contract inspect",
  "call",
  "ticket decode"
]

describe("aster", () => {
  it.effect.each(commands)("%s has help", (line) =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      const { code, err, out } = yield* aster(`${line} --help`)
      assert.deepStrictEqual([code, err], [0, ""])
      assert.include(out, `USAGE\n  aster ${line}`)
    })
  )

  it.effect.each(["aster", ...new Set(commands.map((line) => line.split(" ")[0]!))])(
    "%s without its subcommand or arguments does nothing",
    (line) =>
      Effect.gen(function* () {
        const { list, run } = yield* sandbox()
        const { code, err, out } = yield* run(line === "aster" ? [] : [line])
        const misuse = line === "call" || line === "authorize"
        assert.deepStrictEqual([code, out], [misuse ? 2 : 1, ""])
        assert.include(err, misuse ? "Error: " : "SUBCOMMANDS")
        assert.deepStrictEqual(yield* list("~/"), [])
      })
  )

  it.effect.each([
    ["keygn", 'Unknown subcommand "keygn"'],
    ["keygen rot", 'Unknown subcommand "rot"'],
    ["config show --jsn", "--json"],
    ["config show extra", "extra"],
    ["ticket decode", "ticket"],
    ["profile create", "name"],
    ["enroll node --role boss --name x", "producer"]
  ] as const)("%s is a usage error", ([line, words]) =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      const { code, err, out } = yield* aster(line)
      assert.deepStrictEqual([code, out], [2, ""])
      assert.match(err, /^Error: /)
      assert.match(err, /Run aster .*--help for its usage\.$/)
      assert.include(err, words)
    })
  )

  it.effect("18: has no gateway for agents, which would confirm on the channel that agents write to", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      assert.strictEqual((yield* aster("mcp")).code, 2)
    })
  )

  it.effect.each(["bash", "zsh", "fish", "powershell"])("prints completions for %s", (shell) =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      const { code, out } = yield* aster(`--completions ${shell}`)
      assert.strictEqual(code, 0)
      for (const word of ["keygen", "enroll", "capabilities", "key-file"]) assert.include(out, word)
      if (shell === "bash") assert.strictEqual(spawnSync("bash", ["-n"], { input: out }).status, 0)
    })
  )
})
