/**
 * All that is needed to read or write a document, in one word. iroh-docs wire, tickets.
 *
 * @since 0.1.0
 */
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { Malformed } from "@aster-effect/iroh/Malformed"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import * as SocketAddr from "@aster-effect/iroh/SocketAddr"
import { base32nopad } from "@scure/base"
import * as Redacted from "effect/Redacted"
import type { Capability } from "./Capability.ts"
import { DocTicketError } from "./DocsError.ts"
import * as DocumentId from "./DocumentId.ts"

/** What may be done with a document, and where it can be had. @since 0.1.0 */
export interface DocTicket {
  readonly capability: Capability
  /** At least one. */
  readonly nodes: ReadonlyArray<NodeAddr.NodeAddr>
}

const prefix = "doc"
const maxText = 64 * 1024

/**
 * The text form: `doc` and unpadded lower-case base32. A ticket for writing holds the document's secret.
 *
 * @throws DocTicketError when there is no node, or an address cannot be read
 * @since 0.1.0
 */
export const encode = (ticket: DocTicket): string => prefix + base32nopad.encode(toBytes(ticket)).toLowerCase()

/**
 * Reads the text form. The prefix is case sensitive, the rest is not.
 *
 * @throws DocTicketError
 * @since 0.1.0
 */
export const decode = (text: string): DocTicket => {
  if (!text.startsWith(prefix)) throw new DocTicketError({ problem: `it does not start with "${prefix}"` })
  if (text.length > maxText) throw new DocTicketError({ problem: "it is too long" })
  let bytes: Uint8Array
  try {
    bytes = base32nopad.decode(text.slice(prefix.length).toUpperCase())
  } catch {
    throw new DocTicketError({ problem: "it is not base32; copy it again, without spaces or line breaks" })
  }
  try {
    return fromBytes(bytes)
  } catch (error) {
    throw error instanceof Malformed ? new DocTicketError({ problem: error.message }) : error
  }
}

const toBytes = ({ capability, nodes }: DocTicket): Uint8Array => {
  if (nodes.length === 0) throw new DocTicketError({ problem: "it names no node" })
  const writer = new PostcardWriter().byte(0)
  if (capability._tag === "Read") writer.byte(1).raw(DocumentId.toBytes(capability.document))
  else writer.byte(0).byte(32).raw(Redacted.value(capability.secret))
  writer.varint(nodes.length)
  for (const node of nodes) writeNode(writer, node)
  return writer.finish()
}

/** Relays come before addresses, and these in their order as numbers. */
const writeNode = (writer: PostcardWriter, { directAddresses, endpointId, relayUrl }: NodeAddr.NodeAddr): void => {
  writer.raw(EndpointId.toBytes(endpointId)).varint(directAddresses.length + (relayUrl === undefined ? 0 : 1))
  if (relayUrl !== undefined) {
    const url = new TextEncoder().encode(new URL(relayUrl).href)
    writer.byte(0).varint(url.length).raw(url)
  }
  const direct = directAddresses.map((text) => {
    const addr = SocketAddr.parse(text)
    if (addr === undefined) throw new DocTicketError({ problem: `${JSON.stringify(text.slice(0, 80))} is not ip:port` })
    return addr
  })
  direct.sort((a, b) => a.octets.length - b.octets.length || Buffer.compare(a.octets, b.octets) || a.port - b.port)
  for (const { octets, port } of direct) {
    writer
      .byte(1)
      .byte(octets.length === 4 ? 0 : 1)
      .raw(octets)
      .varint(port)
  }
}

const fromBytes = (bytes: Uint8Array): DocTicket => {
  const reader = new PostcardReader(bytes)
  if (reader.varint() !== 0) throw new Malformed("it is of an unknown kind")
  const capability = readCapability(reader)
  // The shortest node is an id without addresses.
  const nodes = Array.from({ length: reader.length(33) }, () => readNode(reader))
  if (nodes.length === 0) throw new Malformed("it names no node")
  if (reader.remaining > 0) throw new Malformed("it goes on after its end")
  return { capability, nodes }
}

const readCapability = (reader: PostcardReader): Capability => {
  const kind = reader.varint()
  if (kind === 1) return { _tag: "Read", document: DocumentId.fromBytes(reader.take(32)) }
  if (kind !== 0 || reader.varint() !== 32) throw new Malformed("it permits something unknown")
  return { _tag: "Write", secret: Redacted.make(new Uint8Array(reader.take(32)), { label: "document secret" }) }
}

const readNode = (reader: PostcardReader): NodeAddr.NodeAddr => {
  const endpointId = EndpointId.fromBytes(reader.take(32))
  const direct: Array<string> = []
  let relayUrl: string | undefined
  // The shortest address is the URL of no bytes.
  for (let left = reader.length(2); left > 0; left--) {
    const kind = reader.varint()
    if (kind === 0) {
      const url = new TextDecoder().decode(reader.take(reader.varint()))
      // An address holds one relay; the first one counts.
      if (URL.canParse(url)) relayUrl ??= new URL(url).href
    } else if (kind === 1) {
      const family = reader.varint()
      if (family > 1) throw new Malformed("an address is of an unknown kind")
      const octets = reader.take(family === 0 ? 4 : 16)
      const port = reader.varint()
      if (port > 0xffff) throw new Malformed(`${port} is not a port`)
      direct.push(SocketAddr.format({ octets, port }))
    } else throw new Malformed("an address is of an unknown kind")
  }
  return NodeAddr.make(endpointId, direct, relayUrl)
}
