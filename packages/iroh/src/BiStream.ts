/**
 * Streams of bytes inside a connection: a `SendStream` and a `RecvStream`, alone or as a pair.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Data from "effect/Data"
import type { ConnectionLost } from "./Connection.ts"

/** The peer ended its sending half early; what it had sent before may be missing. */
export class StreamReset extends Data.TaggedError("StreamReset")<{ readonly code: number }> {
  override get message(): string {
    return `The peer reset the stream with code ${this.code}`
  }
}

/** The peer does not want to read any more of what we send. */
export class StreamStopped extends Data.TaggedError("StreamStopped")<{ readonly code: number }> {
  override get message(): string {
    return `The peer stopped the stream with code ${this.code}`
  }
}

/** This half was finished, reset, stopped or discarded on our side; nothing more can be done with it. */
export class StreamClosed extends Data.TaggedError("StreamClosed")<{}> {
  override get message(): string {
    return "This half of the stream was already ended on our side"
  }
}

/** Why reading or writing failed. */
export class StreamError extends Data.TaggedError("StreamError")<{
  readonly reason: StreamReset | StreamStopped | StreamClosed | ConnectionLost
}> {
  override get message(): string {
    return this.reason.message
  }
}

/** The half of a stream that bytes are written to. */
export interface SendStream {
  /**
   * Sends bytes after everything written before, also by other fibers; completes when the transport has taken them.
   * Waits while the peer reads too slowly.
   *
   * The stream keeps `bytes` until then: do not change them. Interrupting a write that has begun does not cut it in
   * the middle: it goes on in the background and the next write follows it. One that has not begun is dropped.
   */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, StreamError>
  /**
   * Says that nothing follows. The end is sent after all writes begun so far; this does not wait for them. Further
   * writes fail with `StreamClosed`, finishing again does nothing.
   */
  readonly finish: Effect.Effect<void, StreamError>
  /**
   * Gives the half up: writes still waiting fail with `StreamClosed` and the peer's read fails with `StreamReset`.
   * Never waits. A write that the peer does not read may delay what the peer sees. Without effect once everything
   * and the end were delivered.
   */
  readonly reset: (code: number) => Effect.Effect<void>
  /** What can be done without an effect, where the transport takes bytes at once. */
  readonly direct?: DirectSend | undefined
}

/** Sending without an effect. @since 0.1.0 */
export interface DirectSend {
  /**
   * Sends bytes after everything written before. Answers false, and takes nothing, where `write` would wait or fail. The
   * bytes are the caller's again when this returns.
   */
  readonly tryWrite: (bytes: Uint8Array) => boolean
  /** Puts what was written on the network now, rather than at the end of this turn of the event loop. */
  readonly flush: () => void
}

/** Receiving without an effect. @since 0.1.0 */
export interface DirectRecv {
  /** Bytes that are here, at most `maxBytes` (default and most 64 KiB); undefined when there are none, or somebody reads. */
  readonly poll: (maxBytes?: number) => Uint8Array | undefined
  /** Whether nothing comes any more, once everything was taken: the peer has finished, or why not. */
  readonly over: "finished" | StreamError | undefined
  /** What to call when something has come or the half is over, in place of who was told before; undefined for nobody. May be called without a cause. */
  readonly listen: (readable: (() => void) | undefined) => void
}

/** The half of a stream that bytes are read from. */
export interface RecvStream {
  /**
   * The next bytes, at least one and at most `maxBytes` (default and good choice 16 KiB, at most 64 KiB; with room the
   * default may be 64 KiB), or `undefined` when the peer has finished and everything was read. An interrupted read loses
   * nothing: the bytes go to the next one.
   *
   * With `room`, which is not empty, there are at most as many bytes as it has, and they may be in it, at its start: so
   * those who read much need no new memory. They may as well be elsewhere.
   */
  readonly read: (maxBytes?: number, room?: Uint8Array) => Effect.Effect<Uint8Array | undefined, StreamError>
  /**
   * Tells the peer to send no more. Never waits; reads waiting and to come fail with `StreamClosed`. While an
   * interrupted read is still under way in the transport, the peer learns of it only when it sends or ends.
   */
  readonly stop: (code: number) => Effect.Effect<void>
  /**
   * Nobody will read on: the rest, usually just the end, is read and dropped in the background so that the peer gets
   * its stream back; past 64 KiB the stream is stopped with code 0. Never waits.
   */
  readonly discard: Effect.Effect<void>
  /** What can be done without an effect, where the transport brings bytes unasked. */
  readonly direct?: DirectRecv | undefined
}

/** A stream with both halves. Holding either half keeps both. */
export interface BiStream {
  readonly send: SendStream
  readonly recv: RecvStream
}
