/**
 * A producer in a process of its own, with the same key and port whenever it is started: the arguments are the number of its
 * key and the port, 0 for any. It prints its address and its port, then a dot for each call.
 */
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"

class Asked extends Wire.Class<Asked>("oracle/Asked")({ number: Wire.Int }) {}
class Answered extends Wire.Class<Answered>("oracle/Answered")({ number: Wire.Int, by: Wire.Int }) {}

export const Oracle = Service.make("Oracle").add(
  Rpc.unary("ask", { request: Asked, response: Answered, idempotent: true })
)

const [, , key = "1", port = "0"] = process.argv

if (import.meta.main) {
  const live = Oracle.toLayer({
    ask: ({ number }) => Effect.as(Effect.sleep("20 millis"), new Answered({ number, by: Number(key) }))
  })
  const node = {
    secretKey: SecretKey.fromBytes(new Uint8Array(32).fill(Number(key))),
    bindAddress: `127.0.0.1:${port}`,
    relayMode: "disabled"
  } as const
  runMain(
    Effect.gen(function* () {
      const server = yield* AsterServer
      const bound = server.node.boundSockets[0]!.split(":").at(-1)
      console.log(JSON.stringify({ address: server.address, port: Number(bound) }))
      yield* server.serve
    }).pipe(
      Effect.provide(Layer.provide(AsterServer.layer({ node, publish: false }), live)),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  )
}
