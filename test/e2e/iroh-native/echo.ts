import type { Connection } from "@aster-effect/iroh/Connection"
import * as Effect from "effect/Effect"

/** Sends every stream back. */
export const echo = (connection: Connection) =>
  Effect.forever(
    Effect.flatMap(connection.acceptBi, ({ recv, send }) =>
      Effect.forkChild(
        Effect.gen(function* () {
          for (let bytes = yield* recv.read(65536); bytes !== undefined; bytes = yield* recv.read(65536)) {
            yield* send.write(bytes)
          }
          yield* send.finish
        })
      )
    )
  )

/** Sends `bytes` on a stream of its own and answers how many came back. */
export const call = Effect.fnUntraced(function* (connection: Connection, bytes: Uint8Array) {
  const { recv, send } = yield* connection.openBi
  yield* Effect.forkChild(Effect.andThen(send.write(bytes), send.finish))
  let length = 0
  for (let part = yield* recv.read(65536); part !== undefined; part = yield* recv.read(65536)) length += part.length
  return length
})
