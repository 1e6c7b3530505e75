/**
 * Attributes of a credential as a user writes them.
 *
 * @since 0.1.0
 */
import type { Attributes } from "@aster-effect/trust/Credential"
import * as Result from "effect/Result"

/** Release 0.1.2 rewrites identity files without escaping, so these would break the file or add keys to it. */
const unrepresentable = /["\\\p{Cc}]/u

/** Whether a label or attribute survives in an identity file that release 0.1.2 rewrites. @since 0.1.0 */
export const isRepresentable = (text: string): boolean => !unrepresentable.test(text)

const fromJson = (text: string): Result.Result<ReadonlyArray<readonly [string, string]>, string> => {
  const problem = 'expected a JSON object whose values are strings, like {"team":"payments"}'
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return Result.fail(problem)
  }
  const entries = Object.entries(Object(json))
  return entries.every((entry): entry is [string, string] => typeof entry[1] === "string")
    ? Result.succeed(entries)
    : Result.fail(problem)
}

const fromPairs = (text: string): Result.Result<ReadonlyArray<readonly [string, string]>, string> => {
  if (text.trim() === "") return Result.succeed([])
  const pairs = text.split(",").map((item): readonly [string, string] => {
    const at = item.indexOf("=")
    return [item.slice(0, Math.max(at, 0)).trim(), item.slice(at + 1).trim()]
  })
  return pairs.every(([key]) => key !== "")
    ? Result.succeed(pairs)
    : Result.fail(`expected key=value,key=value; a value with a comma needs the form {"key":"a,b"}`)
}

/**
 * Attributes from `key=value,key=value` or from a JSON object of strings. Refused are items without a key, keys given
 * twice, and what an identity file of release 0.1.2 cannot represent: quotes, backslashes, control characters.
 *
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Attributes, string> =>
  Result.gen(function* () {
    const entries = yield* /^\s*\{/.test(text) ? fromJson(text) : fromPairs(text)
    const attributes = new Map(entries)
    if (attributes.size < entries.length) return yield* Result.fail("a key is given twice")
    return entries.flat().every(isRepresentable)
      ? attributes
      : yield* Result.fail("quotes, backslashes and control characters cannot be written into an identity file")
  })

/** A comma list of capabilities, in the form of the attribute `aster.role`. @since 0.1.0 */
export const parseCapabilities = (text: string): Result.Result<string, string> => {
  const names = text.split(",").map((name) => name.trim())
  return names.every((name) => name !== "" && isRepresentable(name))
    ? Result.succeed(names.join(","))
    : Result.fail("expected a comma list of names, like ops.status,ops.logs")
}
