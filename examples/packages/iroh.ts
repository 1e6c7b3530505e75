import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const node = Effect.map(Layer.build(Layer.fresh(IrohNode.layer({ ...loopback, alpns: ["hello/1"] }))), (context) =>
  Context.get(context, IrohNode)
)

const program = Effect.gen(function* () {
  const [alice, bob] = [yield* node, yield* node]
  const call = yield* alice.connect(yield* bob.address, "hello/1")
  const { send } = yield* call.openBi
  yield* send.write(new TextEncoder().encode("hello"))
  const answered = yield* bob.accept
  const { recv } = yield* answered.acceptBi
  console.log(new TextDecoder().decode(yield* recv.read()), answered.remoteId === alice.endpointId)
})

await Effect.runPromise(Effect.scoped(program))
