/**
 * How a call reaches the other side: two streams of bytes and a way to give up.
 *
 * Dispatcher and caller know nothing else of a network. Today one bidirectional QUIC stream carries one call; a channel
 * that carries many calls on one stream, or none at all (see `LocalTransport`), stands behind the same interface.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The channel broke before the call was over.
 *
 * - `Reset`: the peer gave up this call;
 * - `Lost`: the connection below is gone.
 *
 * @since 0.1.0
 */
export class ChannelError extends Schema.TaggedError<ChannelError>()("ChannelError", {
  reason: Schema.Literals(["Reset", "Lost"]),
  detail: Schema.String
}) {}

/** @since 0.1.0 */
export interface CallChannel {
  /** The next bytes from the peer, undefined once it has finished its half. One reader at a time. */
  readonly receive: Effect.Effect<Uint8Array | undefined, ChannelError>
  /**
   * The same, at most as many as there is room for. They may be in it, at its start, or elsewhere: those who gather much need
   * not copy it.
   */
  readonly receiveInto?: ((room: Uint8Array) => Effect.Effect<Uint8Array | undefined, ChannelError>) | undefined
  /**
   * Sends bytes; completes when they may be followed by others. Calls are sent in order. The bytes are the caller's again
   * when this has succeeded, and only then.
   */
  readonly send: (bytes: Uint8Array) => Effect.Effect<void, ChannelError>
  /** Half-close: nothing is sent after this. */
  readonly finish: Effect.Effect<void, ChannelError>
  /** Gives up: the peer sees a reset. Never waits for the peer. */
  readonly abort: Effect.Effect<void>
  /**
   * The call is over for us: finishes our half if that is open and takes what the peer still sends, in the background
   * and for a bounded time, so that the stream is given back. Never waits for the peer.
   */
  readonly release: Effect.Effect<void>
  /** The same bytes without effects, where the network below can; for a channel that nobody receives from or sends on else. */
  readonly direct?: ((context: Context.Context<never>) => DirectBytes & NetworkFlush) | undefined
}

/** @since 0.1.0 */
export interface NetworkFlush {
  /** Puts what was sent on the network now, rather than at the end of this turn of the event loop. */
  readonly flush: () => void
}

/**
 * Bytes both ways without effects: what has come can be taken, and what there is room for be sent, at once.
 *
 * @since 0.1.0
 */
export interface DirectBytes {
  /** Takes what has come; undefined when there is nothing: not yet, or as `over` says. */
  readonly poll: () => Uint8Array | undefined
  /** Why nothing comes any more: the peer has finished its half, or the channel broke. */
  readonly over: "finished" | ChannelError | undefined
  /**
   * Sends bytes as a whole; answers false, and sends nothing, when that would have to wait or the channel broke. The bytes
   * are the caller's again when this returns.
   */
  readonly trySend: (bytes: Uint8Array) => boolean
  /** What to call when something has come, or the channel is over, in place of who was told before; undefined for nobody. */
  readonly listen: (readable: (() => void) | undefined) => void
}

/**
 * A channel that need not wait. Calls on it cost no fibers but those of their handlers.
 *
 * @since 0.1.0
 */
export interface DirectChannel extends CallChannel, DirectBytes {
  /** As `release`. */
  readonly releaseNow: () => void
}

/** @since 0.1.0 */
export const isDirect = (channel: CallChannel): channel is DirectChannel => "releaseNow" in channel

/** Whether a failure is that of a channel. By its tag: a process may hold two copies of this package. @since 0.1.0 */
export const isChannelError = (error: unknown): error is ChannelError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "ChannelError"
