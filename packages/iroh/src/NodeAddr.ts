/**
 * Where an endpoint can be reached: its id, its home relay and its direct addresses.
 *
 * @since 0.1.0
 */
import { base64 } from "@scure/base"
import * as EndpointId from "./EndpointId.ts"
import * as SocketAddr from "./proto/SocketAddr.ts"
import * as Ticket from "./Ticket.ts"

/** An address to connect to. An id alone is enough where the node can look addresses up. */
export interface NodeAddr {
  readonly endpointId: EndpointId.EndpointId
  /** URL of the endpoint's home relay. */
  readonly relayUrl?: string | undefined
  /** `ip:port` or `[ip6]:port`, most preferred first. */
  readonly directAddresses: ReadonlyArray<string>
}

const maxText = 16 * 1024
const maxDirect = 128
const maxRelayUrl = 2048

/** An address of parts. Leaves `relayUrl` out when it is undefined. */
export const make = (
  endpointId: EndpointId.EndpointId,
  directAddresses: ReadonlyArray<string> = [],
  relayUrl?: string
): NodeAddr => ({ endpointId, directAddresses, ...(relayUrl === undefined ? undefined : { relayUrl }) })

/** All that is known about one endpoint from two addresses: what `self` says comes first, duplicates go. */
export const union = (self: NodeAddr, that: NodeAddr): NodeAddr =>
  make(
    self.endpointId,
    [...new Set([...self.directAddresses, ...that.directAddresses])],
    self.relayUrl ?? that.relayUrl
  )

/**
 * Reads an address in any of its three spellings, told apart as an Aster client does: an `aster1` ticket (its relay
 * and credential are left aside), 64 hex digits, else the base64 form.
 *
 * @throws Ticket.TicketError
 */
export const parse = (text: string): NodeAddr => {
  if (Ticket.isTicket(text)) {
    const { directAddrs, endpointId } = Ticket.decode(text)
    return make(EndpointId.parse(endpointId), directAddrs)
  }
  if (EndpointId.isHex(text)) return make(EndpointId.parse(text))
  return fromBase64(text)
}

/** The ticket of this address: the id and as many of the first direct addresses as a ticket holds. */
export const toTicket = ({ directAddresses, endpointId }: NodeAddr): string => {
  const directAddrs: Array<string> = []
  let size = 34
  for (const addr of directAddresses.slice(0, 15)) {
    size += (addr.startsWith("[") ? 18 : 6) + (directAddrs.length % 4 === 0 ? 1 : 0)
    if (size > 256) break
    directAddrs.push(addr)
  }
  return Ticket.encode({ endpointId, directAddrs })
}

/** Id, relay URL (or nothing) and direct addresses on lines of their own, in base64 (Aster base64 node address). */
export const toBase64 = (self: NodeAddr): string =>
  base64.encode(
    new TextEncoder().encode(`${self.endpointId}\n${self.relayUrl ?? ""}\n${self.directAddresses.join("\n")}`)
  )

/**
 * Reads the base64 form. The id alone, in base64, is an address too.
 *
 * @throws Ticket.TicketError
 */
export const fromBase64 = (text: string): NodeAddr => {
  if (text.length > maxText) throw new Ticket.TicketError({ problem: "the address is too long" })
  let content: string
  try {
    content = new TextDecoder("utf-8", { fatal: true }).decode(base64.decode(text))
  } catch {
    throw new Ticket.TicketError({ problem: "neither an aster1 ticket, nor 64 hex digits, nor a base64 node address" })
  }
  const [id = "", relayUrl = "", ...rest] = content.split("\n")
  if (!EndpointId.isHex(id)) throw new Ticket.TicketError({ problem: "no endpoint id in the base64 node address" })
  if (relayUrl.length > maxRelayUrl) throw new Ticket.TicketError({ problem: "the relay URL is too long" })
  const direct = rest.filter((line) => line !== "")
  if (direct.length > maxDirect) throw new Ticket.TicketError({ problem: `more than ${maxDirect} direct addresses` })
  for (const addr of direct) {
    if (SocketAddr.parse(addr) === undefined) {
      throw new Ticket.TicketError({ problem: `${JSON.stringify(addr.slice(0, 80))} is not ip:port or [ip6]:port` })
    }
  }
  return make(EndpointId.parse(id), direct, relayUrl === "" ? undefined : relayUrl)
}
