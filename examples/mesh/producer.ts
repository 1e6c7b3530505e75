import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

class Text extends Wire.Class<Text>("example/Text")({ text: Wire.String }) {}
const Echo = Service.make("Echo").add(Rpc.unary("echo", { request: Text, response: Text }))
const EchoLive = Echo.toLayer({ echo: (text) => Effect.succeed(text) })

// The identity file has this node's key and its credential: aster enroll node --role producer --name NAME
const contacts = process.argv.slice(2)
const live = AsterServer.layer({ allowAllProducers: false, mesh: { contacts } })

const program = Effect.gen(function* () {
  const { address, mesh, serve } = yield* AsterServer
  yield* Console.log(`another joins with: node examples/mesh/producer.ts ${address}`)
  if (mesh === undefined) return yield* serve
  const { changes } = mesh.producers({ service: "Echo" })
  const show = Stream.runForEach(changes, (producers) =>
    Console.log(producers.map(({ address, health }) => `${address.endpointId.slice(0, 10)} ${health}`).join(", "))
  )
  yield* Effect.raceFirst(serve, show)
})

runMain(Effect.provide(program, live.pipe(Layer.provide(EchoLive))))
