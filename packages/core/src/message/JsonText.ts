/**
 * JSON text from elsewhere, bounded before it is parsed.
 *
 * @since 0.1.0
 */
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
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw malformed("not UTF-8")
  }
  try {
    // A reviver makes parsing ten times slower.
    return wide && digits >= SAFE_DIGITS ? JSON.parse(text, reviveWide) : JSON.parse(text)
  } catch {
    throw malformed("not JSON")
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
  let quoted = false
  for (let i = 0; i < bytes.length && depth <= MAX_JSON_DEPTH; i++) {
    const byte = bytes[i]!
    if (quoted) {
      if (byte === 0x5c) i++
      else if (byte === 0x22) quoted = false
      continue
    }
    if (byte >= 0x30 && byte <= 0x39) {
      if (++run > digits) digits = run
      continue
    }
    run = 0
    if (byte === 0x22) quoted = true
    else if (byte === 0x2c) values++
    else if (byte === 0x7b || byte === 0x5b) {
      values++
      if (++open > depth) depth = open
    } else if (byte === 0x7d || byte === 0x5d) open--
  }
  return { depth, values, digits }
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
