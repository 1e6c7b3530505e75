/**
 * What carries nodes over real sockets. `IrohNode.layer` takes `@aster-effect/iroh-native` where it is there, and
 * `@number0/iroh` where it is not; another binding implements `Binding`.
 *
 * @since 0.1.0
 */
import { networkInterfaces } from "node:os"
import type * as Effect from "effect/Effect"
import type { Subtree } from "./Blake3.ts"
import type { Connection } from "./Connection.ts"
import type { EndpointId } from "./EndpointId.ts"
import type { NodeAddr } from "./NodeAddr.ts"
import type { BindError, ConnectFailure } from "./NodeError.ts"
import type { IrohNodeOptions } from "./NodeOptions.ts"
import * as SocketAddr from "./SocketAddr.ts"

/** A connection attempt of which the first packet has come. */
export interface Incoming {
  /** The rest of the handshake. */
  readonly accept: () => Promise<Connection>
  /**
   * Sends a peer that has not proven its address back to do so, which costs us nothing: it comes again as another
   * attempt. Answers whether that was so.
   */
  readonly challenge: () => Promise<boolean>
}

/** An endpoint bound to its sockets. */
export interface Endpoint {
  readonly endpointId: EndpointId
  /** The name of the binding, once a node is made on it. */
  binding?: string | undefined
  readonly boundSockets: ReadonlyArray<string>
  readonly address: () => NodeAddr
  readonly setAlpns: (alpns: ReadonlyArray<string>) => void
  readonly connect: (addr: NodeAddr, alpn: string) => Promise<Connection>
  /** What a rejection of `connect` means. */
  readonly connectFailure: (cause: unknown) => ConnectFailure
  /** The next connection attempt; undefined once the endpoint is closed. */
  readonly acceptNext: () => Promise<Incoming | undefined>
  /** Resolves when the sockets can be bound again. */
  readonly close: () => Promise<void>
}

/** A way to open endpoints. */
export interface Binding {
  /** BLAKE3 by native code, for whoever in the process hashes much. */
  readonly blake3?: Subtree | undefined
  /** What it is, for logs. */
  readonly name: string
  readonly bind: (options: IrohNodeOptions) => Effect.Effect<Endpoint, BindError>
}

/** The addresses of an option, one or many. */
export const addressesOf = ({ bindAddress = [] }: IrohNodeOptions): ReadonlyArray<string> =>
  typeof bindAddress === "string" ? [bindAddress] : bindAddress

/**
 * The addresses to bind so that a node confined to some stays there: left alone, a family without an address opens on
 * all interfaces. A text says what is wrong with the given ones.
 */
export const confine = (given: ReadonlyArray<string>): ReadonlyArray<string> | string => {
  const families: Array<number> = []
  let confined = given.length > 0
  for (const text of given) {
    const addr = SocketAddr.parse(text)
    if (addr === undefined) return `${JSON.stringify(text)} is not an IP address and a port`
    const family = addr.octets.length
    if (families.includes(family)) return `${JSON.stringify(text)} is the second address of its family`
    families.push(family)
    if (SocketAddr.isWildcard(addr)) confined = false
  }
  const addresses = [...given]
  if (confined && !families.includes(4)) addresses.push("127.0.0.1:0")
  if (confined && !families.includes(16) && hasIpv6()) addresses.push("[::1]:0")
  return addresses
}

const hasIpv6 = (): boolean =>
  Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === "IPv6"))

/** A code that QUIC can carry and a number can hold: an integer from 0 to 2^53 - 1, the nearest one to `code`. */
export const errorCode = (code: number): number => Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.trunc(code) || 0))

const maxReasonBytes = 1000

/** The longest beginning of a close reason that fits into a close frame. */
export const closeReason = (text: string): string => {
  if (text.length * 3 <= maxReasonBytes) return text
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maxReasonBytes))
  return text.slice(0, read)
}
