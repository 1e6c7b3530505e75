/**
 * A bidirectional iroh stream as one of Effect's sockets.
 *
 * @since 0.1.0
 */
import type { BiStream, StreamError } from "@aster-effect/iroh/BiStream"
import { describe } from "@aster-effect/iroh/Connection"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"

/** Code of the close event when the peer has finished its half. */
const NORMAL = 1000
/** Code when the stream or its connection broke off (RFC 6455, 7.4.1). */
const ABNORMAL = 1006

/**
 * A socket that opens a stream each time it is read from anew, and writes to the one that is being read. Writes wait while
 * there is none. The end of the reader's scope finishes the stream; what was written before still arrives.
 *
 * @param open its scope is the reader's
 * @since 0.1.0
 */
export const make = (open: Effect.Effect<BiStream, Socket.SocketError, Scope.Scope>): Socket.Socket => {
  const reading = Latch.makeUnsafe(false)
  let current: Current | undefined

  const reader: Socket.Socket["reader"] = Effect.gen(function* () {
    const stream = yield* open
    const mine: Current = { stream, ended: undefined }
    yield* Effect.addFinalizer((exit) => {
      if (current === mine) {
        current = undefined
        reading.closeUnsafe()
      }
      const { recv, send } = stream
      const end = Exit.isSuccess(exit) ? Effect.ignore(send.finish) : send.reset(0)
      return Effect.andThen(end, recv.discard)
    })
    current = mine
    reading.openUnsafe()
    const pull: Socket.Reader["pull"] = Effect.suspend(() =>
      mine.ended === undefined
        ? Effect.flatMap(Effect.mapError(stream.recv.read(), broken), (bytes) =>
            bytes === undefined ? Effect.fail(mine.ended ?? closed(NORMAL)) : Effect.succeed([bytes] as const)
          )
        : Effect.fail(mine.ended)
    )
    return { pull, upgrade: Socket.SocketUpgradeError.unsupported }
  })

  const write = (chunk: Uint8Array | string | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> =>
    reading.whenOpen(
      Effect.suspend(() => {
        if (current === undefined) return Effect.fail(closed(ABNORMAL))
        const { recv, send } = current.stream
        if (Socket.isCloseEvent(chunk)) {
          current.ended = closed(chunk.code, chunk.reason)
          return Effect.andThen(Effect.ignore(send.finish), recv.stop(0))
        }
        return Effect.mapError(send.write(typeof chunk === "string" ? encoder.encode(chunk) : chunk), unwritten)
      })
    )

  return Socket.make({
    reader,
    writer: Effect.succeed({ write, writeAll: (chunks) => write(joined(chunks)) })
  })
}

interface Current {
  readonly stream: BiStream
  /** Why we closed it. */
  ended: Socket.SocketError | undefined
}

/** What a socket that dials is told. @since 0.1.0 */
export interface SocketOptions {
  /** Default `RpcEndpoint.ALPN`. */
  readonly alpn: string
  /** For connecting. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The socket of a client: connects to a peer when it is read from, on a connection of its own.
 *
 * @since 0.1.0
 */
export const layer = (address: NodeAddr, options: SocketOptions): Layer.Layer<Socket.Socket, never, IrohNode> =>
  Layer.effect(
    Socket.Socket,
    Effect.gen(function* () {
      const node = yield* IrohNode
      const timeout = options.timeout ?? "10 seconds"
      return make(
        Effect.gen(function* () {
          const connection = yield* Effect.acquireRelease(
            Effect.mapError(node.connect(address, options.alpn, { timeout }), unopened),
            (connection) => connection.close(0, "normal close"),
            { interruptible: true }
          )
          return yield* Effect.mapError(connection.openBi, ({ reason }) => unopened(new Error(describe(reason))))
        })
      )
    })
  )

const encoder = new TextEncoder()

const joined = (chunks: ReadonlyArray<Uint8Array | string>): Uint8Array =>
  Buffer.concat(chunks.map((chunk) => (typeof chunk === "string" ? encoder.encode(chunk) : chunk)))

const closed = (code: number, closeReason?: string): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketCloseError({ code, closeReason }) })

const broken = (error: StreamError): Socket.SocketError => closed(ABNORMAL, error.message)

const unwritten = (cause: StreamError): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause }) })

const unopened = (cause: unknown): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketOpenError({ kind: "Unknown", cause }) })
