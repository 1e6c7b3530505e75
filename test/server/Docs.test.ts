/** Documents of a server and its consumers, behind the same gate as everything else. */
import * as Docs from "@aster-effect/iroh-docs/Docs"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Role from "@aster-effect/admission/Role"
import { consume, dial, issue, memoryNode, scenario, serve } from "../admission/Deployment.ts"

const enrolled = Effect.fnUntraced(function* (server: { readonly address: string }) {
  const own = yield* memoryNode()
  return yield* consume(own, server, { credential: yield* issue({ to: own }) })
})

describe("a server's documents", () => {
  scenario("are joined by who is admitted, synced both ways, and not by a stranger", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode())
      const document = yield* server.docs.create
      yield* document.set("volume", "7")
      const ticket = yield* document.share("write")

      const consumer = yield* enrolled(server)
      const secret = (yield* server.docs.secret(document.id))!
      const copy = yield* consumer.docs.import({ _tag: "Write", secret })
      const { received } = yield* copy.syncWith(yield* server.node.address)
      assert.strictEqual(received, 1)
      assert.deepStrictEqual(yield* copy.getText("volume"), Option.some("7"))
      yield* copy.set("volume", "8")
      yield* copy.syncWith(yield* server.node.address)
      assert.strictEqual(Option.getOrThrow(yield* document.latest("volume")).size, 1)
      assert.strictEqual(Redacted.value(secret).length, 32)

      const stranger = yield* memoryNode()
      const connection = yield* dial(stranger, server, Docs.ALPN)
      const reason = yield* connection.closed
      assert.deepStrictEqual([reason._tag, "code" in reason && reason.code], ["Peer", 403])
      assert.isTrue(ticket.startsWith("doc"))
    })
  )

  scenario("may ask for a role; the registry does not", () =>
    Effect.gen(function* () {
      const server = yield* serve(yield* memoryNode(), { docs: { requires: Role.role("editor") } })
      const document = yield* server.docs.create
      yield* document.set("a", "1")
      yield* document.startSync()
      const consumer = yield* enrolled(server)
      const copy = yield* consumer.docs.import({ _tag: "Read", document: document.id })
      const refused = yield* Effect.flip(copy.syncWith(yield* server.node.address))
      assert.strictEqual("reason" in refused && refused.reason, "NotFound")
      const registry = yield* consumer.docs.import({ _tag: "Read", document: server.registry! })
      assert.isAbove((yield* registry.syncWith(yield* server.node.address)).received, 2)
    })
  )
})
