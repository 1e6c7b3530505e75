/**
 * One call on one bidirectional stream of a connection.
 *
 * @since 0.1.0
 */
import { type CallChannel, ChannelError } from "@aster-effect/core/wire/CallChannel"
import type { BiStream, DirectRecv, DirectSend, StreamError } from "@aster-effect/iroh/BiStream"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** Code of the reset that gives up a call. @since 0.1.0 */
export const CANCELLED = 1

/** Who uses the channel: the side that serves calls, or the one that makes them. @since 0.1.0 */
export type Side = "server" | "client"

const bytesOf = (side: Side, direction: "received" | "sent") =>
  Metric.counter("aster_rpc_bytes_total", {
    description: "Bytes of calls on streams, by side and direction",
    attributes: { side, direction },
    incremental: true
  })

/** Bytes of calls that came and left, on each side. @since 0.1.0 */
export const bytes = {
  server: { received: bytesOf("server", "received"), sent: bytesOf("server", "sent") },
  client: { received: bytesOf("client", "received"), sent: bytesOf("client", "sent") }
} as const

/**
 * A stream as a channel. Both halves belong to the channel from now on.
 *
 * @since 0.1.0
 */
export const make = ({ recv, send }: BiStream, side: Side): CallChannel => {
  const { received, sent } = bytes[side]
  const receive = (room?: Uint8Array): CallChannel["receive"] =>
    Effect.withFiber(({ context }) =>
      Effect.mapError(
        Effect.map(recv.read(undefined, room), (chunk) => {
          if (chunk !== undefined) received.updateUnsafe(chunk.length, context)
          return chunk
        }),
        channelError
      )
    )
  return {
    receive: receive(),
    receiveInto: receive,
    send: (chunk) =>
      Effect.withFiber(({ context }) => {
        sent.updateUnsafe(chunk.length, context)
        return Effect.mapError(send.write(chunk), channelError)
      }),
    finish: Effect.mapError(send.finish, channelError),
    abort: Effect.andThen(send.reset(CANCELLED), recv.stop(CANCELLED)),
    release: Effect.andThen(Effect.ignore(send.finish), recv.discard),
    direct: send.direct && recv.direct && directly(send.direct, recv.direct, side)
  }
}

/** Bytes that are taken at a time: what is done with them comes before the next look at how much waits. */
const MAX_POLL = 16 * 1024

const directly = (send: DirectSend, recv: DirectRecv, side: Side): CallChannel["direct"] => {
  const { received, sent } = bytes[side]
  return (context) => ({
    poll: () => {
      const chunk = recv.poll(MAX_POLL)
      if (chunk !== undefined) received.updateUnsafe(chunk.length, context)
      return chunk
    },
    get over() {
      const { over } = recv
      return over === undefined || over === "finished" ? over : channelError(over)
    },
    trySend: (chunk) => {
      if (!send.tryWrite(chunk)) return false
      sent.updateUnsafe(chunk.length, context)
      return true
    },
    listen: (readable) => recv.listen(readable),
    flush: () => send.flush()
  })
}

const channelError = (error: StreamError): ChannelError =>
  new ChannelError({ reason: error.reason._tag === "ConnectionLost" ? "Lost" : "Reset", detail: error.message })
