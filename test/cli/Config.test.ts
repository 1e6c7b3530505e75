import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { identityText, nodeA, rootA, rootB } from "../config/Fixture.ts"
import { sandbox } from "./Sandbox.ts"

describe("aster config show", () => {
  it.effect("prints values with their sources, secrets masked", () =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox()
      yield* write("aster.toml", '[network]\nrelay_mode = "disabled"\n')
      const { code, out } = yield* aster("config show --file aster.toml", { env: { ASTER_SECRET_KEY: nodeA.secret } })
      assert.strictEqual(code, 0)
      assert.match(out, /^ {2}\[trust\]\n {4}root_pubkey {17}: <not set> +\(default\)$/m)
      assert.match(out, /relay_mode +: disabled +\(aster\.toml \[network\]\)/)
      assert.match(out, new RegExp(`secret_key +: \\*{4}\\.\\.\\.${nodeA.id.slice(-8)} +\\(ASTER_SECRET_KEY\\)`))
      assert.notInclude(out, nodeA.secret)
    })
  )

  it.effect("--json prints one document and nothing else on standard output", () =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox()
      yield* write(".aster-identity", identityText({}))
      const { code, out } = yield* aster("config show --json")
      assert.strictEqual(code, 0)
      const json = JSON.parse(out)
      assert.deepStrictEqual(json.trust.root_pubkey, { value: rootA, source: ".aster-identity" })
      assert.deepStrictEqual(json.network.secret_key, {
        value: `****...${nodeA.id.slice(-8)}`,
        source: ".aster-identity"
      })
      assert.deepStrictEqual(json.trust.allow_all_producers, { value: true, source: "default" })
    })
  )

  it.effect("a file cannot put control characters onto the terminal", () =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox()
      yield* write("aster.toml", '[connect]\nendpoint_addr = "\\u001b[2J\\u009b"\n')
      const text = yield* aster("config show --file aster.toml")
      assert.include(text.out, "endpoint_addr               : \\u001b[2J\\u009b")
      const json = yield* aster("config show --file aster.toml --json")
      assert.strictEqual(JSON.parse(json.out).connect.endpoint_addr.value, "\u001b[2J\u009b")
      // oxlint-disable-next-line no-control-regex -- what must not be there
      for (const { out } of [text, json]) assert.notMatch(out, /[\u001b\u009b]/)
    })
  )

  it.effect("warns on standard error", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      const { err, out } = yield* aster("config show --json")
      assert.include(err, "Warning: dev mode")
      assert.isObject(JSON.parse(out))
    })
  )

  it.effect("shows an entry that its root key did not sign, with a warning", () =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox()
      yield* write(".aster-identity", identityText({ name: "forged" }))
      const { code, err } = yield* aster("config show --json")
      assert.strictEqual(code, 0)
      assert.match(err, /^Warning: \.aster-identity: the credential's signature is not valid .*\(entry "forged"\)$/m)
    })
  )

  it.effect("works for a consumer's directory, also when its credential has expired", () =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox()
      yield* write(".aster-identity", identityText({ role: "consumer", expiresAt: 0 }))
      const { code, err, out } = yield* aster("config show --json")
      assert.strictEqual(code, 0)
      assert.include(err, "expired")
      assert.strictEqual(JSON.parse(out).trust.root_pubkey.value, rootA)
    })
  )

  it.effect.each([
    ["a variable", "config show", { ASTER_ALLOW_ALL_CONSUMERS: "maybe" }, "ASTER_ALLOW_ALL_CONSUMERS"],
    ["a missing file", "config show --file nowhere.toml", {}, "nowhere.toml"],
    ["a missing identity", "config show", { ASTER_IDENTITY_FILE: "/nowhere/identity" }, "ASTER_IDENTITY_FILE"],
    ["two anchors", "config show", { ASTER_ROOT_PUBKEY: rootB }, rootB]
  ] as const)("fails over %s", ([, line, env, words]) =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox()
      yield* write(".aster-identity", identityText({}))
      const { code, err, out } = yield* aster(line, { env })
      assert.deepStrictEqual([code, out], [1, ""])
      assert.match(err, /^Error: /m)
      assert.include(err, words)
    })
  )
})
