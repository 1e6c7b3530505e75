import * as NodeConfig from "@aster-effect/config/NodeConfig"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { keyA, logs, settings } from "../admission/Deployment.ts"

describe("NodeConfig.nodeOptions", () => {
  it.effect("takes from the configuration what code leaves out", () =>
    Effect.gen(function* () {
      const config = yield* settings({ bindAddr: "127.0.0.1:0", relayMode: "disabled" })
      assert.deepStrictEqual(yield* NodeConfig.nodeOptions(config, keyA), {
        secretKey: keyA,
        bindAddress: "127.0.0.1:0",
        relayMode: "disabled"
      })
      const given = { bindAddress: "127.0.0.1:1", relayMode: { custom: ["https://relay.example"] } } as const
      assert.deepStrictEqual(yield* NodeConfig.nodeOptions(config, undefined, given), {
        secretKey: undefined,
        ...given
      })
    })
  )

  it.effect("custom relays need their URLs", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(NodeConfig.nodeOptions(yield* settings({ relayMode: "custom" }), undefined))
      assert.strictEqual(error.reason, "InvalidValue")
      assert.include(error.message, "node.relayMode")
    })
  )

  it.effect("a setting that is given and means nothing here is worth a warning", () =>
    Effect.gen(function* () {
      const { layer, lines } = logs()
      const config = yield* settings({
        logLevel: "debug",
        proxyFromEnv: true,
        localDiscovery: true,
        relayMode: "disabled"
      })
      yield* NodeConfig.nodeOptions(config, undefined).pipe(Effect.provide(layer))
      assert.deepStrictEqual(lines, [
        "Warn proxy_from_env (inline) has no effect here",
        "Warn local_discovery (inline) has no effect here"
      ])
    })
  )

  it.effect("a relay mode that does not exist is an error, and never the public relays", () =>
    Effect.gen(function* () {
      const config = yield* settings()
      for (const relayMode of ["disable", "", null, { custom: "x" }]) {
        // What the compiler refuses plain JavaScript can pass.
        const error = yield* Effect.flip(
          NodeConfig.nodeOptions(config, undefined, { relayMode: relayMode as "disabled" })
        )
        assert.include(error.message, "option node.relayMode: expected")
      }
    })
  )
})
