import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import * as Effect from "effect/Effect"

class Greeting extends Wire.Class<Greeting>("hello/Greeting")({ name: Wire.String }) {}
class Reply extends Wire.Class<Reply>("hello/Reply")({ text: Wire.String }) {}

const Hello = Service.make("Hello").add(Rpc.unary("greet", { request: Greeting, response: Reply }))
const HelloLive = Hello.toLayer({ greet: ({ name }) => Effect.succeed(new Reply({ text: `Hello, ${name}!` })) })

const program = Effect.gen(function* () {
  const hello = yield* LocalTransport.client(Hello)
  console.log((yield* hello.greet(new Greeting({ name: "you" }))).text)
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(HelloLive)))
