import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { AsterTest } from "@aster-effect/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

class Text extends Wire.Class<Text>("demo/Text")({ text: Wire.String }) {}

const Echo = Service.make("Echo").add(Rpc.unary("echo", { request: Text, response: Text }))
const EchoLive = Echo.toLayer({ echo: (request) => Effect.succeed(request) })

const program = Effect.gen(function* () {
  const echo = yield* AsterTest.client(Echo)
  const faults = yield* AsterTest
  yield* faults.disconnect
  console.log((yield* echo.echo(new Text({ text: "there again" }))).text)
})

const live = AsterTest.layer({ services: [Echo] }).pipe(Layer.provide(EchoLive))

await Effect.runPromise(program.pipe(Effect.provide(live), Effect.provide(Logger.layer([]))))
