import { AsterClient } from "@aster-effect/client/AsterClient"
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
const HelloLive = Hello.toLayer({ greet: ({ name }) => Effect.succeed(new Reply({ text: `Hello, ${name}!` })) })

const program = Effect.gen(function* () {
  const aster = yield* AsterClient
  const hello = yield* aster.client(Hello)
  console.log((yield* hello.greet(new Greeting({ name: "you" }))).text)
})

// A producer of our own for this example; usually the address comes from somebody else's.
const producer = AsterServer.layer({ node: loopback }).pipe(Layer.provide(HelloLive))
const consumer = Layer.unwrap(AsterServer.useSync(({ address }) => AsterClient.layer({ address, node: loopback })))
const live = consumer.pipe(Layer.provide(producer), Layer.provideMerge(Logger.layer([])))

await Effect.runPromise(Effect.provide(program, live))
