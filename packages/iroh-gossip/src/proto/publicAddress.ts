import type { AddrInfo } from "../AddrInfo.ts"
import * as SocketAddr from "@aster-effect/iroh/SocketAddr"

const startsWith = (octets: Uint8Array, ...prefix: ReadonlyArray<number>): boolean =>
  prefix.every((octet, i) => octets[i] === octet)

/** Blocks of IPv4 that are not of the public internet, by their first two octets (RFC 6890). */
const isPublicV4 = (octets: Uint8Array): boolean => {
  const [a = 0, b = 0, c = 0] = octets
  return !(
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 192 && b === 0 && c === 0) ||
    (a === 198 && (b === 18 || b === 19))
  )
}

/** Global unicast, without what stands for an IPv4 address or goes through a translator to one (RFC 6890). */
const isPublicV6 = (octets: Uint8Array): boolean =>
  (octets[0]! & 0xe0) === 0x20 && !startsWith(octets, 0x20, 0x02) && !startsWith(octets, 0x20, 0x01, 0, 0)

/** Whether an `ip:port` can only be reached through the public internet. */
export const isPublic = (address: string): boolean => {
  const parsed = SocketAddr.parse(address)
  if (parsed === undefined || parsed.port === 0) return false
  return parsed.octets.length === 4 ? isPublicV4(parsed.octets) : isPublicV6(parsed.octets)
}

/** Whether a relay is named, by a name that a resolver of the public internet knows, and asked over TLS. */
const isPublicRelay = (url: string): boolean => {
  if (!URL.canParse(url)) return false
  const { hostname, password, port, protocol, username } = new URL(url)
  return (
    protocol === "https:" &&
    port === "" &&
    username === "" &&
    password === "" &&
    /^(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]+\.?$/.test(hostname) &&
    !/\.(?:local|localhost|internal|lan|home|arpa)\.?$/.test(hostname)
  )
}

/** What of a stranger's word about an address leads nowhere but into the public internet. */
export const publicOnly = ({ directAddresses, relayUrl }: AddrInfo): AddrInfo => ({
  directAddresses: directAddresses.filter(isPublic),
  ...(relayUrl !== undefined && isPublicRelay(relayUrl) ? { relayUrl } : undefined)
})
