/**
 * What a node can be told when it is made.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type { SecretKey } from "./SecretKey.ts"

/** Relays carry traffic that cannot go directly and help peers to find a direct way. */
export type RelayMode =
  /** The public relays, and address look-up by id. */
  | "default"
  /** The public staging relays, and address look-up by id. */
  | "staging"
  /** No relay and no look-up service is contacted; connecting needs direct addresses. */
  | "disabled"
  /** These relays, by URL, and address look-up by id. */
  | { readonly custom: ReadonlyArray<string> }

/** What both kinds of node can be told. */
export interface NodeOptions {
  /** Identity; by default a new one. */
  readonly secretKey?: SecretKey | undefined
  /** Protocols to take connections for from the beginning; see also `IrohNode.advertise`. */
  readonly alpns?: ReadonlyArray<string> | undefined
  /** Time for an incoming handshake, from the first packet. Default: 10 seconds. */
  readonly handshakeTimeout?: Duration.Input | undefined
  /**
   * How many incoming handshakes go on at a time; further peers wait, and from half of it on they have to prove their
   * address first. Default: 64.
   */
  readonly maxHandshakes?: number | undefined
  /** How many finished connections wait to be taken by `accept`. Default: 64. */
  readonly backlog?: number | undefined
}

/** Which binding to take: see `IrohNodeOptions.binding`. */
export type BindingChoice = "auto" | "native" | "number0"

/** What the native binding can be told. */
export interface NativeOptions {
  /**
   * Where its tasks run. "inline": on Node's own event loop, where a call waits for no other thread. While JavaScript
   * blocks its thread for over a second, a thread beside it keeps the connections alive. "thread": on a thread of
   * their own, so that encryption costs JavaScript no time and each call a few wake-ups. Default: the setting
   * ASTER_IROH_NATIVE_MODE, or "inline" on Linux and "thread" elsewhere, where "inline" does not exist.
   */
  readonly mode?: "inline" | "thread" | undefined
  /**
   * Microseconds for which the event loop, when it has nothing else to do, waits for an answer without letting the
   * processor sleep. It makes calls one after the other faster and uses a whole core meanwhile; on a busy machine it
   * makes them slower. Only inline. Default: 0.
   */
  readonly spin?: number | undefined
}

/** What a node on real sockets can be told. */
export interface IrohNodeOptions extends NodeOptions {
  /**
   * `ip:port` to listen on, at most one per address family; port 0 takes any free one. Default: all interfaces, any
   * port. An address other than a wildcard confines the node: the other family, unless given too, is then bound to
   * its loopback address. A wildcard leaves the other family at its default.
   *
   * Whatever is bound, iroh asks the local router for a port mapping during the first second or so, from a socket of
   * its own that takes no connections. The native binding does so only where it could matter: with relays, and not
   * confined to the loopback interface.
   */
  readonly bindAddress?: string | ReadonlyArray<string> | undefined
  /** Default: "default". */
  readonly relayMode?: RelayMode | undefined
  /**
   * Only for the binding "number0": whether closed nodes may run the garbage collector, which alone takes the sockets
   * and the megabyte that the native endpoint of a closed node keeps: after every 32nd, and when a port is wanted again
   * that a closed node still has. The thread stands still for a full collection each time. With `false` such a port is
   * free when the process has collected by itself. Default: true.
   */
  readonly collectGarbage?: boolean | undefined
  /**
   * Only for the binding "number0": whether the node may be made in a worker thread. Its native code does not survive
   * the end of its thread: when a worker is terminated, or its code exits, with a node in traffic, the whole process
   * aborts. Close the node first. Default: false, binding in a worker thread fails.
   */
  readonly workerThread?: boolean | undefined
  /**
   * What carries the node. "auto" takes "native", the addon of `@aster-effect/iroh-native`, where it is installed or
   * built, and "number0", which is `@number0/iroh`, where it is not; which one is logged. Default: the setting
   * ASTER_IROH_BINDING, or "auto".
   */
  readonly binding?: BindingChoice | undefined
  /** What only the native binding can be told. */
  readonly native?: NativeOptions | undefined
}

/**
 * A node that stays on this machine: peers reach it at 127.0.0.1, and it contacts no relay. For tests and first steps.
 *
 * @since 0.1.0
 */
export const loopback: IrohNodeOptions = { bindAddress: "127.0.0.1:0", relayMode: "disabled" }
