// Accepts one connection, echoes its first stream, and stays until it is killed.
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Effect from "effect/Effect"

const program = Effect.gen(function* () {
  const node = yield* IrohNode
  process.stdout.write(`${NodeAddr.toTicket(yield* node.address)}\n`)
  const connection = yield* node.accept
  const { recv, send } = yield* connection.acceptBi
  for (let bytes = yield* recv.read(); bytes !== undefined; bytes = yield* recv.read()) yield* send.write(bytes)
})
const layer = IrohNode.layer({ alpns: ["peer/1"], bindAddress: "127.0.0.1:0", relayMode: "disabled" })
await Effect.runPromise(Effect.provide(program, layer))
