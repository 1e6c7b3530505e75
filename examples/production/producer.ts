import { AsterConfig } from "@aster-effect/config/AsterConfig"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { services } from "./Billing.ts"

const program = Effect.gen(function* () {
  const { address, mode, serve } = yield* AsterServer
  yield* Console.log(`Billing serving at ${address} (${mode})`)
  yield* serve
})

const server = Layer.unwrap(
  AdmittedPeers.useSync((admittedPeers) =>
    AsterServer.layer({ config: AsterConfig.fromFile("aster.toml"), admittedPeers })
  )
)

runMain(program.pipe(Effect.provide(server.pipe(Layer.provide(services)))))
