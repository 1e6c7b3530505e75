/**
 * One call on one bidirectional stream of a connection.
 *
 * @since 0.1.0
 */
import { type CallChannel, ChannelError } from "@aster-effect/core/CallChannel"
import type { BiStream, SendStream, StreamError } from "@aster-effect/iroh/BiStream"
import * as Effect from "effect/Effect"

/** Code of the reset that gives up a call. @since 0.1.0 */
export const CANCELLED = 1

/**
 * A stream as a channel. Both halves belong to the channel from now on.
 *
 * @since 0.1.0
 */
export const make = ({ recv, send }: BiStream): CallChannel => ({
  receive: Effect.mapError(recv.read(), channelError),
  send: (bytes) => Effect.mapError(bytes.length <= PIECE ? send.write(bytes) : inPieces(send, bytes), channelError),
  finish: Effect.mapError(send.finish, channelError),
  abort: Effect.andThen(send.reset(CANCELLED), recv.stop(CANCELLED)),
  release: Effect.andThen(Effect.ignore(send.finish), recv.discard)
})

/** Bytes that a stream holds at a time. */
const PIECE = 64 * 1024

/** A write that was given up keeps its bytes until the peer reads or the connection ends, so it must not have many. */
const inPieces = Effect.fnUntraced(function* (
  send: SendStream,
  bytes: Uint8Array
): Effect.fn.Return<void, StreamError> {
  for (let at = 0; at < bytes.length; at += PIECE) yield* send.write(bytes.slice(at, at + PIECE))
})

const channelError = (error: StreamError): ChannelError =>
  new ChannelError({ reason: error.reason._tag === "ConnectionLost" ? "Lost" : "Reset", detail: error.message })
