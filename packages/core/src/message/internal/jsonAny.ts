import { MAX_JSON_DEPTH } from "../../Limits.ts"
import { malformed, memberSegment, within } from "./jsonFault.ts"
import { floatText, type JsonPart, jsonScalars, stringText, wellFormed } from "./jsonScalars.ts"

/** What untyped places hold in JSON: what comes back as it was. Everything else has to be typed, or travel in XLANG. */

const MIN_INT64 = -(2n ** 63n)
const MAX_INT64 = 2n ** 63n - 1n

const noForm = (what: string) => malformed(`${what} has no JSON form in an untyped place; use XLANG or a typed field`)

export const tooDeep = () => malformed(`nested deeper than ${MAX_JSON_DEPTH} levels`)

/** Opens an array or object inside `depth` others. */
export const opened = (depth: number): number => {
  if (depth >= MAX_JSON_DEPTH) throw tooDeep()
  return depth + 1
}

export const isPlainObject = (value: unknown): value is { readonly [key: string]: unknown } => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** @param messageOf how an instance of a message class with this prototype is written */
export const makeAny = (messageOf: (prototype: object) => JsonPart | undefined): JsonPart => {
  const text = (value: unknown, depth: number): string => {
    switch (typeof value) {
      case "string":
        return stringText(value)
      case "number":
        return floatText(value)
      case "boolean":
        return value ? "true" : "false"
      case "undefined":
        return "null"
      case "bigint":
        if (value < MIN_INT64 || value > MAX_INT64) throw malformed("not an integer of 64 bits")
        return String(value)
      case "object":
        return value === null ? "null" : objectText(value, depth)
      default:
        throw noForm(`a ${typeof value}`)
    }
  }

  const objectText = (value: object, depth: number): string => {
    if (Array.isArray(value)) return listText(value, text, depth)
    if (isPlainObject(value)) return membersText(Object.entries(value), text, depth)
    const message = messageOf(Object.getPrototypeOf(value) as object)
    if (message !== undefined) return message.text(value, depth)
    if (value instanceof Map) {
      for (const key of value.keys()) if (typeof key !== "string") throw noForm("a Map with keys that are not strings")
      return membersText([...(value as ReadonlyMap<string, unknown>)], text, depth)
    }
    if (value instanceof Set) throw noForm("a Set")
    if (value instanceof Date) throw noForm("a Date")
    if (value instanceof Uint8Array) throw noForm("a byte string")
    throw noForm("an object that is neither plain nor a message of the service")
  }

  const from = (json: unknown): unknown => {
    switch (typeof json) {
      case "string":
        return wellFormed(json)
      case "number":
        return jsonScalars.float64.from(json)
      case "bigint":
        return jsonScalars.int64.from(json)
      case "object":
        if (json === null) return null
        return Array.isArray(json) ? fillList(json, from) : fillMembers(json as Members, from)
      default:
        return json
    }
  }

  return { text, from }
}

export interface Members {
  [key: string]: unknown
}

export const listText = (
  items: ReadonlyArray<unknown>,
  text: (value: unknown, depth: number) => string,
  depth: number
): string => {
  const inside = opened(depth)
  let out = "["
  let i = 0
  try {
    for (; i < items.length; i++) out += i === 0 ? text(items[i], inside) : `,${text(items[i], inside)}`
  } catch (error) {
    throw within(error, `[${i}]`)
  }
  return `${out}]`
}

export const membersText = (
  entries: ReadonlyArray<readonly [string, unknown]>,
  text: (value: unknown, depth: number) => string,
  depth: number
): string => {
  const inside = opened(depth)
  let out = ""
  for (const [key, value] of entries) {
    try {
      out += `${out === "" ? "" : ","}${stringText(key)}:${text(value, inside)}`
    } catch (error) {
      throw within(error, memberSegment(key))
    }
  }
  return `{${out}}`
}

/** The array with every element read. */
export const fillList = (json: Array<unknown>, from: (json: unknown) => unknown): Array<unknown> => {
  let i = 0
  try {
    for (; i < json.length; i++) json[i] = from(json[i])
  } catch (error) {
    throw within(error, `[${i}]`)
  }
  return json
}

/** The object with every member read. `JSON.parse` makes `__proto__` a member of its own, so that assignment is safe. */
export const fillMembers = (json: Members, from: (json: unknown) => unknown): Members => {
  for (const key of Object.keys(json)) {
    try {
      json[wellFormed(key)] = from(json[key])
    } catch (error) {
      throw within(error, memberSegment(key))
    }
  }
  return json
}
