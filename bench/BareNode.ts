/** The same transfer over a node's streams and nothing else: the floor of a binding that carries bytes as they are. */
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Router from "@aster-effect/iroh/Router"
import * as Effect from "effect/Effect"

const ALPN = "floor"
const READ = 64 * 1024

/** The protocol that sends `bytes` on every stream that is opened to it. */
export const protocol = (bytes: Uint8Array): Router.Protocol => ({
  alpn: ALPN,
  handler: Router.bidirectional((connection) =>
    Effect.forever(
      Effect.flatMap(connection.acceptBi, ({ recv, send }) =>
        Effect.andThen(recv.read(), Effect.andThen(send.write(bytes), send.finish))
      )
    )
  )
})

/** Connects to a node that serves the protocol; the answer fetches all that it sends, and answers how much that was. */
export const get = Effect.fnUntraced(function* (ticket: string, size: number) {
  const { connect } = yield* IrohNode
  const connection = yield* connect(NodeAddr.parse(ticket), ALPN)
  return Effect.gen(function* () {
    const { recv, send } = yield* connection.openBi
    yield* send.write(Uint8Array.of(1))
    yield* send.finish
    const target = new Uint8Array(size)
    let at = 0
    for (let bytes = yield* recv.read(READ); bytes !== undefined; bytes = yield* recv.read(READ)) {
      target.set(bytes, at)
      at += bytes.length
    }
    return at
  })
})
