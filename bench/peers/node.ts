/** A node's streams without RPC, a stream per call: the floor of a binding as its nodes offer it. */
import type { Connection as NodeConnection } from "@aster-effect/iroh/Connection"
import type { BiStream, RecvStream } from "@aster-effect/iroh/BiStream"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { type BindingChoice, loopback } from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type { Peer } from "../Peer.ts"
import { ECHO, encode, type Frame, frameReader, STREAM, streamRequest } from "../Frame.ts"

const ALPN = "bench/1"
const READ = 64 * 1024

/** Hands chunks to `onChunk` until it answers true or the stream ends. */
const pull = (recv: RecvStream, onChunk: (chunk: Buffer) => boolean): Effect.Effect<void, unknown> =>
  Effect.flatMap(recv.read(READ), (bytes) =>
    bytes === undefined || onChunk(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
      ? Effect.void
      : pull(recv, onChunk)
  )

const readFrame = (recv: RecvStream): Effect.Effect<Frame, unknown> =>
  Effect.suspend(() => {
    let frame: Frame | undefined
    const feed = frameReader((read) => (frame = read))
    const read = pull(recv, (chunk) => {
      feed(chunk)
      return frame !== undefined
    })
    return Effect.flatMap(read, () =>
      frame === undefined ? Effect.die(new Error("The stream ended inside a frame.")) : Effect.succeed(frame)
    )
  })

const answer = ({ send }: BiStream, { body, kind }: Frame): Effect.Effect<void, unknown> => {
  if (kind !== STREAM) return send.write(encode(ECHO, body))
  const count = body.readUInt32LE(0)
  const frame = encode(ECHO, Buffer.alloc(body.readUInt32LE(4), 7))
  const perWrite = Math.max(1, Math.floor(READ / frame.length))
  const full = Buffer.concat(Array.from({ length: perWrite }, () => frame))
  const writes = Array.from({ length: Math.ceil(count / perWrite) }, (_, i) =>
    send.write(full.subarray(0, frame.length * Math.min(perWrite, count - i * perWrite)))
  )
  return Effect.all(writes, { discard: true })
}

const serve = (connection: NodeConnection): Effect.Effect<void> =>
  Effect.forever(
    Effect.flatMap(connection.acceptBi, (stream) =>
      Effect.forkChild(
        Effect.flatMap(readFrame(stream.recv), (frame) => answer(stream, frame)).pipe(
          Effect.andThen(stream.send.finish),
          Effect.andThen(stream.recv.discard),
          Effect.ignore
        ),
        { startImmediately: true }
      )
    )
  ).pipe(Effect.ignore)

/** The bare node. */
export const node = (binding: BindingChoice): Peer => {
  const runtimeOf = () => ManagedRuntime.make(IrohNode.layer({ ...loopback, binding, alpns: [ALPN] }))
  return {
    server: async () => {
      const runtime = runtimeOf()
      runtime.runFork(
        IrohNode.use(({ accept }) =>
          Effect.forever(Effect.flatMap(accept, (connection) => Effect.forkChild(serve(connection))))
        )
      )
      return { address: NodeAddr.toTicket(await runtime.runPromise(IrohNode.use(({ address }) => address))) }
    },
    client: async ({ address }) => {
      const runtime = runtimeOf()
      await runtime.runPromise(Effect.void)
      const addr = NodeAddr.parse(address)
      return {
        connect: async () => {
          const connection = await runtime.runPromise(IrohNode.use(({ connect }) => connect(addr, ALPN)))
          const call = <A>(request: Buffer, read: (recv: RecvStream) => Effect.Effect<A, unknown>) =>
            Effect.runPromise(
              Effect.flatMap(connection.openBi, ({ recv, send }) =>
                Effect.flatMap(
                  Effect.all([read(recv), Effect.andThen(send.write(request), send.finish)], { concurrency: 2 }),
                  ([value]) => Effect.as(recv.discard, value)
                )
              )
            )
          return {
            echo: async (payload) => (await call(encode(ECHO, payload), readFrame)).body,
            stream: (count, size) =>
              call(encode(STREAM, streamRequest(count, size)), (recv) =>
                Effect.suspend(() => {
                  let received = 0
                  const feed = frameReader(() => received++)
                  const read = pull(recv, (chunk) => {
                    feed(chunk)
                    return received >= count
                  })
                  return Effect.map(read, () => received)
                })
              ),
            close: () => Effect.runPromise(connection.close(0, ""))
          }
        }
      }
    }
  }
}
