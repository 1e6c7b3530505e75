import { Keyring } from "@aster-effect/cli/Keyring"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { sandbox } from "./Sandbox.ts"

const settings = "~/.aster/config.toml"
const key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"

describe("aster profile", () => {
  it.effect("creates, lists, uses, shows and deletes", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      assert.include((yield* aster("profile list")).out, "aster profile create")
      assert.strictEqual((yield* aster("profile create prod")).code, 0)
      yield* aster("profile create dev")
      assert.strictEqual(
        (yield* aster("profile list")).out,
        "  dev  root_pubkey=<no root key>\n  prod *  root_pubkey=<no root key>"
      )
      assert.strictEqual((yield* aster("profile use dev")).code, 0)
      const shown = (yield* aster("profile show")).out
      assert.include(shown, "Profile: dev (active)")
      assert.include(shown, "handle_status: unregistered")
      assert.include(shown, "root_privkey: <not set>")
      assert.include((yield* aster("profile show prod")).out, "Profile: prod\n")
      assert.strictEqual((yield* aster("profile delete dev --yes")).code, 0)
      assert.include((yield* aster("profile list")).out, "prod *")
    })
  )

  it.effect("masks the private key", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      yield* aster("keygen root")
      assert.include((yield* aster("profile show")).out, "root_privkey: **** (in the OS keyring)")
    })
  )

  it.effect("deleting takes the root key out of the keyring", () =>
    Effect.gen(function* () {
      const { aster, keyring } = yield* sandbox()
      yield* aster("keygen root")
      yield* aster("profile delete default -y")
      assert.isTrue(Option.isNone(yield* keyring.get("default")))
    })
  )

  it.effect.each([
    [["y"], true],
    [[" YES "], true],
    [["n"], false],
    [[""], false],
    [[], false]
  ] as const)("asked, %j deletes: %s", ([input, deleted]) =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      yield* aster("profile create prod")
      const { code, out } = yield* aster("profile delete prod", { input })
      assert.strictEqual(code, 0)
      assert.include(out, "[y/N]")
      assert.strictEqual((yield* aster("profile show prod")).code, deleted ? 1 : 0)
    })
  )

  it.effect.each([
    ["profile create prod", 'profile "prod" exists already'],
    ["profile create a.b", "letters, digits, hyphens and underscores"],
    ["profile create ../x", "letters, digits, hyphens and underscores"],
    ["profile use nope", "there are: prod"],
    ["profile show nope", "there are: prod"],
    ["profile delete nope --yes", "there are: prod"]
  ] as const)("%s is refused", ([line, words]) =>
    Effect.gen(function* () {
      const { aster, read } = yield* sandbox()
      yield* aster("profile create prod")
      const before = yield* read(settings)
      const { code, err } = yield* aster(line)
      assert.strictEqual(code, 1)
      assert.include(err, words)
      assert.strictEqual(yield* read(settings), before)
    })
  )

  it.effect("keeps tables and keys it does not know", () =>
    Effect.gen(function* () {
      const { aster, mode, read, write } = yield* sandbox()
      yield* write(
        settings,
        `active_profile = "prod"\nother = [1, "zwei"]\n\n[aster_service]\nnode_id = "n"\n\n[profiles.prod]\nroot_pubkey = "${key}"\nnote = "a \\"quote\\""\n\n[shell]\nfirst_time = false\n\n[shell.colors]\nprompt = "red"\n`,
        0o644
      )
      assert.strictEqual((yield* aster("profile create dev")).code, 0)
      const text = yield* read(settings)
      for (const line of [
        'active_profile = "prod"',
        'other = [1, "zwei"]',
        'node_id = "n"',
        `root_pubkey = "${key}"`,
        'note = "a \\"quote\\""',
        "[shell]\nfirst_time = false",
        '[shell.colors]\nprompt = "red"',
        "[profiles.dev]"
      ]) {
        assert.include(text, line)
      }
      assert.strictEqual(yield* mode(settings), "600")
      assert.strictEqual((yield* aster("profile show prod")).out.includes(`note: a "quote"`), true)
    })
  )

  it.effect.each([
    ["profiles = 1", "profiles: expected a table"],
    ["active_profile = 1", "active_profile: expected a string"],
    ["[profiles]\nx = 1", "[profiles.x]: expected a table"],
    ["active_profile = ", "not valid TOML"]
  ] as const)("does not overwrite settings it cannot read: %j", ([text, words]) =>
    Effect.gen(function* () {
      const { aster, read, write } = yield* sandbox()
      yield* write(settings, text)
      const { code, err } = yield* aster("profile create prod")
      assert.strictEqual(code, 1)
      assert.include(err, "config.toml")
      assert.include(err, words)
      assert.strictEqual(yield* read(settings), text)
    })
  )

  it.effect("says which profile is active once there are several, on standard error, except to profile", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      yield* aster("profile create prod")
      assert.notInclude((yield* aster("config show --json")).err, "[profile:")
      yield* aster("profile create dev")
      const { err, out } = yield* aster("config show --json")
      assert.include(err, "[profile: prod]")
      assert.isObject(JSON.parse(out))
      assert.notInclude((yield* aster("profile list")).err, "[profile:")
    })
  )

  it.effect("a file cannot put control characters onto the terminal", () =>
    Effect.gen(function* () {
      const { aster, write } = yield* sandbox(Keyring.layerUnavailable("none"))
      yield* write(settings, '[profiles."\\u001b[2J"]\nhandle = "\\u001b]0;x\\u0007"\n')
      const { out } = yield* aster("profile list")
      assert.include(out, "\\u001b[2J")
      // oxlint-disable-next-line no-control-regex -- what must not be there
      assert.notMatch(out, /\u001b/)
    })
  )
})
