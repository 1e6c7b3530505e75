/**
 * All that is needed to fetch a blob, in one word. iroh-blobs wire, BlobTicket.
 *
 * @since 0.1.0
 */
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as SocketAddr from "@aster-effect/iroh/SocketAddr"
import { base32nopad } from "@scure/base"
import { HASH_SIZE } from "./proto/Blake3.ts"
import * as BlobHash from "./BlobHash.ts"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"

/** A blob, how to read it, and where it can be had. */
export interface BlobTicket extends BlobHash.HashAndFormat {
  readonly addr: NodeAddr.NodeAddr
}

const prefix = "blob"
const maxText = 16 * 1024

/**
 * The text form: `blob` and unpadded lower-case base32. Addresses are written in order, the relay's URL in normal form.
 * Throws {@link Malformed} when an address or the URL cannot be read.
 */
export const encode = (ticket: BlobTicket): string => prefix + base32nopad.encode(toBytes(ticket)).toLowerCase()

/** Reads the text form. The prefix is case sensitive, the rest is not. Throws {@link Malformed}. */
export const decode = (text: string): BlobTicket => {
  if (!text.startsWith(prefix)) throw new Malformed(`a blob ticket starts with "${prefix}"`)
  if (text.length > maxText) throw new Malformed("the blob ticket is too long")
  let bytes: Uint8Array
  try {
    bytes = base32nopad.decode(text.slice(prefix.length).toUpperCase())
  } catch {
    throw new Malformed("the blob ticket is not base32; copy it again, without spaces or line breaks")
  }
  return fromBytes(bytes)
}

const toBytes = ({ addr, format, hash }: BlobTicket): Uint8Array => {
  const writer = new PostcardWriter().byte(0).raw(EndpointId.toBytes(addr.endpointId))
  if (addr.relayUrl === undefined) writer.byte(0)
  else {
    const url = new TextEncoder().encode(normalUrl(addr.relayUrl))
    writer.byte(1).varint(url.length).raw(url)
  }
  const direct = addr.directAddresses.map(parseSocketAddr).sort(compare)
  writer.varint(direct.length)
  for (const { octets, port } of direct) {
    writer
      .byte(octets.length === 4 ? 0 : 1)
      .raw(octets)
      .varint(port)
  }
  return writer
    .byte(format === "raw" ? 0 : 1)
    .raw(BlobHash.toBytes(hash))
    .finish()
}

const fromBytes = (bytes: Uint8Array): BlobTicket => {
  const reader = new PostcardReader(bytes)
  if (reader.varint() !== 0) throw new Malformed("the blob ticket is of an unknown kind")
  const endpointId = EndpointId.fromBytes(reader.take(32))
  const relayUrl = choice(reader, "relay") ? normalUrl(utf8(reader.take(reader.varint()))) : undefined
  // The shortest address is a kind, four octets and a port of one byte.
  const directAddresses = Array.from({ length: reader.length(6) }, () => {
    const octets = reader.take(choice(reader, "address") ? 16 : 4)
    const port = reader.varint()
    if (port > 0xffff) throw new Malformed(`${port} is not a port`)
    return SocketAddr.format({ octets, port })
  })
  const format = choice(reader, "format") ? "hashSeq" : "raw"
  const hash = BlobHash.fromBytes(reader.take(HASH_SIZE))
  return { addr: NodeAddr.make(endpointId, directAddresses, relayUrl), format, hash }
}

/** A variant index of which only 0 and 1 exist. */
const choice = (reader: PostcardReader, what: string): boolean => {
  const index = reader.varint()
  if (index > 1) throw new Malformed(`the ticket's ${what} is of an unknown kind`)
  return index === 1
}

const utf8 = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    throw new Malformed("the relay's URL is not UTF-8")
  }
}

const normalUrl = (text: string): string => {
  if (!URL.canParse(text)) throw new Malformed("the relay's URL cannot be read")
  return new URL(text).href
}

const parseSocketAddr = (text: string): SocketAddr.SocketAddr => {
  const addr = SocketAddr.parse(text)
  if (addr === undefined) throw new Malformed(`"${text.slice(0, 80)}" is not ip:port or [ip6]:port`)
  return addr
}

/** IPv4 before IPv6, then by address, then by port. */
const compare = (a: SocketAddr.SocketAddr, b: SocketAddr.SocketAddr): number => {
  if (a.octets.length !== b.octets.length) return a.octets.length - b.octets.length
  for (let i = 0; i < a.octets.length; i++) {
    const difference = a.octets[i]! - b.octets[i]!
    if (difference !== 0) return difference
  }
  return a.port - b.port
}
