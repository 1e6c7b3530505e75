/**
 * Messages as JSON, the way release 0.1.2 writes and reads them.
 *
 * Objects carry fields under their exact names. A missing key becomes the field's default, or null for an optional
 * field; an unknown key is refused. Where the reference has no JSON form ours is: bytes as standard base64, timestamps as
 * ISO 8601, dates as YYYY-MM-DD, sets as arrays, 64-bit integers as plain JSON integers without loss.
 *
 * @since 0.1.0
 */
import { CodecError } from "./CodecError.ts"
import { MAX_JSON_DEPTH } from "../Limits.ts"
import type { ScalarName, StructType, WireType } from "./WireType.ts"

/**
 * A message type's JSON form, compiled once.
 *
 * @since 0.1.0
 */
export interface JsonCodec {
  /** UTF-8 JSON without white space. Throws `CodecError`. */
  readonly encode: (value: unknown) => Uint8Array
  /** Throws `CodecError`. */
  readonly decode: (bytes: Uint8Array) => unknown
}

interface Part {
  readonly to: (value: unknown, depth: number) => unknown
  readonly from: (json: unknown, path: string, depth: number) => unknown
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const utf8Encoder = new TextEncoder()

/**
 * @param options.prototypes whether decoded messages are instances of their classes; default true
 * @since 0.1.0
 */
export const compile = (type: WireType, options?: { readonly prototypes?: boolean | undefined }): JsonCodec => {
  const compiler = new Compiler(options?.prototypes ?? true)
  const part = compiler.part(type)
  return {
    encode: (value) => utf8Encoder.encode(JSON.stringify(part.to(value, 0))),
    decode: (bytes) => part.from(parse(bytes, compiler.wide), "", 0)
  }
}

/** Values of one text, whatever their kind: a byte or two on the wire each, but dozens in memory. */
const MAX_VALUES = 1_000_000

/** Digits of the widest 64-bit integer. */
const MAX_DIGITS = 20

/**
 * JSON from a peer: UTF-8 without errors and byte order mark, at most `MAX_JSON_DEPTH` levels and a million values.
 *
 * @param wide keep integers beyond 2^53 as bigint
 * @throws CodecError
 * @since 0.1.0
 */
export const parse = (bytes: Uint8Array, wide = false): unknown => {
  const digits = bound(bytes)
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw malformed("", "not UTF-8")
  }
  try {
    // A reviver makes parsing ten times slower.
    return wide && digits >= SAFE_DIGITS ? JSON.parse(text, reviveWide) : JSON.parse(text)
  } catch {
    throw malformed("", "not JSON")
  }
}

/** Integers with fewer digits are exact as numbers. */
const SAFE_DIGITS = 16

