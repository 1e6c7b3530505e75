import { AsterClient } from "@aster-effect/client/AsterClient"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import { Event, Events, Receipt } from "./Events.ts"
import { PythonReference } from "./PythonReference.ts"

const attributes = {
  text: "ü",
  int: 2n ** 53n + 1n,
  float: -0,
  list: [1, null, { deep: true }],
  none: null
}
const event = new Event({ name: "e", attributes, tags: ["a", 1, 1.5], context: { k: [] } })

describe("bare dicts and lists, postponed annotations", () => {
  it.live("our client of a Python producer, in both encodings", () =>
    Effect.gen(function* () {
      const python = yield* PythonReference
      const { address, services } = yield* python.producer(["--events"])
      const warnings: Array<unknown> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(message)
      })
      yield* Effect.gen(function* () {
        const aster = yield* AsterClient
        assert.strictEqual(services[0]?.contract_id, Events.contract.contractId)
        for (const encoding of ["xlang", "json"] as const) {
          const client = yield* aster.client(Events, { encoding })
          assert.deepStrictEqual(yield* client.echo(event), event)
          assert.deepStrictEqual(yield* Stream.runCollect(client.replay(event)), [event, event])
          const receipt = yield* client.record(event)
          assert.deepStrictEqual(
            receipt,
            new Receipt({ count: 8, seen: { text: "str", int: "int", float: "float", list: "list", none: "NoneType" } })
          )
        }
      }).pipe(Effect.provide(AsterClient.layer({ address, node: loopback })), Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(warnings, [])
    }).pipe(Effect.scoped, Effect.provide(PythonReference.layer))
  )

  it.live("Python clients of our producer, in both encodings", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const live = Events.toLayer({
        echo: (request) => Effect.sync(() => (seen.push(request.attributes), request)),
        record: ({ attributes: given, tags }) =>
          Effect.succeed(
            new Receipt({
              count: Object.keys(given).length + tags.length,
              seen: Object.fromEntries(Object.entries(given).map(([key, value]) => [key, typeof value]))
            })
          ),
        replay: (request) => Stream.make(request, request)
      })
      const server = yield* Layer.build(AsterServer.layer({ node: loopback }).pipe(Layer.provide(live)))
      const { address } = Context.get(server, AsterServer)
      const python = yield* PythonReference
      const script = fileURLToPath(new URL("./python/events.py", import.meta.url))
      const result = JSON.parse((yield* python.script(script, [address])).trim().split("\n").at(-1)!)
      assert.deepInclude(result, { echo: true, replay: [true, true], contract_id: Events.contract.contractId })
      assert.deepStrictEqual(result.record, [
        8,
        { text: "string", int: "bigint", float: "number", list: "object", none: "object" }
      ])
      assert.deepStrictEqual(result.json.tags, ["a", 1, 1.5])
      // The same request, the same value, whatever it came in.
      assert.deepStrictEqual(seen, [attributes, attributes])
    }).pipe(Effect.scoped, Effect.provide(PythonReference.layer))
  )
})
