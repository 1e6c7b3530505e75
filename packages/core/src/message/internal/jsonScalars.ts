import { Buffer } from "node:buffer"
import type { ScalarName } from "../WireType.ts"
import { malformed } from "./jsonFault.ts"

/**
 * One type's JSON form. `text` takes the number of arrays and objects that are open around the value; both throw
 * `JsonFault`. `from` may reuse what `JSON.parse` made.
 */
export interface JsonPart {
  readonly text: (value: unknown, depth: number) => string
  readonly from: (json: unknown) => unknown
}

const integer = (name: string, minimum: number, maximum: number): JsonPart => {
  const check = (value: unknown): number => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
      throw malformed(`not an ${name}`)
    }
    // XLANG has no negative zero among the integers.
    return value + 0
  }
  return { text: (value) => String(check(value)), from: check }
}

const bigInteger = (name: string, minimum: bigint, maximum: bigint): JsonPart => {
  const check = (value: unknown): bigint => {
    if (typeof value !== "bigint" || value < minimum || value > maximum) throw malformed(`not an ${name}`)
    return value
  }
  return {
    text: (value) => String(check(value)),
    from: (json) => check(typeof json === "number" && Number.isInteger(json) ? BigInt(json) : json)
  }
}

const NOT_FINITE = "NaN and infinities have no JSON form; use XLANG"

/**
 * A float as JSON. Those that readers would take for integers and then for other values say that they are none: negative
 * zero, and integers beyond 2^53.
 */
export const floatText = (value: number): string => {
  if (!Number.isFinite(value)) throw malformed(NOT_FINITE)
  if (Object.is(value, -0)) return "-0.0"
  const text = String(value)
  return Number.isInteger(value) && !Number.isSafeInteger(value) && !text.includes("e") ? `${text}.0` : text
}

const single = (value: number): number => {
  const rounded = Math.fround(value)
  if (!Number.isFinite(rounded) && Number.isFinite(value)) throw malformed("not a number of single precision")
  return rounded
}

const float = (round: (value: number) => number): JsonPart => ({
  text: (value) => {
    if (typeof value !== "number") throw malformed("not a number")
    return floatText(round(value))
  },
  from: (json) => {
    const value = typeof json === "bigint" ? Number(json) : json
    if (typeof value !== "number") throw malformed("not a number")
    if (!Number.isFinite(value)) throw malformed("a number beyond the range of a float")
    return round(value)
  }
})

/** Text that XLANG can carry too. */
export const wellFormed = (text: string): string => {
  if (!text.isWellFormed()) throw malformed("an unpaired surrogate is no text")
  return text
}

const special = /[^\x20\x21\x23-\x5b\x5d-\x7e]/

/** Text as JSON. Most of it is ASCII without anything to escape. */
export const stringText = (text: string): string =>
  special.test(text) ? JSON.stringify(wellFormed(text)) : `"${text}"`

const string: JsonPart = {
  text: (value) => {
    if (typeof value !== "string") throw malformed("not a string")
    return stringText(value)
  },
  from: (json) => {
    if (typeof json !== "string") throw malformed("not a string")
    return wellFormed(json)
  }
}

const bool: JsonPart = {
  text: (value) => {
    if (typeof value !== "boolean") throw malformed("not a boolean")
    return value ? "true" : "false"
  },
  from: (json) => {
    if (typeof json !== "boolean") throw malformed("not a boolean")
    return json
  }
}

const isoText = (value: unknown): string => {
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) throw malformed("not a valid Date")
  return value.toISOString()
}

const MIDNIGHT = "T00:00:00.000Z"
const NOT_MIDNIGHT = "not a Date at midnight UTC, as Date.UTC makes it"

/** Midnight UTC of a day that exists, `YYYY-MM-DD`; years beyond 9999 have a sign and six digits, as in JavaScript. */
const dayOf = (text: string): Date | undefined => {
  const day = /^(?:\d{4}|[+-]\d{6})-\d{2}-\d{2}$/.test(text) ? new Date(text) : undefined
  return day !== undefined && !Number.isNaN(day.getTime()) && day.toISOString() === `${text}${MIDNIGHT}`
    ? day
    : undefined
}