/** Bounds what parsing can cost, and answers the longest run of digits. */
const bound = (bytes: Uint8Array): number => {
  let depth = 0
  let values = 1
  let digits = 0
  let longest = 0
  let quoted = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    if (quoted) {
      if (byte === 0x5c) i++
      else if (byte === 0x22) quoted = false
      continue
    }
    if (byte >= 0x30 && byte <= 0x39) {
      if (++digits > longest) longest = digits
      continue
    }
    digits = 0
    if (byte === 0x22) quoted = true
    else if (byte === 0x2c) values++
    else if (byte === 0x7b || byte === 0x5b) {
      values++
      if (++depth > MAX_JSON_DEPTH) throw malformed("", `nested deeper than ${MAX_JSON_DEPTH} levels`)
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  if (values > MAX_VALUES) {
    throw new CodecError({ reason: "TooLarge", detail: `more than ${MAX_VALUES} values; send several messages` })
  }
  return longest
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

/** Longer ones fit no type, and making bigints of them takes time that grows with the square of their length. */
const isInteger = (text: string): boolean => text.length <= MAX_DIGITS && /^-?\d+$/.test(text)

/** A bigint as a JSON integer. `JSON.rawJSON` is newer than the library's type declarations. */
const rawJson: (text: string) => unknown = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON

const malformed = (path: string, what: string): CodecError =>
  new CodecError({ reason: "Malformed", detail: path === "" ? what : `${path}: ${what}` })

class Compiler {
  /** A 64-bit integer or an untyped value occurs, so that parsing has to keep wide integers. */
  wide = false
  readonly prototypes: boolean
  readonly structs = new Map<StructType, Part>()

  constructor(prototypes: boolean) {
    this.prototypes = prototypes
  }

  part(type: WireType): Part {
    switch (type._tag) {
      case "Scalar":
        if (type.scalar === "int64" || type.scalar === "uint64") this.wide = true
        return scalars[type.scalar]
      case "Optional": {
        const of = this.part(type.of)
        return {
          to: (value, depth) => (value === null || value === undefined ? null : of.to(value, depth)),
          from: (json, path, depth) => (json === null ? null : of.from(json, path, depth))
        }
      }
      case "List":
        return this.list(
          type.element,
          (items) => items,
          (value) => value as ReadonlyArray<unknown>
        )
      case "Set":
        return this.list(
          type.element,
          (items) => new Set(items),
          (value) => [...(value as ReadonlySet<unknown>)]
        )
      case "Map":
        return type.form === "record" ? this.record(type.value) : this.map(type.key, type.value)
      case "Enum": {
        const values = new Set<unknown>(type.members.map((member) => member.value))
        const known = type.members.map((member) => JSON.stringify(member.value)).join(", ")
        return {
          to: (value) => {
            if (!values.has(value)) throw malformed(type.name.name, `not one of ${known}`)
            return value
          },
          from: (json, path) => {
            if (!values.has(json)) throw malformed(path, `not one of ${known}`)
            return json
          }
        }
      }
      case "Struct":
        return this.struct(type)
      case "Any":
        this.wide = true
        return any
    }
  }

  list(
    element: WireType,
    collect: (items: Array<unknown>) => unknown,
    items: (value: unknown) => ReadonlyArray<unknown>
  ): Part {
    const part = this.part(element)
    return {
      to: (value, depth) => items(value).map((item) => part.to(item, depth + 1)),
      from: (json, path, depth) => {
        if (!Array.isArray(json)) throw malformed(path, "not an array")
        return collect(json.map((item, i) => part.from(item, `${path}[${i}]`, depth + 1)))
      }
    }
  }

  record(value: WireType): Part {
    const part = this.part(value)
    return {
      to: (input, depth) => {
        const out: Array<readonly [string, unknown]> = []
        for (const [key, item] of Object.entries(input as object)) out.push([key, part.to(item, depth + 1)])
        return Object.fromEntries(out)
      },
      from: (json, path, depth) =>
        Object.fromEntries(
          entries(json, path).map(([key, item]) => [key, part.from(item, `${path}.${key}`, depth + 1)])
        )
    }
  }

  map(key: WireType, value: WireType): Part {
    const part = this.part(value)
    const keyPart = this.part(key)
    const scalar = key._tag === "Scalar" ? key.scalar : "string"
    const fromKey = (text: string, path: string): unknown => {
      if (key._tag === "Scalar" && scalar === "string") return text
      if (scalar === "bool" && (text === "true" || text === "false")) return text === "true"
      if (key._tag === "Scalar" && isInteger(text)) {
        const number = Number(text)
        return keyPart.from(Number.isSafeInteger(number) ? number : BigInt(text), path, 0)
      }
      return keyPart.from(text, path, 0)
    }
    return {
      to: (input, depth) =>
        Object.fromEntries(
          [...(input as ReadonlyMap<unknown, unknown>)].map(([k, item]) => {
            const name = keyPart.to(k, depth + 1)
            if (typeof name === "object" && typeof k !== "bigint") {
              throw malformed("map", "keys of this type have no JSON form; use XLANG")
            }
            return [typeof k === "bigint" ? String(k) : String(name), part.to(item, depth + 1)]
          })
        ),
      from: (json, path, depth) =>
        new Map(
          entries(json, path).map(
            ([k, item]) => [fromKey(k, path), part.from(item, `${path}.${k}`, depth + 1)] as const
          )
        )
    }
  }

  struct(type: StructType): Part {
    const known = this.structs.get(type)
    if (known !== undefined) return known
    const fields: Array<{
      readonly name: string
      readonly part: Part
      readonly missing: { readonly value: unknown } | undefined
    }> = []
    const names = new Set<string>()
    const prototype = this.prototypes ? type.prototype : undefined
    const part: Part = {
      to: (value, depth) => {
        if (depth > MAX_JSON_DEPTH) throw malformed(type.name.name, `nested deeper than ${MAX_JSON_DEPTH} levels`)
        if (typeof value !== "object" || value === null) throw malformed(type.name.name, "not an object")
        const source = value as { readonly [key: string]: unknown }
        const out: { [key: string]: unknown } = {}
        for (const field of fields) {
          try {
            define(out, field.name, field.part.to(source[field.name], depth + 1))
          } catch (error) {
            throw error instanceof CodecError ? within(type.name.name, field.name, error) : error
          }
        }
        return out
      },
      from: (json, path, depth) => {
        if (typeof json !== "object" || json === null || Array.isArray(json)) {
          throw malformed(path === "" ? type.name.name : path, "not an object")
        }
        const source = json as { readonly [key: string]: unknown }
        const keys = Object.keys(source)
        const at = path === "" ? type.name.name : path
        if (keys.length > names.size || keys.some((key) => !names.has(key))) throw unexpected(at, keys, names)
        const out: { [key: string]: unknown } = prototype === undefined ? {} : Object.create(prototype)
        for (const field of fields) {
          if (Object.hasOwn(source, field.name)) {
            define(out, field.name, field.part.from(source[field.name], `${at}.${field.name}`, depth + 1))
          } else if (field.missing !== undefined) {
            define(out, field.name, field.missing.value)
          } else throw malformed(at, `missing key ${JSON.stringify(field.name)}`)
        }
        return out
      }
    }
    this.structs.set(type, part)
    for (const field of type.fields()) {
      names.add(field.name)
      fields.push({
        name: field.name,
        part: this.part(field.type),
        missing: field.defaultValue ?? (field.type._tag === "Optional" ? { value: null } : undefined)
      })
    }
    return part
  }
}

/** Assignment to `__proto__` would not create a property. */
const define = (target: { [key: string]: unknown }, key: string, value: unknown): void => {
  if (key === "__proto__")
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  else target[key] = value
}

const within = (owner: string, field: string, error: CodecError): CodecError =>
  new CodecError({ reason: error.reason, detail: `${owner}.${field}: ${error.detail}` })

const entries = (json: unknown, path: string): ReadonlyArray<[string, unknown]> => {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed(path, "not an object")
  return Object.entries(json)
}

const unexpected = (path: string, keys: ReadonlyArray<string>, allowed: ReadonlySet<string>): CodecError => {
  const extra = keys.filter((key) => !allowed.has(key))
  const shown = extra.slice(0, 5).map((key) => JSON.stringify(key.slice(0, 80)))
  return new CodecError({
    reason: "UnexpectedFields",
    detail: `${path} has unexpected fields ${shown.join(", ")}${extra.length > 5 ? ` and ${extra.length - 5} more` : ""}; allowed: ${[...allowed].sort().join(", ")}`
  })
}

const integer = (name: string, minimum: number, maximum: number): Part => {
  const check = (value: unknown, path: string): unknown => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
      throw malformed(path, `not an ${name}`)
    }
    return value
  }
  return { to: (value) => check(value, name), from: check }
}

