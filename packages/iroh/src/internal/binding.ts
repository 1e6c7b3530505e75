/**
 * The narrow seam to a transport of promises. An implementation knows bytes and its own errors, and leaves order,
 * interruption and bookkeeping to the callers; `endpointOf` makes a `Binding.Endpoint` of it.
 */
import type * as Binding from "../Binding.ts"
import type { StreamError } from "../BiStream.ts"
import type { CloseReason } from "../Connection.ts"
import type { EndpointId } from "../EndpointId.ts"
import type { NodeAddr } from "../NodeAddr.ts"

/** A sending half. One call of `writeAll` or `finish` at a time, `finish` last; `reset` may be called meanwhile. */
export interface RawSend {
  readonly writeAll: (chunk: Uint8Array) => Promise<void>
  /** Ends the half, also one that the peer has stopped. Resolves at some time after the end was sent. */
  readonly finish: () => Promise<void>
  readonly reset: (code: number) => Promise<void>
}

/** A receiving half. Only one `read` is called at a time; an empty answer is the end. */
export interface RawRecv {
  readonly read: (limit: number) => Promise<Uint8Array>
  readonly stop: (code: number) => Promise<void>
}

/** Both halves of a stream. */
export interface RawBi {
  readonly send: RawSend
  readonly recv: RawRecv
}

/** A connection. Its promises reject with whatever the transport has; `failure` says what that means. */
export interface RawConnection {
  readonly remoteId: EndpointId
  readonly alpn: string
  readonly openBi: () => Promise<RawBi>
  readonly acceptBi: () => Promise<RawBi>
  readonly openUni: () => Promise<RawSend>
  readonly acceptUni: () => Promise<RawRecv>
  readonly close: (code: number, reason: string) => void
  /** Resolves, never rejects, once the connection is closed. */
  readonly closed: () => Promise<CloseReason>
  /** Asked of the transport. */
  readonly closeReason: () => CloseReason | undefined
  /**
   * Whether this side knows that the connection is closed: by what it did itself, by what the transport has told, and by
   * what it was told when asked. Costs nothing, and may be behind the transport by a turn of the event loop.
   */
  readonly isClosed: () => boolean
  readonly bytesReceived: () => number
  /** What a rejection of a stream's promise means. */
  readonly failure: (cause: unknown) => StreamError
}

/** A connection attempt of which the first packet has come: a `Binding.Incoming` of such connections. */
export interface RawIncoming extends Omit<Binding.Incoming, "accept"> {
  readonly accept: () => Promise<RawConnection>
}

/** An endpoint of such connections. */
export interface RawEndpoint extends Omit<Binding.Endpoint, "connect" | "acceptNext"> {
  readonly connect: (addr: NodeAddr, alpn: string) => Promise<RawConnection>
  readonly acceptNext: () => Promise<RawIncoming | undefined>
}
