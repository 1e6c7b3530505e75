import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"

class Greeting extends Wire.Class<Greeting>("hello/Greeting")({ name: Wire.String }) {}
class Reply extends Wire.Class<Reply>("hello/Reply")({ text: Wire.String }) {}

export const Hello = Service.make("Hello").add(Rpc.unary("greet", { request: Greeting, response: Reply }))

console.log(Hello.name, Hello.version)
console.log(Hello.contract.contractId)