const bigInteger = (name: string, minimum: bigint, maximum: bigint): Part => ({
  to: (value) => {
    if (typeof value !== "bigint" || value < minimum || value > maximum) throw malformed(name, `not an ${name}`)
    return rawJson(String(value))
  },
  from: (json, path) => {
    const value = typeof json === "number" && Number.isInteger(json) ? BigInt(json) : json
    if (typeof value !== "bigint" || value < minimum || value > maximum) throw malformed(path, `not an ${name}`)
    return value
  }
})

const float = (round: (value: number) => number): Part => ({
  to: (value) => {
    if (typeof value !== "number") throw malformed("float", "not a number")
    if (!Number.isFinite(value)) throw malformed("float", "NaN and infinities have no JSON form; use XLANG")
    return round(value)
  },
  from: (json, path) => {
    if (typeof json === "bigint") return Number(json)
    if (typeof json !== "number") throw malformed(path, "not a number")
    return round(json)
  }
})

const typed = (name: "string" | "boolean"): Part => {
  const check = (value: unknown, path: string): unknown => {
    if (typeof value !== name) throw malformed(path, `not a ${name}`)
    return value
  }
  return { to: (value) => check(value, name), from: check }
}

const isoDate = /^\d{4}-\d{2}-\d{2}$/

const date = (pattern: RegExp, to: (value: Date) => string): Part => ({
  to: (value) => {
    if (!(value instanceof Date) || Number.isNaN(value.getTime())) throw malformed("date", "not a valid Date")
    return to(value)
  },
  from: (json, path) => {
    const value = typeof json === "string" && pattern.test(json) ? new Date(json) : undefined
    if (value === undefined || Number.isNaN(value.getTime())) throw malformed(path, "not an ISO 8601 date")
    return value
  }
})

