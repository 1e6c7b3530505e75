/**
 * How an endpoint can be reached, as members of a swarm tell each other (iroh-gossip wire, PeerData: addresses).
 *
 * @since 0.1.0
 */
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import * as SocketAddr from "@aster-effect/iroh/SocketAddr"

/** How an endpoint says it can be reached. What a peer says about itself or others: a hint, never a fact. */
export interface AddrInfo {
  /** URL of its home relay. */
  readonly relayUrl?: string | undefined
  /** `ip:port` or `[ip6]:port`. */
  readonly directAddresses: ReadonlyArray<string>
}

/** The longest relay URL that is looked at, in bytes. */
const MAX_RELAY_URL = 256
/** Addresses looked at; of further ones nothing is kept. */
const MAX_ADDRESSES = 32

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** The form in which it travels, IPv4 first and in order as the reference writes it (iroh-gossip wire, PeerData: addresses). */
export const encode = ({ directAddresses, relayUrl }: AddrInfo): Uint8Array => {
  const writer = new PostcardWriter()
  if (relayUrl === undefined) writer.byte(0)
  else {
    const url = new TextEncoder().encode(relayUrl)
    writer.byte(1).varint(url.length).raw(url)
  }
  const addresses = [...new Set(directAddresses)].flatMap((text) => SocketAddr.parse(text) ?? []).toSorted(compare)
  writer.varint(addresses.length)
  for (const { octets, port } of addresses)
    writer
      .byte(octets.length === 4 ? 0 : 1)
      .raw(octets)
      .varint(port)
  return writer.finish()
}

/**
 * Reads what {@link encode} writes; no bytes mean that nothing is known. Bytes after it are ignored.
 *
 * @throws Malformed
 */
export const decode = (bytes: Uint8Array): AddrInfo => {
  if (bytes.length === 0) return { directAddresses: [] }
  const reader = new PostcardReader(bytes)
  let relayUrl: string | undefined
  if (option(reader)) {
    const url = reader.take(reader.length(1))
    if (url.length > MAX_RELAY_URL) throw new Malformed(`has a relay URL of ${url.length} bytes`)
    relayUrl = text(url)
  }
  const directAddresses: Array<string> = []
  for (let left = reader.length(6); left > 0; left--) {
    const kind = reader.varint()
    if (kind > 1) throw new Malformed(`has an address of kind ${kind}`)
    const octets = reader.take(kind === 0 ? 4 : 16)
    const port = reader.varint()
    if (port > 0xffff) throw new Malformed(`has port ${port}`)
    if (directAddresses.length < MAX_ADDRESSES) directAddresses.push(SocketAddr.format({ octets, port }))
  }
  return { directAddresses, ...(relayUrl === undefined ? undefined : { relayUrl }) }
}

const compare = (a: SocketAddr.SocketAddr, b: SocketAddr.SocketAddr): number =>
  a.octets.length - b.octets.length || Buffer.compare(a.octets, b.octets) || a.port - b.port

const option = (reader: PostcardReader): boolean => {
  const tag = reader.byte()
  if (tag > 1) throw new Malformed(`has an option of tag ${tag}`)
  return tag === 1
}

const text = (bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Malformed("has a text that is not UTF-8")
  }
}
