// Uses every part of a node, closes it, and must then end by itself.
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

const alpn = "exit/1"
const program = Effect.gen(function* () {
  const make = Effect.map(
    Layer.build(Layer.fresh(IrohNode.layer({ alpns: [alpn], bindAddress: "127.0.0.1:0", relayMode: "disabled" }))),
    (context) => Context.get(context, IrohNode)
  )
  const [a, b] = [yield* make, yield* make]
  const accepting = yield* Effect.forkChild(a.accept)
  const client = yield* b.connect(yield* a.address, alpn)
  const server = yield* Fiber.join(accepting)
  yield* Effect.forkChild(server.acceptBi)
  yield* Effect.forkChild(server.acceptUni)
  yield* Effect.forkChild(client.closed)
  for (let i = 0; i < 5; i++) yield* client.openBi
  const { recv, send } = yield* client.openBi
  yield* send.write(new Uint8Array(10))
  yield* Effect.forkChild(recv.read())
  yield* Effect.sleep("50 millis")
})
// What is logged at start is not what this is about.
await Effect.runPromise(Effect.provide(Effect.scoped(program), Logger.layer([])))
process.stdout.write("closed\n")
