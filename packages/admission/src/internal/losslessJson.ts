import * as Result from "effect/Result"
import { MAX_ADMISSION_PAYLOAD_SIZE, MAX_JSON_DEPTH } from "@aster-effect/core/Limits"

/** Nesting is checked before parsing: a revived document is walked recursively. */
const isTooDeep = (text: string): boolean => {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (inString) {
      if (c === "\\") i++
      else if (c === '"') inString = false
    } else if (c === '"') inString = true
    else if (c === "{" || c === "[") {
      if (++depth > MAX_JSON_DEPTH) return true
    } else if (c === "}" || c === "]") depth--
  }
  return false
}

const wholeNumber = /^-?\d+$/

/**
 * Whole numbers become bigints whatever their size. Nothing signed has a fraction or an exponent (`1.0` is no integer
 * here), so other notations become NaN, which no field accepts.
 */
const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
  if (typeof value !== "number") return value
  return context?.source !== undefined && wholeNumber.test(context.source) ? BigInt(context.source) : Number.NaN
}

/** Parses JSON text without losing digits. The failure says what was expected. */
export const parseJson = (text: string): Result.Result<unknown, string> => {
  if (text.length > MAX_ADMISSION_PAYLOAD_SIZE) {
    return Result.fail(`expected at most ${MAX_ADMISSION_PAYLOAD_SIZE} characters`)
  }
  if (isTooDeep(text)) return Result.fail(`expected JSON nested at most ${MAX_JSON_DEPTH} deep`)
  try {
    return Result.succeed(JSON.parse(text, revive))
  } catch {
    return Result.fail("expected JSON")
  }
}
