/** A producer of the faulty service in a process of its own; its argument is the server's options as JSON. */
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { FaultyLive } from "./Faulty.ts"
import { loopback, serve } from "./Kitchen.ts"

const { bindAddress, secretKey, ...options } = JSON.parse(process.argv[2] ?? "{}")

runMain(
  Effect.gen(function* () {
    const node = {
      ...loopback,
      ...(bindAddress && { bindAddress }),
      ...(secretKey && { secretKey: SecretKey.fromHex(secretKey) })
    }
    const server = yield* serve({ ...options, node }, FaultyLive)
    console.log(JSON.stringify({ address: server.address, directAddresses: server.directAddresses }))
    yield* server.serve
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])))
)
