/** Reading the JSON form of a contract structure key by key, with the tolerance of release 0.1.2. */
import { hexToBytes } from "@noble/hashes/utils.js"
import { ContractError } from "../ContractError.ts"
import { JsonNumber, JsonObject } from "./jsonText.ts"
import { numberText } from "./pythonNumber.ts"
import { parseDecimal } from "./releaseDecimal.ts"

const NO_BYTES = new Uint8Array(0)

const MIN_INT32 = -0x8000_0000
const MAX_INT32 = 0x7fff_ffff

/**
 * One object, either a parsed plain value or a `JsonObject` read from text. Keys that nobody asks for are ignored;
 * every method throws a `ContractError` naming the path when its key is missing or holds something else.
 */
export class JsonStructure {
  readonly #value: object
  readonly #path: string

  constructor(value: unknown, path: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new ContractError(path, "expected an object")
    }
    this.#value = value
    this.#path = path
  }

  pathOf(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`
  }

  #get(key: string): unknown {
    const object = this.#value
    if (object instanceof JsonObject) {
      if (object.repeated.has(key)) throw new ContractError(this.pathOf(key), "the key occurs more than once")
      return object.members.get(key)
    }
    return Object.hasOwn(object, key) ? Reflect.get(object, key) : undefined
  }

  /** A value that may be missing, but not null. */
  optional<A>(key: string, fallback: A, read: (value: unknown, path: string) => A): A {
    const value = this.#get(key)
    return value === undefined ? fallback : read(value, this.pathOf(key))
  }

  required<A>(key: string, read: (value: unknown, path: string) => A): A {
    const value = this.#get(key)
    if (value === undefined) throw new ContractError(this.pathOf(key), "missing")
    return read(value, this.pathOf(key))
  }

  /** A value that is absent when missing or null. */
  nullable<A>(key: string, read: (value: unknown, path: string) => A): A | undefined {
    const value = this.#get(key)
    return value === undefined || value === null ? undefined : read(value, this.pathOf(key))
  }
}

export const readString = (value: unknown, path: string): string => {
  if (typeof value !== "string") throw new ContractError(path, "expected a string")
  if (!value.isWellFormed()) throw new ContractError(path, "expected Unicode text, got a lone surrogate")
  return value
}

export const readBoolean = (value: unknown, path: string): boolean => {
  if (typeof value !== "boolean") throw new ContractError(path, "expected true or false")
  return value
}

/** A 32-bit integer. In text it has to be spelled as one: `1.0` and `-0` are refused. */
export const readInt32 = (value: unknown, path: string): number => {
  const number =
    value instanceof JsonNumber ? (/^(?:-?[1-9]\d*|0)$/.test(value.text) ? Number(value.text) : NaN) : value
  if (typeof number !== "number" || !Number.isInteger(number) || number < MIN_INT32 || number > MAX_INT32) {
    throw new ContractError(path, `expected an integer from ${MIN_INT32} to ${MAX_INT32}`)
  }
  return number
}

/** A float64, through decimal text as in the release. */
export const readFloat64 = (value: unknown, path: string): number => {
  const text =
    value instanceof JsonNumber ? value.text : typeof value === "number" && isFinite(value) ? numberText(value) : ""
  const number = text === "" ? undefined : parseDecimal(text)
  if (number === undefined) throw new ContractError(path, "expected a number in the range of a double")
  return number
}

/** Raw bytes from hex of either case and any length. What is not hex becomes no bytes, as in the release. */
export const readHex = (value: unknown, path: string): Uint8Array => {
  const text = readString(value, path)
  return text.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(text) ? hexToBytes(text) : NO_BYTES
}

export const readList =
  <A>(read: (value: unknown, path: string) => A) =>
  (value: unknown, path: string): ReadonlyArray<A> => {
    if (!Array.isArray(value)) throw new ContractError(path, "expected an array")
    return value.map((item, index) => read(item, `${path}[${index}]`))
  }

/** The number of an enum from its lower-case spelling. */
export const readChoice =
  (spellings: ReadonlyArray<string>) =>
  (value: unknown, path: string): number => {
    const number = typeof value === "string" ? spellings.indexOf(value) : -1
    if (number < 0) throw new ContractError(path, `expected one of ${spellings.join(", ")}`)
    return number
  }