const date: JsonPart = {
  text: (value) => {
    const text = isoText(value)
    if (!text.endsWith(MIDNIGHT)) throw malformed(NOT_MIDNIGHT)
    return `"${text.slice(0, -MIDNIGHT.length)}"`
  },
  from: (json) => {
    const day = typeof json === "string" ? dayOf(json) : undefined
    if (day === undefined) throw malformed("not a day that exists, YYYY-MM-DD")
    return day
  }
}

const timeOfDay = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/

/** Milliseconds since midnight UTC of the day beside it. Finer digits are rounded as in XLANG. */
const millisecondsOf = (text: string): number | undefined => {
  const match = timeOfDay.exec(text)
  if (match === null) return undefined
  const [, hours, minutes, seconds = "0", fraction = "", sign, offsetHours, offsetMinutes] = match
  const nanos = Number(fraction.padEnd(9, "0"))
  const offset = sign === undefined ? 0 : (sign === "-" ? -1 : 1) * (Number(offsetHours) * 60 + Number(offsetMinutes))
  return ((Number(hours) * 60 + Number(minutes) - offset) * 60 + Number(seconds)) * 1000 + Math.round(nanos / 1_000_000)
}

const timestamp: JsonPart = {
  text: (value) => `"${isoText(value)}"`,
  from: (json) => {
    const at = typeof json === "string" ? json.indexOf("T") : -1
    const day = typeof json === "string" && at > 0 ? dayOf(json.slice(0, at)) : undefined
    const milliseconds = typeof json === "string" && at > 0 ? millisecondsOf(json.slice(at + 1)) : undefined
    const value = day === undefined || milliseconds === undefined ? undefined : new Date(day.getTime() + milliseconds)
    if (value === undefined || Number.isNaN(value.getTime())) {
      throw malformed("not an ISO 8601 time with a zone (2024-01-02T03:04:05Z)")
    }
    return value
  }
}

/** Whether decoding left nothing out: it passes over characters that are none of base64, and takes those of base64url. */
const isStandardBase64 = (text: string, decoded: Buffer): boolean => {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0
  return (
    text.length % 4 === 0 &&
    decoded.length === (text.length / 4) * 3 - padding &&
    !text.includes("-") &&
    !text.includes("_") &&
    // The bits beside padding are zero.
    decoded.toString("base64", decoded.length - (decoded.length % 3)) === (padding === 0 ? "" : text.slice(-4))
  )
}

const bytes: JsonPart = {
  text: (value) => {
    if (!(value instanceof Uint8Array)) throw malformed("not a Uint8Array")
    return `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")}"`
  },
  from: (json) => {
    if (typeof json !== "string") throw malformed("not base64")
    const decoded = Buffer.from(json, "base64")
    if (!isStandardBase64(json, decoded)) throw malformed("not standard base64 with padding")
    // Only small buffers share memory with others.
    return decoded.buffer.byteLength === decoded.length ? new Uint8Array(decoded.buffer) : new Uint8Array(decoded)
  }
}

export const jsonScalars: { readonly [K in ScalarName]: JsonPart } = {
  bool,
  string,
  int: integer("integer of at most 53 bits", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  int8: integer("int8", -128, 127),
  int16: integer("int16", -32_768, 32_767),
  int32: integer("int32", -2_147_483_648, 2_147_483_647),
  uint8: integer("uint8", 0, 255),
  uint16: integer("uint16", 0, 65_535),
  uint32: integer("uint32", 0, 4_294_967_295),
  int64: bigInteger("int64", -(2n ** 63n), 2n ** 63n - 1n),
  uint64: bigInteger("uint64", 0n, 2n ** 64n - 1n),
  float32: float(single),
  float64: float((value) => value),
  bytes,
  timestamp,
  date
}
