/**
 * JSON text from elsewhere, bounded before it is parsed.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import { CodecError } from "./CodecError.ts"
import { MAX_JSON_DEPTH } from "../Limits.ts"

/** Values of one text, whatever their kind: a byte or two on the wire each, but dozens in memory. */
const MAX_VALUES = 1_000_000

/** Integers with fewer digits are exact as numbers. */
const SAFE_DIGITS = 16

/** Longer integers are infinite as numbers; making bigints of them takes time that grows with the square of their length. */
const MAX_DIGITS = 310

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * JSON from a peer: UTF-8 without errors and byte order mark, at most `MAX_JSON_DEPTH` levels and a million values.
 *
 * @param wide keep integers beyond 2^53 as bigint
 * @throws CodecError
 * @since 0.1.0
 */
export const parse = (bytes: Uint8Array, wide = false): unknown => {
  const { depth, digits, values } = measure(bytes)
  if (depth > MAX_JSON_DEPTH) throw malformed(`nested deeper than ${MAX_JSON_DEPTH} levels`)
  if (values > MAX_VALUES) {
    throw new CodecError({ reason: "TooLarge", detail: `more than ${MAX_VALUES} values; send several messages` })
  }
  const text = textOf(bytes)
  try {
    // A reviver makes parsing ten times slower.
    return wide && digits >= SAFE_DIGITS ? JSON.parse(text, reviveWide) : JSON.parse(text)
  } catch {
    throw malformed("not JSON")
  }
}

/** A replacement character is either in the data or stands for broken data. */
const textOf = (bytes: Uint8Array): string => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")
  if (!text.includes("\ufffd")) return text
  try {
    return utf8.decode(bytes)
  } catch {
    throw malformed("not UTF-8")
  }
}

const malformed = (detail: string): CodecError => new CodecError({ reason: "Malformed", detail })

/** What parsing a text can cost. @since 0.1.0 */
export interface Measure {
  /** Levels of arrays and objects. Counting stops one level beyond `MAX_JSON_DEPTH`. */
  readonly depth: number
  /** Upper bound of the number of values. */
  readonly values: number
  /** Longest run of digits outside of strings. */
  readonly digits: number
}

/** Measures UTF-8 text that may not be JSON at all. @since 0.1.0 */
export const measure = (bytes: Uint8Array): Measure => {
  let open = 0
  let depth = 0
  let values = 1
  let run = 0
  let digits = 0
  for (let i = 0; i < bytes.length && depth <= MAX_JSON_DEPTH; i++) {
    const byte = bytes[i]!
    if (byte >= 0x30 && byte <= 0x39) {
      if (++run > digits) digits = run
      continue
    }
    run = 0
    if (byte === 0x22) i = closingQuote(bytes, i + 1)
    else if (byte === 0x2c) values++
    else if (byte === 0x7b || byte === 0x5b) {
      values++
      if (++open > depth) depth = open
    } else if (byte === 0x7d || byte === 0x5d) open--
  }
  return { depth, values, digits }
}

/** Up to this length a loop beats the call into native code. */
const SHORT_STRING = 32

/** Where a string ends, or the text if it does not. */
const closingQuote = (bytes: Uint8Array, start: number): number => {
  let i = start
  for (const near = Math.min(start + SHORT_STRING, bytes.length); i < near; i++) {
    const byte = bytes[i]!
    if (byte === 0x5c) i++
    else if (byte === 0x22) return i
  }
  // A quote is escaped when the backslashes in front of it are odd in number; none before `i` escapes what is at `i`.
  for (let quote = bytes.indexOf(0x22, i); quote >= 0; quote = bytes.indexOf(0x22, quote + 1)) {
    let slash = quote
    while (slash > i && bytes[slash - 1] === 0x5c) slash--
    if ((quote - slash) % 2 === 0) return quote
  }
  return bytes.length
}

// The third argument of revivers (the source text) is newer than the library's type declarations.
const reviveWide = function (
  this: unknown,
  _key: string,
  value: unknown,
  context?: { readonly source?: string }
): unknown {
  const source = context?.source
  return typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && isInteger(source)
    ? BigInt(source)
    : value
}

const isInteger = (text: string): boolean => text.length <= MAX_DIGITS && /^-?\d+$/.test(text)
