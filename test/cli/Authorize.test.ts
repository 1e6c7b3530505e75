import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { enrolling } from "./Sandbox.ts"

describe("aster authorize", () => {
  const endpointId = "ab".repeat(32)

  it.effect("consumer: a token for one node, mode 0600", () =>
    Effect.gen(function* () {
      const { aster, mode, read } = yield* enrolling
      const line = `authorize consumer --root-key root.key --endpoint-id ${endpointId} --capabilities a,b --expires 2030-02-01T00:00`
      const { code, err } = yield* aster(line)
      assert.deepStrictEqual([code, err], [0, ""])
      assert.strictEqual(yield* mode("enrollment.token"), "600")
      const credential = Result.getOrThrow(CredentialFile.parse(yield* read("enrollment.token"), "token"))
      assert.deepInclude(credential, { kind: "consumer", type: "policy", endpointId, nonce: undefined })
      assert.strictEqual(credential.expiresAt, BigInt(Date.UTC(2030, 1, 1) / 1000))
      assert.strictEqual(credential.attributes.get("aster.role"), "a,b")
    })
  )

  it.effect("consumer: an unbound one-time token works, with a warning", () =>
    Effect.gen(function* () {
      const { aster, read } = yield* enrolling
      const { code, err } = yield* aster("authorize consumer --key-file root.key --type ott --out x.token")
      assert.strictEqual(code, 0)
      assert.include(err, "Warning: the token is bound to no node")
      const credential = Result.getOrThrow(CredentialFile.parse(yield* read("x.token"), "token"))
      assert.strictEqual(credential.kind === "consumer" && credential.nonce?.length, 64)
    })
  )

  it.effect("without a subcommand: a producer's token, as in release 0.1.2", () =>
    Effect.gen(function* () {
      const { read, run } = yield* enrolling
      const { code } = yield* run([
        ...`authorize --root-key root.key --producer-id ${endpointId} --out p.token --attributes`.split(" "),
        '{"team":"x"}'
      ])
      assert.strictEqual(code, 0)
      const credential = Result.getOrThrow(CredentialFile.parse(yield* read("p.token"), "token"))
      assert.deepInclude(credential, { kind: "producer", endpointId })
      assert.deepStrictEqual([...credential.attributes], [["team", "x"]])
    })
  )

  it.effect.each([
    [`authorize consumer --root-key root.key --endpoint-id ${"AB".repeat(32)}`, 1, "64 lower-case hex"],
    ["authorize --root-key root.key --producer-id xyz", 1, "64 lower-case hex"],
    ["authorize --root-key root.key", 2, "--producer-id"],
    ["authorize consumer --root-key root.key --attributes [1]", 1, "--attributes"],
    ['authorize consumer --root-key root.key --attributes {"a":1}', 1, "values are strings"],
    ["authorize consumer --root-key root.key --out root.key", 1, "is no token"]
  ] as const)("refuses %s", ([line, code, words]) =>
    Effect.gen(function* () {
      const { aster, list, read } = yield* enrolling
      const before = yield* read("root.key")
      const refused = yield* aster(line)
      assert.strictEqual(refused.code, code)
      assert.include(refused.err, words)
      assert.deepStrictEqual(yield* list("."), ["root.key", "root.pub"])
      assert.strictEqual(yield* read("root.key"), before)
    })
  )

  it.effect("replaces a token", () =>
    Effect.gen(function* () {
      const { aster, read } = yield* enrolling
      yield* aster("authorize consumer --root-key root.key")
      const first = yield* read("enrollment.token")
      assert.strictEqual((yield* aster("authorize consumer --root-key root.key --expires 1d")).code, 0)
      assert.notStrictEqual(yield* read("enrollment.token"), first)
    })
  )
})
