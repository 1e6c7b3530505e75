// Closes a node and binds its port again, without and with leave to collect garbage.
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeOptions from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"

const bindOnce = (bindAddress: string, collectGarbage?: boolean) =>
  IrohNode.use(({ boundSockets }) => Effect.succeed(boundSockets.find((socket) => socket.startsWith("127."))!)).pipe(
    Effect.provide(IrohNode.layer({ ...NodeOptions.loopback, bindAddress, collectGarbage }), { local: true })
  )

const outcome = (name: string, bindAddress: string, collectGarbage?: boolean) =>
  bindOnce(bindAddress, collectGarbage).pipe(
    Effect.match({ onFailure: ({ reason }) => reason, onSuccess: () => "bound" }),
    Effect.map((result) => process.stdout.write(`${name}: ${result}\n`))
  )

const program = Effect.gen(function* () {
  const taken = yield* bindOnce("127.0.0.1:0")
  yield* outcome("by itself", taken, false)
  yield* outcome("first", taken)
  yield* outcome("again", taken)
})
await Effect.runPromise(program)
