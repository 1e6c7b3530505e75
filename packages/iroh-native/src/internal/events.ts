/** The numbers of events, as in `hub.rs` and `connection.rs` of the crate. */
import type { BindError, ConnectFailure } from "@aster-effect/iroh/NodeError"

/** Numbers that an event is told with: kind, a, b, offset, length, code low, code high, nothing. */
export const fields = 8

export const bound = 1
export const failed = 2
export const incoming = 3
export const connected = 4
export const closed = 5
export const acceptedBi = 6
export const acceptedUni = 7
export const openedBi = 8
export const openedUni = 9
export const data = 10
export const end = 11
export const reset = 12
export const recvLost = 13
export const stopped = 14
export const sendLost = 15
export const drained = 16
export const noMore = 17
export const endpointClosed = 18
export const readable = 19

/** How a connection ended. */
export const closedByUs = 0
export const closedByPeer = 1
export const closedByTimeout = 2

/** A request that came to nothing. */
export class Failed {
  readonly code: number
  readonly detail: string

  constructor(code: number, detail: string) {
    this.code = code
    this.detail = detail
  }
}

/** What a failed `connect` means. */
export const connectFailure = ({ code, detail }: Failed): ConnectFailure => {
  switch (code) {
    case 1:
      return { _tag: "UnsupportedProtocol" }
    case 2:
      return { _tag: "TimedOut" }
    case 3:
      return { _tag: "NoAddress" }
    case 4:
      return { _tag: "BadAddress", detail }
    case 5:
      return { _tag: "Self" }
    case 6:
      return { _tag: "NodeClosed" }
    default:
      return { _tag: "Refused", detail }
  }
}

/** What a failed `bind` means. */
export const bindFailure = ({ code }: Failed): BindError["reason"] => {
  switch (code) {
    case 8:
      return "AddressInUse"
    case 9:
      return "NotLocal"
    case 10:
      return "PermissionDenied"
    case 11:
      return "BadRelayUrl"
    default:
      return "Unavailable"
  }
}
