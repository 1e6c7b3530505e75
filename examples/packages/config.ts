import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as Effect from "effect/Effect"

const program = Effect.gen(function* () {
  const config = yield* AsterConfig.make({ bindAddr: "127.0.0.1:4433", relayMode: "disabled" })
  console.log(config.bindAddr, "from", config.source("bindAddr").kind)
  console.log(config.logLevel, "from", config.source("logLevel").kind)
})

await Effect.runPromise(program)
