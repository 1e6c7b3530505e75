/**
 * Addresses as text: the compact `aster1...` ticket, which says where an endpoint is and, optionally, what lets the
 * holder in, and the older base64 node address, which alone can carry a relay's URL.
 *
 * Everything here is synchronous and needs no Effect, so a script can use it as it is.
 *
 * @since 0.1.0
 */
import { base16, base58, base64 } from "@scure/base"
import * as Data from "effect/Data"
import * as EndpointId from "./EndpointId.ts"
import * as SocketAddr from "./SocketAddr.ts"

/** What the payload of a ticket is good for. `open` says that none is needed. */
export type CredentialType = "open" | "consumer_rcan" | "enrollment" | "registry_read"

/** The content of a ticket. Reading normalises: hex in lower case, addresses in their shortest form. */
export interface TicketInfo {
  /** 64 hex digits; either case is accepted when writing. */
  readonly endpointId: string
  /** The relay's IP address and port. A ticket cannot carry a relay's name. */
  readonly relayAddr?: string | undefined
  /** At most 15 `ip:port` or `[ip6]:port`. */
  readonly directAddrs: ReadonlyArray<string>
  readonly credentialType?: CredentialType | undefined
  /** Hex; at most 219 bytes fit. `registry_read` takes exactly 32. Absent for `open`. */
  readonly credentialDataHex?: string | undefined
}

/** A ticket or an address text that cannot be read, or content that does not fit into one. */
export class TicketError extends Data.TaggedError("TicketError")<{ readonly problem: string }> {
  override get message(): string {
    return `Bad address: ${this.problem}`
  }
}

const prefix = "aster1"
const maxBytes = 256
const maxDirect = 15
const maxPayload = 220
/** 256 bytes need at most 350 base58 characters; longer text is refused before it is decoded. */
const maxText = 360
const credentialTypes: ReadonlyArray<CredentialType> = ["open", "consumer_rcan", "enrollment", "registry_read"]

const fail = (problem: string): never => {
  throw new TicketError({ problem })
}

/**
 * Writes the text form of a ticket (Aster address tickets, text form).
 *
 * @throws TicketError when the content is malformed or needs more than 256 bytes.
 */
export const encode = (info: TicketInfo): string => prefix + base58.encode(toBytes(info))

/**
 * Reads the text form of a ticket. The prefix is case sensitive and no white space is tolerated.
 *
 * @throws TicketError
 */
export const decode = (text: string): TicketInfo => {
  if (!isTicket(text)) fail(`a ticket starts with "${prefix}"`)
  if (text.length > maxText) fail("the ticket is too long")
  let bytes: Uint8Array
  try {
    bytes = base58.decode(text.slice(prefix.length))
  } catch {
    return fail("the ticket has a character that is not base58; copy it again, without spaces or line breaks")
  }
  return fromBytes(bytes)
}

/** Whether the text claims to be a ticket. */
export const isTicket = (text: string): boolean => text.startsWith(prefix)

/**
 * Writes the binary form of a ticket (Aster address tickets, binary form).
 *
 * @throws TicketError
 */
export const toBytes = (info: TicketInfo): Uint8Array => {
  if (!EndpointId.isHex(info.endpointId)) fail("the endpoint id must be 64 hex digits")
  if (!Array.isArray(info.directAddrs)) fail("the direct addresses must be an array")
  if (info.directAddrs.length > maxDirect) fail(`${info.directAddrs.length} direct addresses, at most ${maxDirect} fit`)
  const relay = info.relayAddr === undefined ? undefined : readAddr(info.relayAddr)
  const direct = info.directAddrs.map(readAddr)
  const out: Array<number> = [...base16.decode(info.endpointId.toUpperCase())]
  out.push(0x10 | (relay === undefined ? 0 : relay.octets.length === 4 ? 0x04 : 0x08))
  if (relay !== undefined) pushAddr(out, relay)
  out.push(direct.length << 4)
  for (let i = 0; i < direct.length; i += 4) {
    let kinds = 0
    for (let j = 0; j < 4; j++) kinds |= (direct[i + j]?.octets.length === 16 ? 1 : 0) << (6 - 2 * j)
    out.push(kinds)
  }
  for (const addr of direct) pushAddr(out, addr)
  if (info.credentialType !== undefined) pushCredential(out, info.credentialType, info.credentialDataHex)
  if (out.length > maxBytes) fail(`the ticket needs ${out.length} bytes, at most ${maxBytes} fit: leave addresses out`)
  return Uint8Array.from(out)
}

/**
 * Reads the binary form of a ticket. Reserved bits are ignored, bytes that nothing explains are refused.
 *
 * @throws TicketError
 */
