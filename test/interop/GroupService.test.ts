/** A Python client calls a group of effect/rpc, by a definition of its own. */
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import { Notes, NotesLive } from "../../examples/effect-rpc/Notes.ts"
import { settings } from "../admission/Deployment.ts"
import { PythonReference } from "./PythonReference.ts"

const script = fileURLToPath(new URL("python/notes.py", import.meta.url))

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })("a group as a service", (it) => {
  it.effect("has the contract of the same service in Python, which calls it in Fory and in JSON", () =>
    Effect.gen(function* () {
      const server = AsterServer.layer({ services: [Notes], node: loopback, config: settings() })
      const context = yield* Layer.build(Layer.provide(server, NotesLive))
      const { address } = Context.get(context, AsterServer)
      const { missing, ...seen } = JSON.parse(yield* (yield* PythonReference).script(script, [address]))
      const notes = [
        { id: 1, text: "from Python" },
        { id: 2, text: "from JSON" }
      ]
      assert.deepStrictEqual(seen, {
        contract_id: Notes.contract.contractId,
        offered: Notes.contract.contractId,
        added: notes[0],
        added_json: notes[1],
        got: notes[0],
        listed: notes,
        listed_json: notes,
        cleared: {},
        cleared_json: {},
        left: []
      })
      assert.strictEqual(missing.code, 9)
      assert.deepStrictEqual(JSON.parse(missing.details["aster.error"]), { _tag: "NoSuchNote", id: 9 })
    })
  )
})
