/**
 * An authenticated, encrypted connection to one peer, carrying many streams.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { BiStream, RecvStream, SendStream } from "./BiStream.ts"
import type { EndpointId } from "./EndpointId.ts"
import * as Printable from "./Printable.ts"

/** Why a connection is no more. */
export type CloseReason =
  /** We closed it, or the node was closed. */
  | { readonly _tag: "Local"; readonly code: number; readonly reason: string }
  /** The peer closed it. `reason` is the peer's text: do not trust it. */
  | { readonly _tag: "Peer"; readonly code: number; readonly reason: string }
  /** The peer was not heard of for too long. */
  | { readonly _tag: "TimedOut" }
  /** The transport gave up, for example after a protocol violation. */
  | { readonly _tag: "Transport"; readonly detail: string }

/** The connection is closed; see `reason`. */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<{ readonly reason: CloseReason }> {
  override get message(): string {
    return `The connection is closed: ${describe(this.reason)}`
  }
}

/** A sentence about a close reason, for logs. It is one line, whatever the peer said. */
export const describe = (reason: CloseReason): string => {
  switch (reason._tag) {
    case "Local":
      return `by us with code ${reason.code}${reason.reason === "" ? "" : ` (${reason.reason})`}`
    case "Peer":
      return `by the peer with code ${reason.code}${reason.reason === "" ? "" : ` (${Printable.line(reason.reason)})`}`
    case "TimedOut":
      return "the peer was not heard of for too long"
    case "Transport":
      return reason.detail
  }
}

/** A connection whose handshake is done. */
export interface Connection {
  /** The peer, as proven by the handshake. */
  readonly remoteId: EndpointId
  /** The protocol both sides agreed on. */
  readonly alpn: string
  /**
   * Opens a bidirectional stream. Waits while as many streams are open as the peer allows (usually 100); a stream is
   * given back when both halves have ended on both sides. The peer learns of it with the first bytes.
   */
  readonly openBi: Effect.Effect<BiStream, ConnectionLost>
  /** The next bidirectional stream that the peer opens. Up to 4 are accepted ahead once this was first asked for. */
  readonly acceptBi: Effect.Effect<BiStream, ConnectionLost>
  /** Opens a stream that only we send on. */
  readonly openUni: Effect.Effect<SendStream, ConnectionLost>
  /** The next stream that only the peer sends on. */
  readonly acceptUni: Effect.Effect<RecvStream, ConnectionLost>
  /**
   * Closes the connection at once: data not delivered yet is lost, all streams fail. The first close wins. The code
   * is an integer from 0 to 2^53 - 1; of the reason the first 1,000 bytes are sent.
   */
  readonly close: (code: number, reason: string) => Effect.Effect<void>
  /** Waits for the connection to be closed by anyone. */
  readonly closed: Effect.Effect<CloseReason>
  /** Whether the connection is known to be closed: always once a stream of it failed for that, or `closed` has answered. */
  readonly isClosed: () => boolean
  /**
   * Bytes that have come from the peer so far, read or not, at least those of its streams. A peer may send about a
   * megabyte on each of its streams before anybody has accepted them.
   */
  readonly bytesReceived: () => number
}

/**
 * Stops every stream of one direction that the peer opens, until the connection is lost. For protocols that have none:
 * what is sent on streams that nobody accepts stays in memory, up to a megabyte on each.
 */
export const refuseUni = (connection: Connection): Effect.Effect<never, ConnectionLost> =>
  Effect.forever(Effect.flatMap(connection.acceptUni, (recv) => recv.stop(0)))

/** The same for every stream: for the side of a protocol that opens them all. */
export const refuseStreams = (connection: Connection): Effect.Effect<never, ConnectionLost> =>
  Effect.raceFirst(
    refuseUni(connection),
    Effect.forever(Effect.flatMap(connection.acceptBi, ({ recv, send }) => Effect.andThen(recv.stop(0), send.reset(0))))
  )
