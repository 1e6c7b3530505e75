/**
 * Addresses of sockets, in the text that iroh reads and writes.
 *
 * @since 0.1.0
 */

/** An IP address and a UDP port, read and written as iroh does: `1.2.3.4:5` or `[2001:db8::1]:5`. */
export interface SocketAddr {
  /** 4 bytes for IPv4, 16 for IPv6, in network order. */
  readonly octets: Uint8Array
  /** 0 to 65535. */
  readonly port: number
}

/** The longest text `parse` looks at; the longest valid one has about 60 characters. */
const maxLength = 80

/** Reads `a.b.c.d:port` or `[ipv6]:port`. A numeric IPv6 scope (`%3`) is accepted and dropped. */
export const parse = (text: string): SocketAddr | undefined => {
  if (text.length > maxLength) return undefined
  const match = /^(?:([\d.]+)|\[([0-9a-fA-F:.]+)(?:%(\d+))?\]):(\d+)$/.exec(text)
  if (match === null) return undefined
  const [, v4, v6, scope, portText] = match
  const port = Number(portText)
  if (port > 0xffff || (scope !== undefined && Number(scope) > 0xffffffff)) return undefined
  const octets = v4 === undefined ? parseIpv6(v6 ?? "") : parseIpv4(v4)
  return octets === undefined ? undefined : { octets, port }
}

/** Writes the shortest form; an IPv4-mapped IPv6 address stays IPv6 and ends in dotted notation. */
export const format = ({ octets, port }: SocketAddr): string =>
  octets.length === 4 ? `${octets.join(".")}:${port}` : `[${formatIpv6(octets)}]:${port}`

/** Whether the address means every interface: 0.0.0.0 or ::. */
export const isWildcard = ({ octets }: SocketAddr): boolean => octets.every((octet) => octet === 0)

const parseIpv4 = (text: string): Uint8Array | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4) return undefined
  const octets = new Uint8Array(4)
  for (const [i, part] of parts.entries()) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    octets[i] = Number(part)
  }
  return octets
}

/** Two bytes per group, four for a dotted tail. */
const parseGroups = (text: string): Array<number> | undefined => {
  if (text === "") return []
  const bytes: Array<number> = []
  const parts = text.split(":")
  for (const [i, part] of parts.entries()) {
    if (part.includes(".")) {
      const v4 = i === parts.length - 1 ? parseIpv4(part) : undefined
      if (v4 === undefined) return undefined
      bytes.push(...v4)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined
      const group = Number.parseInt(part, 16)
      bytes.push(group >> 8, group & 0xff)
    }
  }
  return bytes
}

const parseIpv6 = (text: string): Uint8Array | undefined => {
  const halves = text.split("::")
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] ?? "")
  const tail = parseGroups(halves[1] ?? "")
  if (head === undefined || tail === undefined) return undefined
  const octets = new Uint8Array(16)
  if (halves.length === 1) {
    if (head.length !== 16) return undefined
  } else if (head.length + tail.length > 14 || (halves[0] ?? "").includes(".")) {
    return undefined // "::" stands for at least one group, and dots may only come last
  }
  octets.set(head)
  octets.set(tail, 16 - tail.length)
  return octets
}

const formatIpv6 = (octets: Uint8Array): string => {
  const groups: Array<number> = []
  for (let i = 0; i < 16; i += 2) groups.push(((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0))
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${octets.subarray(12).join(".")}`
  }
  let start = 0
  let length = 0
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && groups[end] === 0) end++
    if (end - i > length) [start, length] = [i, end - i]
  }
  const hex = (part: ReadonlyArray<number>) => part.map((group) => group.toString(16)).join(":")
  if (length < 2) return hex(groups)
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`
}
