/** Two nodes of this thread and endless traffic between them: many streams, large and small, in both directions. */
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback, type NativeOptions } from "@aster-effect/iroh/NodeOptions"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"

const alpn = "traffic/1"

const node = (native: NativeOptions) =>
  Effect.map(
    Layer.build(Layer.fresh(IrohNode.layer({ ...loopback, alpns: [alpn], binding: "native", native }))),
    (context) => Context.get(context, IrohNode)
  )

/** Runs until it is interrupted, or the process or thread ends; `begun` when the first answers have come. */
export const traffic = (native: NativeOptions, begun: () => void) =>
  Effect.scoped(
    Effect.gen(function* () {
      const [a, b] = [yield* node(native), yield* node(native)]
      const accepting = yield* Effect.forkChild(a.accept)
      const client = yield* b.connect(yield* a.address, alpn)
      const server = yield* Fiber.join(accepting)
      yield* Effect.forkChild(
        Effect.forever(
          Effect.flatMap(server.acceptBi, ({ recv, send }) =>
            Effect.forkChild(
              Effect.gen(function* () {
                for (let bytes = yield* recv.read(); bytes !== undefined; bytes = yield* recv.read()) {
                  yield* send.write(bytes)
                }
                yield* send.finish
              })
            )
          )
        )
      )
      let answers = 0
      const talk = (size: number) =>
        Effect.gen(function* () {
          const { recv, send } = yield* client.openBi
          yield* Effect.forkChild(Effect.andThen(send.write(new Uint8Array(size)), send.finish))
          for (let bytes = yield* recv.read(); bytes !== undefined; bytes = yield* recv.read());
          if (++answers === 20) begun()
        })
      yield* Effect.all(
        [1, 100, 20_000, 500_000, 100, 100].map((size) => Effect.forever(talk(size))),
        { concurrency: "unbounded" }
      )
    })
  )
