/**
 * Where an endpoint can be reached: its id, its home relay and its direct addresses.
 *
 * @since 0.1.0
 */
import * as EndpointId from "./EndpointId.ts"
import * as Ticket from "./Ticket.ts"

/** An address to connect to. An id alone is enough where the node can look addresses up. */
export interface NodeAddr {
  readonly endpointId: EndpointId.EndpointId
  /** URL of the endpoint's home relay. */
  readonly relayUrl?: string | undefined
  /** `ip:port` or `[ip6]:port`, most preferred first. */
  readonly directAddresses: ReadonlyArray<string>
}

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

/** Id, relay URL (or nothing) and direct addresses in the base64 form (Aster base64 node address). */
export const toBase64 = (self: NodeAddr): string =>
  Ticket.encodeNodeAddr({
    endpointId: self.endpointId,
    relayUrl: self.relayUrl,
    directAddrs: self.directAddresses
  })

/**
 * Reads the base64 form. The id alone, in base64, is an address too.
 *
 * @throws Ticket.TicketError
 */
export const fromBase64 = (text: string): NodeAddr => {
  const { directAddrs, endpointId, relayUrl } = Ticket.decodeNodeAddr(text)
  return make(EndpointId.parse(endpointId), directAddrs, relayUrl)
}
