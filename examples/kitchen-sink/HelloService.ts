import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Effect from "effect/Effect"

export class HelloRequest extends Wire.Class<HelloRequest>("hello/HelloRequest")({ name: Wire.String }) {}

export class HelloReply extends Wire.Class<HelloReply>("hello/HelloReply")({ message: Wire.String }) {}

export const HelloService = Service.make("HelloService").add(
  Rpc.unary("say_hello", { request: HelloRequest, response: HelloReply })
)

export const HelloServiceLive = HelloService.toLayer({
  say_hello: ({ name }) => Effect.succeed(new HelloReply({ message: `Hello, ${name}!` }))
})
