import { murmur3 } from "./Murmur3.ts"

/**
 * Namespaces and type names as Fory writes them: "meta strings" in a 5 or 6 bit packing or in UTF-8
 * (Fory XLANG §7).
 */

/** Which of the two names of a type; it decides the two context characters of encoding 2. */
export type Role = "namespace" | "typeName"

/** Encoding numbers as they stand on the wire. */
export const Encoding = {
  utf8: 0,
  lowerSpecial: 1,
  lowerUpperDigitSpecial: 2,
  firstToLowerSpecial: 3,
  allToLowerSpecial: 4
} as const

const lowerSpecial = "abcdefghijklmnopqrstuvwxyz._$|"
const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
const alphabetOf = (role: Role): string => alphanumeric + (role === "namespace" ? "._" : "$_")

const pack = (codes: ReadonlyArray<number>, width: number): Uint8Array<ArrayBuffer> => {
  const used = 1 + codes.length * width
  const bytes = new Uint8Array(Math.ceil(used / 8))
  codes.forEach((code, index) => {
    for (let bit = 0; bit < width; bit++) {
      const at = 1 + index * width + bit
      if ((code >> (width - 1 - bit)) & 1) bytes[at >> 3]! |= 0x80 >> (at & 7)
    }
  })
  // The flag says that the zero padding could be mistaken for one more character.
  if (bytes.length * 8 >= used + width) bytes[0]! |= 0x80
  return bytes
}

const unpack = (bytes: Uint8Array, width: number, alphabet: string): string | undefined => {
  const count = Math.floor((bytes.length * 8 - 1) / width) - (bytes[0]! >> 7)
  let text = ""
  for (let index = 0; index < count; index++) {
    let code = 0
    for (let bit = 0; bit < width; bit++) {
      const at = 1 + index * width + bit
      code = (code << 1) | ((bytes[at >> 3]! >> (7 - (at & 7))) & 1)
    }
    const character = alphabet[code]
    if (character === undefined) return undefined
    text += character
  }
  return text
}

const codesOf = (text: string, alphabet: string): ReadonlyArray<number> =>
  Array.from(text, (character) => alphabet.indexOf(character))

const chooseEncoding = (text: string, role: Role): number => {
  if (/^[a-z._$|]*$/.test(text)) return Encoding.lowerSpecial
  if (!(role === "namespace" ? /^[a-zA-Z0-9._]*$/ : /^[a-zA-Z0-9$_]*$/).test(text)) return Encoding.utf8
  if (/[0-9]/.test(text)) return Encoding.lowerUpperDigitSpecial
  const upper = text.replace(/[^A-Z]/g, "").length
  if (upper === 1 && /^[A-Z]/.test(text)) return Encoding.firstToLowerSpecial
  if (5 * (text.length + upper) < 6 * text.length) return Encoding.allToLowerSpecial
  return Encoding.lowerUpperDigitSpecial
}

/** The encoding Fory picks for a non-empty name and the packed bytes (Fory XLANG §7.3 and §7.4). */
export const encode = (
  text: string,
  role: Role
): { readonly encoding: number; readonly bytes: Uint8Array<ArrayBuffer> } => {
  const encoding = chooseEncoding(text, role)
  switch (encoding) {
    case Encoding.lowerSpecial:
      return { encoding, bytes: pack(codesOf(text, lowerSpecial), 5) }
    case Encoding.lowerUpperDigitSpecial:
      return { encoding, bytes: pack(codesOf(text, alphabetOf(role)), 6) }
    case Encoding.firstToLowerSpecial:
      return { encoding, bytes: pack(codesOf(text.charAt(0).toLowerCase() + text.slice(1), lowerSpecial), 5) }
    case Encoding.allToLowerSpecial: {
      const lowered = text.replace(/[A-Z]/g, (letter) => "|" + letter.toLowerCase())
      return { encoding, bytes: pack(codesOf(lowered, lowerSpecial), 5) }
    }
    default:
      return { encoding, bytes: new TextEncoder().encode(text) }
  }
}

/** The text of a packed, non-empty name; undefined when the encoding is unknown or the bytes are not valid in it. */
export const decode = (bytes: Uint8Array, encoding: number, role: Role): string | undefined => {
  switch (encoding) {
    case Encoding.utf8:
      try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
      } catch {
        return undefined
      }
    case Encoding.lowerSpecial:
      return unpack(bytes, 5, lowerSpecial)
    case Encoding.lowerUpperDigitSpecial:
      return unpack(bytes, 6, alphabetOf(role))
    case Encoding.firstToLowerSpecial: {
      const text = unpack(bytes, 5, lowerSpecial)
      return text === undefined ? undefined : text.charAt(0).toUpperCase() + text.slice(1)
    }
    case Encoding.allToLowerSpecial:
      return unpack(bytes, 5, lowerSpecial)?.replace(/\|(.?)/g, (_, letter: string) => letter.toUpperCase())
    default:
      return undefined
  }
}

/** Longest name in characters that pyfory registers. */
export const maxLength = 32_766

/** Longest packed form that is written without the 8 byte hash. */
export const maxUnhashedLength = 16

/** A name written in full: header, encoding or hash, packed bytes (Fory XLANG §7.1). */
export const frame = (text: string, role: Role): Uint8Array => {
  if (text === "") return Uint8Array.of(0)
  const { encoding, bytes } = encode(text, role)
  const framed: Array<number> = []
  let header = bytes.length * 2
  for (; header > 127; header >>>= 7) framed.push((header & 127) | 128)
  framed.push(header)
  if (bytes.length <= maxUnhashedLength) {
    framed.push(encoding)
  } else {
    const hash = new DataView(new ArrayBuffer(8))
    hash.setBigUint64(0, murmur3(bytes), true)
    hash.setUint8(0, encoding)
    framed.push(...new Uint8Array(hash.buffer))
  }
  return Uint8Array.of(...framed, ...bytes)
}
