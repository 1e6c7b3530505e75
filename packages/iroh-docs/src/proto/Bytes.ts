/** Byte strings, compared as unsigned bytes. */

/** Negative, zero or positive, as `a` comes before, with or after `b`; a prefix comes before what it starts. */
export const compare = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b)

export const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && compare(a, b) === 0

/** How many bytes two strings have in common at their beginning. */
export const commonPrefix = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length)
  let i = 0
  while (i < length && a[i] === b[i]) i++
  return i
}

export const startsWith = (bytes: Uint8Array, prefix: Uint8Array): boolean =>
  prefix.length <= bytes.length && commonPrefix(bytes, prefix) === prefix.length

/** The same bytes in memory of their own: of a Buffer, `slice` would be a view. */
export const copy = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)

/** The smallest byte string greater than all that start with `prefix`; undefined when there is none. */
export const afterPrefix = (prefix: Uint8Array): Uint8Array | undefined => {
  let last = prefix.length - 1
  while (last >= 0 && prefix[last] === 0xff) last--
  if (last < 0) return undefined
  const after = copy(prefix.subarray(0, last + 1))
  after[last]! += 1
  return after
}

export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** The bytes of a text in UTF-8; bytes as they are. */
export const of = (value: string | Uint8Array): Uint8Array =>
  typeof value === "string" ? new TextEncoder().encode(value) : value

/** Lower-case hex digits, two for each byte. */
export const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")
