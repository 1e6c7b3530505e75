/**
 * What can go wrong with a node as a whole.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { EndpointId } from "./EndpointId.ts"

/** The node was closed. */
export class NodeClosed extends Data.TaggedError("NodeClosed")<{}> {
  override get message(): string {
    return "The node is closed"
  }
}

const bindAdvice = {
  AddressInUse: "Another program, or another node of this one, has the port: choose another one, or 0 for any",
  NotLocal: "No network interface of this machine has the address: use one of its own, or a wildcard",
  PermissionDenied: "This user may not use the port: choose one from 1024 up, or 0 for any",
  Malformed: 'Write an IP address and a port, as in "127.0.0.1:4433", "[::1]:0" or "0.0.0.0:0"',
  BadRelayUrl: 'Write relay URLs as in "https://relay.example.org"',
  WorkerThread:
    "A worker thread that is terminated while its node is in traffic aborts the process: make nodes in the main thread, or set workerThread and close the node before its thread ends",
  Unavailable: "The transport could not start",
  NoNativeBinding:
    'Install or build @aster-effect/iroh-native ("npm run build:native"), or choose the binding "number0"',
  BrokenNativeBinding:
    'Build it anew ("npm run build:native") or install it anew, or choose the binding "number0" (ASTER_IROH_BINDING)',
  BadSetting: 'ASTER_IROH_BINDING is "auto", "native" or "number0"; ASTER_IROH_NATIVE_MODE is "inline" or "thread"'
}

/** The node could not open its sockets. */
export class BindError extends Data.TaggedError("BindError")<{
  readonly reason: keyof typeof bindAdvice
  /** What was asked for. */
  readonly addresses: ReadonlyArray<string>
  readonly detail: string
}> {
  override get message(): string {
    return `Cannot bind ${this.addresses.join(", ") || "the default addresses"}: ${this.detail}. ${bindAdvice[this.reason]}.`
  }
}

/** Why no connection came about, and what to do. */
export type ConnectFailure =
  /** The peer does not speak this protocol. */
  | { readonly _tag: "UnsupportedProtocol" }
  /** Nobody with this id answered at the addresses in time. */
  | { readonly _tag: "TimedOut" }
  /** The address has neither relay nor direct addresses, and the node has no way to look any up. */
  | { readonly _tag: "NoAddress" }
  /** The address has a part that is not an address, or an id that is not a key. */
  | { readonly _tag: "BadAddress"; readonly detail: string }
  /** The address is the node's own. */
  | { readonly _tag: "Self" }
  /** This node is closed. */
  | { readonly _tag: "NodeClosed" }
  | { readonly _tag: "Refused"; readonly detail: string }

/** No connection came about. */
export class ConnectError extends Data.TaggedError("ConnectError")<{
  readonly reason: ConnectFailure
  readonly endpointId: EndpointId
  readonly alpn: string
}> {
  override get message(): string {
    return `Cannot connect to ${this.endpointId} for ${JSON.stringify(this.alpn)}: ${connectAdvice(this.reason)}`
  }
}

const connectAdvice = (reason: ConnectFailure): string => {
  switch (reason._tag) {
    case "UnsupportedProtocol":
      return "the peer does not speak this protocol"
    case "TimedOut":
      return "nobody with this id answered at the given addresses in time"
    case "NoAddress":
      return "only the id is known; pass an address with a relay or direct addresses"
    case "BadAddress":
      return `the address is malformed (${reason.detail})`
    case "Self":
      return "that is this node's own id"
    case "NodeClosed":
      return "this node is closed"
    case "Refused":
      return reason.detail
  }
}
