/**
 * JSON text, read without losing what `JSON.parse` loses and release 0.1.2 sees: how a number is spelled, and which keys
 * an object repeats.
 */
import { ContractError } from "../ContractError.ts"

/** A number as it is spelled. */
export class JsonNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** An object: the last value of each key, and the keys that occur more than once. */
export class JsonObject {
  readonly members = new Map<string, JsonText>()
  readonly repeated = new Set<string>()
}

export type JsonText = null | boolean | string | JsonNumber | JsonObject | ReadonlyArray<JsonText>

/** Values nested deeper than this are refused; contract structures nest seven deep. */
const MAX_DEPTH = 128

const whitespace = /[ \t\n\r]*/y
const literal = /true|false|null/y
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

/** Throws a `ContractError` that names the offset of what is not JSON. */
export const parseJsonText = (text: string): JsonText => {
  let offset = 0

  const fail = (expected: string): ContractError => new ContractError("", `not JSON at offset ${offset}: ${expected}`)

  const token = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = offset
    const match = pattern.exec(text)
    if (match === null) return undefined
    offset = pattern.lastIndex
    return match[0]
  }

  const punctuation = (character: string): boolean => {
    token(whitespace)
    if (text[offset] !== character) return false
    offset++
    return true
  }

  const stringValue = (): string | undefined => {
    if (text[offset] !== '"') return undefined
    let end = offset + 1
    while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1
    try {
      const characters = JSON.parse(text.slice(offset, end + 1)) as string
      offset = end + 1
      return characters
    } catch {
      throw fail("expected a string")
    }
  }

  const object = (depth: number): JsonObject => {
    const result = new JsonObject()
    if (punctuation("}")) return result
    do {
      token(whitespace)
      const key = stringValue()
      if (key === undefined || !punctuation(":")) throw fail("expected a key and a colon")
      if (result.members.has(key)) result.repeated.add(key)
      result.members.set(key, value(depth))
    } while (punctuation(","))
    if (!punctuation("}")) throw fail("expected a comma or the end of the object")
    return result
  }

  const array = (depth: number): ReadonlyArray<JsonText> => {
    const result: Array<JsonText> = []
    if (punctuation("]")) return result
    do {
      result.push(value(depth))
    } while (punctuation(","))
    if (!punctuation("]")) throw fail("expected a comma or the end of the array")
    return result
  }

  const value = (depth: number): JsonText => {
    if (depth === 0) throw fail(`values may nest at most ${MAX_DEPTH} deep`)
    if (punctuation("{")) return object(depth - 1)
    if (punctuation("[")) return array(depth - 1)
    const word = token(literal)
    if (word !== undefined) return word === "null" ? null : word === "true"
    const digits = token(number)
    if (digits !== undefined) return new JsonNumber(digits)
    const characters = stringValue()
    if (characters === undefined) throw fail("expected a value")
    return characters
  }

  const result = value(MAX_DEPTH)
  token(whitespace)
  if (offset !== text.length) throw fail("expected the end of the text")
  return result
}
