import { AsterConfig } from "@aster-effect/config/AsterConfig"
import type { SettingName } from "@aster-effect/config/Settings"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { sandbox } from "../cli/Sandbox.ts"
import { directory, loadIn, nodeA, rootA } from "./Fixture.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const page = readFileSync(`${root}docs/configuration.md`, "utf8")

/** The rows of the table of settings: name, variable, section and key. */
const rows = [...page.matchAll(/^\| `(\w+)` \| `(ASTER_\w+)` \| (?:`\[(\w+)\] (\w+)`|-) \| /gm)].map(
  ([, name, variable, section, key]) => ({ name: name!, variable: variable!, section, key })
)

/** A value for a setting, as text. */
const sample = (name: string): string => {
  if (name.startsWith("allow_all")) return "true"
  if (name === "hook_timeout_ms" || name === "health_port") return "7"
  if (name === "log_mask") return "false"
  return (
    {
      log_format: "json",
      log_level: "debug",
      root_pubkey: rootA,
      secret_key: nodeA.secret,
      relay_mode: "staging",
      bind_addr: "127.0.0.1:0"
    }[name] ?? "x"
  )
}

const settingName = (name: string): SettingName =>
  name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase()) as SettingName

describe("docs/configuration.md", () => {
  it("has every setting", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const { identity, source, warnings, ...settings } = yield* AsterConfig.load({
          environment: false,
          identity: false
        })
        assert.deepStrictEqual([identity, typeof source, warnings], [undefined, "function", []])
        for (const name of Object.keys(settings)) {
          const printed = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
          assert.match(page, new RegExp(`\`(${printed}|${printed.replace(/^(log|health)_/, "")})\``), name)
        }
        assert.lengthOf(rows, 18)
      })
    ))

  it.live.each(rows)("$name", ({ key, name, section, variable }) =>
    Effect.gen(function* () {
      const setting = settingName(name)
      if (name !== "identity_file") {
        const config = yield* loadIn("/", { [variable]: sample(name) }, { identity: false })
        assert.strictEqual(config.source(setting).label, variable)
      }
      if (section === undefined) return
      const text = sample(name)
      const value = /^(true|false|\d)$/.test(text) ? text : `"${text}"`
      const made = yield* directory({ "aster.toml": `[${section}]\n${key} = ${value}\n` })
      const config = yield* loadIn(made, {}, { file: "aster.toml", identity: false })
      assert.strictEqual(config.source(setting).label, `aster.toml [${section}]`)
      assert.deepStrictEqual(config.warnings, [])
    })
  )

  it.effect("prints what it shows", () =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox()
      yield* write("aster.toml", readFileSync(path.join(root, "examples/aster.toml"), "utf8"))
      const { out } = yield* aster("config show --file aster.toml", { env: { ASTER_SECRET_KEY: nodeA.secret } })
      assert.include(page, `\`\`\`text\n${out}\n\`\`\``)
    })
  )

  it.live("quotes errors as they are", () =>
    Effect.gen(function* () {
      const made = yield* directory({ "aster.toml": '[trust]\nallow_all_consumers = "false"\n' })
      const inFile = yield* Effect.flip(loadIn(made, {}, { file: "aster.toml" }))
      const inVariable = yield* Effect.flip(loadIn(made, { ASTER_HOOK_TIMEOUT_MS: "5s" }))
      assert.include(page, `\n${inFile.message}\n${inVariable.message}\n`)
    })
  )
})
