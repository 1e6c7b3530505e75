import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { enrolling } from "./Sandbox.ts"

describe("aster credential inspect", () => {
  const issued = Effect.gen(function* () {
    const made = yield* enrolling
    const { publicKey } = { publicKey: JSON.parse(yield* made.read("root.pub")).public_key }
    yield* made.aster("enroll node -r producer -n billing --key-file root.key")
    yield* made.aster("enroll node -r consumer -n ops -c ops.status,ops.logs -e 1h --key-file root.key")
    yield* made.aster("authorize consumer --type ott --expires 1h --key-file root.key --out once.token")
    return { ...made, publicKey }
  })

  it.effect("shows every entry of an identity file: roles, node, root key, expiry", () =>
    Effect.gen(function* () {
      const { aster, identity, publicKey } = yield* issued
      const { node } = yield* identity()
      const { code, out } = yield* aster("credential inspect .aster-identity")
      assert.strictEqual(code, 0)
      for (const words of [
        "Name:        billing",
        "For:         a producer",
        "For:         a consumer",
        "Roles:       ops.status, ops.logs",
        `Node:        ${node?.endpointId}`,
        `Root key:    ${publicKey}`,
        "Expires:     2030-01-01T01:00:00"
      ]) {
        assert.include(out, words)
      }
      const json = JSON.parse((yield* aster("credential inspect .aster-identity --json")).out)
      assert.deepStrictEqual(json[1].roles, ["ops.status", "ops.logs"])
      assert.deepStrictEqual([json[1].endpoint_id, json[1].expired], [node?.endpointId, false])
    })
  )

  it.effect("says that a token is for whoever has it, and shows nothing that could be used", () =>
    Effect.gen(function* () {
      const { aster, read } = yield* issued
      const { nonce, signature } = JSON.parse(yield* read("once.token"))
      yield* TestClock.adjust("1 hour")
      for (const line of ["credential inspect once.token", "credential inspect once.token --json"]) {
        const { code, out } = yield* aster(line)
        assert.strictEqual(code, 0)
        for (const secret of [nonce, signature]) assert.notInclude(out, secret)
      }
      const { out } = yield* aster("credential inspect once.token")
      assert.include(out, "For:         a consumer, once")
      assert.include(out, "(any: whoever has this file can use it)")
      assert.include(out, "(it has expired)")
    })
  )

  it.effect("a credential that its root key did not sign, or a file without one, is a failure", () =>
    Effect.gen(function* () {
      const { aster, read, write } = yield* issued
      yield* write(
        "forged.token",
        (yield* read("once.token")).replace('"aster.role": "consumer"', '"aster.role": "ops"')
      )
      const forged = yield* aster("credential inspect forged.token")
      assert.deepStrictEqual([forged.code, forged.out], [1, ""])
      assert.include(forged.err, "signature is not valid")
      yield* write("bare", (yield* read(".aster-identity")).split("[[peers]]")[0] ?? "")
      assert.include((yield* aster("credential inspect bare")).err, "no credential")
      assert.include((yield* aster("credential inspect nowhere")).err, "no such file")
    })
  )
})
