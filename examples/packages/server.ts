import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

class Greeting extends Wire.Class<Greeting>("hello/Greeting")({ name: Wire.String }) {}
class Reply extends Wire.Class<Reply>("hello/Reply")({ text: Wire.String }) {}

const Hello = Service.make("Hello").add(Rpc.unary("greet", { request: Greeting, response: Reply }))

const HelloLive = Hello.toLayer({
  greet: ({ name }) => Effect.succeed(new Reply({ text: `Hello, ${name}!` }))
})

const program = AsterServer.use(({ address, services }) =>
  Effect.sync(() =>
    console.log(
      address.slice(0, 6),
      services.map(({ name, version }) => `${name} v${version}`)
    )
  )
)

const live = AsterServer.layer({ node: loopback }).pipe(Layer.provide(HelloLive))

await Effect.runPromise(program.pipe(Effect.provide(live), Effect.provide(Logger.layer([]))))