const bytes: Part = {
  to: (value) => {
    if (!(value instanceof Uint8Array)) throw malformed("bytes", "not a Uint8Array")
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")
  },
  from: (json, path) => {
    if (typeof json !== "string") throw malformed(path, "not base64")
    const decoded = Buffer.from(json, "base64")
    if (decoded.toString("base64") !== json) throw malformed(path, "not standard base64 with padding")
    return new Uint8Array(decoded)
  }
}

const any: Part = {
  to: (value, depth) => {
    if (depth > MAX_JSON_DEPTH) throw malformed("value", `nested deeper than ${MAX_JSON_DEPTH} levels`)
    if (typeof value === "bigint") return rawJson(String(value))
    if (value === undefined) return null
    if (value instanceof Uint8Array) return bytes.to(value, depth)
    if (value instanceof Date) return scalars.timestamp.to(value, depth)
    if (typeof value !== "object" || value === null) return value
    if (Array.isArray(value) || value instanceof Set) return [...value].map((item) => any.to(item, depth + 1))
    const pairs = value instanceof Map ? [...value] : Object.entries(value)
    return Object.fromEntries(pairs.map(([key, item]) => [String(key), any.to(item, depth + 1)]))
  },
  from: (json) => json
}

const scalars: { readonly [K in ScalarName]: Part } = {
  bool: typed("boolean"),
  string: typed("string"),
  int: integer("integer of at most 53 bits", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  int8: integer("int8", -128, 127),
  int16: integer("int16", -32_768, 32_767),
  int32: integer("int32", -2_147_483_648, 2_147_483_647),
  uint8: integer("uint8", 0, 255),
  uint16: integer("uint16", 0, 65_535),
  uint32: integer("uint32", 0, 4_294_967_295),
  int64: bigInteger("int64", -(2n ** 63n), 2n ** 63n - 1n),
  uint64: bigInteger("uint64", 0n, 2n ** 64n - 1n),
  float32: float(Math.fround),
  float64: float((value) => value),
  bytes,
  timestamp: date(/^\d{4}-\d{2}-\d{2}T/, (value) => value.toISOString()),
  date: date(isoDate, (value) => value.toISOString().slice(0, 10))
}
