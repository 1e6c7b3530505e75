// Takes a connection, says its address, and blocks its thread for the given seconds before it answers.
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"

const mode = process.argv[2] === "thread" ? "thread" : "inline"
const seconds = Number(process.argv[3])
const program = Effect.gen(function* () {
  const node = yield* IrohNode
  process.stdout.write(`${NodeAddr.toTicket(yield* node.address)}\n`)
  const connection = yield* node.accept
  const { recv, send } = yield* connection.acceptBi
  const bytes = (yield* recv.read()) ?? new Uint8Array(0)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000)
  yield* send.write(bytes)
  yield* send.finish
  yield* connection.closed
})
const layer = IrohNode.layer({ ...loopback, alpns: ["blocked/1"], binding: "native", native: { mode } })
await Effect.runPromise(Effect.provide(program, layer))