export const fromBytes = (bytes: Uint8Array): TicketInfo => {
  if (bytes.length > maxBytes) fail("the ticket is too long")
  if (bytes.length < 34) fail("the ticket is too short")
  let at = 0
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) fail("the ticket is cut short")
    at += length
    return bytes.subarray(at - length, at)
  }
  const byte = (): number => take(1)[0] ?? 0
  const addr = (kind: number): string => {
    const octets = take(kind === 0 ? 4 : 16)
    return SocketAddr.format({ octets, port: (byte() << 8) | byte() })
  }

  const endpointId = EndpointId.fromBytes(take(32))
  const header = byte()
  if (header >> 4 !== 1) fail(`ticket version ${header >> 4} is not supported`)
  const relayKind = (header >> 2) & 3
  if (relayKind === 3) fail("the ticket's relay address is of an unknown kind")
  const relayAddr = relayKind === 0 ? undefined : addr(relayKind - 1)
  const count = byte() >> 4
  const kinds = take(Math.ceil(count / 4))
  const directAddrs = Array.from({ length: count }, (_, i) => {
    const kind = ((kinds[i >> 2] ?? 0) >> (6 - 2 * (i & 3))) & 3
    if (kind > 1) fail("a direct address of the ticket is of an unknown kind")
    return addr(kind)
  })
  const info = { endpointId, directAddrs, ...(relayAddr === undefined ? undefined : { relayAddr }) }
  if (at === bytes.length) return info

  const credentialType = credentialTypes[byte()] ?? fail("the ticket's credential is of an unknown kind")
  const length = (byte() << 8) | byte()
  if (length > maxPayload) fail("the ticket's credential is too long")
  const payload = take(length)
  if (at !== bytes.length) fail("the ticket goes on after its end")
  if (credentialType === "open") return { ...info, credentialType }
  if (credentialType === "registry_read" && length !== 32) fail("a registry_read credential has 32 bytes")
  return { ...info, credentialType, credentialDataHex: base16.encode(payload).toLowerCase() }
}

const readAddr = (text: string): SocketAddr.SocketAddr =>
  (typeof text === "string" ? SocketAddr.parse(text) : undefined) ??
  fail(`${JSON.stringify(String(text).slice(0, 80))} is not ip:port or [ip6]:port`)

const pushAddr = (out: Array<number>, { octets, port }: SocketAddr.SocketAddr): void => {
  out.push(...octets, port >> 8, port & 0xff)
}

const pushCredential = (out: Array<number>, type: CredentialType, dataHex = ""): void => {
  const kind = credentialTypes.indexOf(type)
  if (kind < 0) fail(`unknown credential type ${JSON.stringify(type)}`)
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(dataHex)) fail("the credential must be pairs of hex digits")
  const payload = type === "open" ? new Uint8Array() : base16.decode(dataHex.toUpperCase())
  if (payload.length > maxPayload) fail(`the credential has ${payload.length} bytes, at most ${maxPayload} fit`)
  if (type === "registry_read" && payload.length !== 32) fail("a registry_read credential has 32 bytes")
  out.push(kind, payload.length >> 8, payload.length & 0xff, ...payload)
}

/** The content of a base64 node address. */
export interface NodeAddrInfo {
  /** 64 lower-case hex digits. */
  readonly endpointId: string
  readonly relayUrl?: string | undefined
  /** At most 128 `ip:port` or `[ip6]:port`. */
  readonly directAddrs: ReadonlyArray<string>
}

const maxNodeAddrText = 16 * 1024
const maxNodeAddrDirect = 128
const maxRelayUrl = 2048

/** Writes the base64 node address: id, relay URL or nothing, and direct addresses on lines of their own. */
export const encodeNodeAddr = (info: NodeAddrInfo): string =>
  base64.encode(new TextEncoder().encode(`${info.endpointId}\n${info.relayUrl ?? ""}\n${info.directAddrs.join("\n")}`))

/**
 * Reads a base64 node address. The id alone, in base64, is one too.
 *
 * @throws TicketError
 */
export const decodeNodeAddr = (text: string): NodeAddrInfo => {
  if (text.length > maxNodeAddrText) fail("the address is too long")
  let content: string
  try {
    content = new TextDecoder("utf-8", { fatal: true }).decode(base64.decode(text))
  } catch {
    return fail("neither an aster1 ticket, nor 64 hex digits, nor a base64 node address")
  }
  const [endpointId = "", relayUrl = "", ...rest] = content.split("\n")
  if (!EndpointId.isHex(endpointId)) fail("no endpoint id in the base64 node address")
  if (relayUrl.length > maxRelayUrl) fail("the relay URL is too long")
  const directAddrs = rest.filter((line) => line !== "")
  if (directAddrs.length > maxNodeAddrDirect) fail(`more than ${maxNodeAddrDirect} direct addresses`)
  for (const addr of directAddrs) readAddr(addr)
  return { endpointId: EndpointId.parse(endpointId), directAddrs, ...(relayUrl === "" ? undefined : { relayUrl }) }
}
