/**
 * A producer in a process of its own that is ended and started again: its options are its first argument, as JSON. It says
 * its address and where it answers probes, and nothing else on standard output.
 */
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Waiting, type RestartedOptions, type WaitRequest, WaitResponse } from "./Waiting.ts"

const options: RestartedOptions = JSON.parse(process.argv[2] ?? "{}")

const WaitingLive = Waiting.toLayer({
  wait: ({ ms }: WaitRequest) => Effect.as(Effect.sleep(ms), new WaitResponse({ pid: process.pid }))
})

const program = Effect.gen(function* () {
  const server = yield* AsterServer
  console.log(JSON.stringify({ address: server.address, directAddress: server.directAddresses[0] }))
  yield* server.serve
})

runMain(
  Effect.provide(
    program,
    AsterServer.layer({
      config: AsterConfig.load({ environment: false, identity: false }),
      publish: false,
      health: { port: options.healthPort },
      node: {
        bindAddress: options.bindAddress,
        relayMode: "disabled",
        secretKey: SecretKey.fromHex(options.secretKey)
      }
    }).pipe(Layer.provide(WaitingLive))
  )
)
