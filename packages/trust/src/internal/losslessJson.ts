import * as Result from "effect/Result"

/** The longest credential text, in characters: as much as an admission message holds (Aster admission, limits). */
const maxLength = 65_536

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
  if (text.length > maxLength) return Result.fail(`expected at most ${maxLength} characters`)
  try {
    // A text that nests deeper than a reviver can follow ends in a RangeError, which is caught like the rest.
    return Result.succeed(JSON.parse(text, revive))
  } catch {
    return Result.fail("expected JSON")
  }
}
