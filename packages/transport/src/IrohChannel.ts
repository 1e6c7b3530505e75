/**
 * One call on one bidirectional stream of a connection.
 *
 * @since 0.1.0
 */
import { type CallChannel, ChannelError } from "@aster-effect/core/wire/CallChannel"
import type { BiStream, StreamError } from "@aster-effect/iroh/BiStream"
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
  send: (bytes) => Effect.mapError(send.write(bytes), channelError),
  finish: Effect.mapError(send.finish, channelError),
  abort: Effect.andThen(send.reset(CANCELLED), recv.stop(CANCELLED)),
  release: Effect.andThen(Effect.ignore(send.finish), recv.discard)
})

const channelError = (error: StreamError): ChannelError =>
  new ChannelError({ reason: error.reason._tag === "ConnectionLost" ? "Lost" : "Reset", detail: error.message })
