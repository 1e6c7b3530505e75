/** Attacks on what an admitted peer may call. */
import * as Role from "@aster-effect/admission/Role"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { consume, issue, Note, root, serve, settings } from "../Deployment.ts"
import type { Transport } from "../Scenarios.ts"
import { ask, deployment } from "./Kit.ts"

export const attacksOnRoles = <R>({ node, test }: Transport<R>): void => {
  const { enrolledVault, gated } = deployment(node)

  test("unicode: a role that only looks like another is another", () =>
    Effect.gen(function* () {
      const server = yield* gated()
      // Greek, full width, upper case, with a space of no width, a null, a joiner, reversed, with another comma.
      const lookalikes = ["\u03bfps", "\uff4f\uff50\uff53", "OPS", "ops\u200b", "ops\u0000", "o\u2060ps", "\u202espo"]
      for (const role of [...lookalikes, "audit\uff0cops", "audit;ops", "ops.read", "e\u0301"]) {
        const vault = yield* enrolledVault(server, { role })
        assert.strictEqual((yield* vault.whoami(ask)).text, role)
        assert.strictEqual((yield* Effect.flip(vault.unlock(ask))).status, "PERMISSION_DENIED", role)
      }
    }))

  test("roles that a caller claims in its metadata are metadata", () =>
    Effect.gen(function* () {
      const vault = yield* enrolledVault(yield* gated(), { role: "audit" })
      const claim = { metadata: { "aster.role": "ops", role: "ops", attributes: '{"aster.role":"ops"}' } }
      assert.strictEqual((yield* vault.whoami(ask, claim)).text, "audit")
      assert.strictEqual((yield* Effect.flip(vault.unlock(ask, claim))).status, "PERMISSION_DENIED")
    }))

  test("9: each version of a service has its own requirement", () =>
    Effect.gen(function* () {
      const message = { request: Note, response: Note }
      const strict = Service.make("Safe").add(Rpc.unary("open", { ...message, requires: Role.role("ops") }))
      const lax = Service.make("Safe", { version: 2 }).add(Rpc.unary("open", message))
      const open = { open: () => Effect.succeed(new Note({ text: "open" })) }
      const layers = [strict.toLayer(open), lax.toLayer(open)] as const
      const config = settings({ rootPubkey: root.publicKey })
      for (const services of [Layer.merge(...layers), Layer.merge(layers[1], layers[0])]) {
        const server = yield* serve(yield* node(), { config }, services)
        const own = yield* node()
        const client = yield* consume(own, server, { credential: yield* issue({ to: own, role: "audit" }) })
        const denied = yield* Effect.flip((yield* client.client(strict)).open(ask))
        assert.strictEqual(denied.status, "PERMISSION_DENIED")
        assert.strictEqual((yield* (yield* client.client(lax)).open(ask)).text, "open")
      }
    }))
}
