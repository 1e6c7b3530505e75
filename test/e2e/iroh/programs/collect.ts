// Drops every reference to a node and its connection, collects garbage, and goes on using a stream.
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { BiStream, StreamError } from "@aster-effect/iroh/BiStream"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

const alpn = "collect/1"
const collect = globalThis.gc
if (collect === undefined) throw new Error("run with --expose-gc")

const pair = async (): Promise<{ near: BiStream; far: BiStream }> => {
  const make = Layer.build(
    Layer.fresh(IrohNode.layer({ alpns: [alpn], bindAddress: "127.0.0.1:0", relayMode: "disabled" }))
  ).pipe(
    Effect.map((context) => Context.get(context, IrohNode)),
    Scope.provide(Scope.makeUnsafe()) // held by nobody
  )
  return Effect.runPromise(
    Effect.gen(function* () {
      const [a, b] = [yield* make, yield* make]
      const accepting = yield* Effect.forkChild(a.accept)
      const client = yield* b.connect(yield* a.address, alpn)
      const server = yield* Fiber.join(accepting)
      const near = yield* client.openBi
      yield* near.send.write(Uint8Array.of(1))
      const far = yield* server.acceptBi
      yield* far.recv.read()
      return { near, far }
    })
  )
}

const { far, near } = await pair()
/** Only one half of each side stays in use. */
const { send } = near
const { recv } = far
const use = Effect.gen(function* (): Effect.fn.Return<void, StreamError> {
  for (let i = 0; i < 10; i++) {
    yield* Effect.sleep("30 millis")
    collect()
    yield* send.write(Uint8Array.of(i))
    const bytes = yield* recv.read()
    if (bytes?.[0] !== i) throw new Error(`read ${bytes?.join()} in place of ${i}`)
  }
})
const exit = await Effect.runPromiseExit(use)
process.stdout.write(Exit.isSuccess(exit) ? "alive\n" : `${String(exit.cause)}\n`)
process.exit(0)
