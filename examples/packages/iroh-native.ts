import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as NativeBinding from "@aster-effect/iroh-native/NativeBinding"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

const program = Effect.gen(function* () {
  const { boundSockets } = yield* IrohNode
  yield* Console.log(boundSockets.length > 0 ? "bound" : "no sockets")
})
// "auto" chooses so by itself: this is how to say it.
const binding = NativeBinding.load() === undefined ? "number0" : "native"
await Effect.runPromise(Effect.provide(program, IrohNode.layer({ ...loopback, binding })))
