import type { JsonMessage } from "@aster-effect/client/DynamicClient"
import type { ManifestField } from "@aster-effect/core/contract/ManifestField"
import { CodecError } from "@aster-effect/core/message/CodecError"
import * as JsonText from "@aster-effect/core/message/JsonText"
import type { WireType } from "@aster-effect/core/message/WireType"
import * as Result from "effect/Result"

/** A field of a request, as far as the contract tells. */
export interface RequestField {
  readonly name: string
  /** What a value has to look like, for a message. */
  readonly kind: string
  readonly required: boolean
  /** A word is the value itself (`text`), JSON, or JSON if it is that and else itself. */
  readonly form: "text" | "json" | "any"
  /** What can be chosen from, as words. */
  readonly values: ReadonlyArray<string>
}

/** @param type what exactly travels, where the contract says so */
export const fieldOf = (field: ManifestField, type: WireType | undefined): RequestField => {
  const values =
    field.kind === "bool"
      ? ["false", "true"]
      : (field.enumValues ?? []).map((value) => (typeof value === "string" ? value : String(value)))
  return { name: field.name, kind: field.kind, required: field.required, form: formOf(field, type), values }
}

const formOf = ({ kind }: ManifestField, type: WireType | undefined): RequestField["form"] => {
  const bare = type?._tag === "Optional" ? type.of : type
  if (bare?._tag === "Scalar") return /^(string|bytes|timestamp|date)$/.test(bare.scalar) ? "text" : "json"
  if (bare?._tag === "Any" || bare?._tag === "Enum") return "any"
  if (bare !== undefined) return "json"
  // Without more to go by: types that have no kind of their own are called text too.
  return kind === "string" || kind === "bytes" ? "text" : kind === "enum" ? "any" : "json"
}

/** Integers of 64 bits keep their value. */
const parsed = (text: string): Result.Result<unknown, string> => {
  try {
    return Result.succeed(JsonText.parse(new TextEncoder().encode(text), true))
  } catch (error) {
    if (error instanceof CodecError) return Result.fail(error.detail)
    throw error
  }
}

/** What a word says of a field. */
export const valueOf = (word: string, field: RequestField | undefined): Result.Result<unknown, string> => {
  if (field?.form === "text") {
    const quoted = word.startsWith('"') ? parsed(word) : undefined
    return Result.succeed(quoted !== undefined && Result.isSuccess(quoted) ? quoted.success : word)
  }
  const json = parsed(word)
  if (Result.isSuccess(json)) return json
  if (field?.form !== "json") return Result.succeed(word)
  return Result.fail(`${field.name}: "${word}" is no ${field.kind}; write it as JSON`)
}

/**
 * The requests that words make: JSON objects, each one request, or `key=value` and so one; the value alone where there is
 * one field.
 *
 * @param fields those of the request, where the contract is known
 */
export const requestsOf = (
  words: ReadonlyArray<string>,
  fields: ReadonlyArray<RequestField> | undefined
): Result.Result<ReadonlyArray<JsonMessage>, string> => {
  if (words.length > 0 && words.every((word) => word.startsWith("{"))) return Result.all(words.map(objectOf))
  const pairs = words.map((word) => /^([^={}"[\]\s]+)=([^]*)$/.exec(word))
  if (!pairs.every((pair) => pair !== null)) {
    const [only] = fields ?? []
    return words.length === 1 && fields?.length === 1
      ? Result.map(valueOf(words[0]!, only), (value) => [{ [only!.name]: value }])
      : Result.fail('expected key=value, or JSON objects like {"task_id":"t-1"}')
  }
  const message: Record<string, unknown> = Object.create(null)
  for (const [, key, word] of pairs) {
    const field = fields?.find(({ name }) => name === key)
    if (fields !== undefined && field === undefined) {
      return Result.fail(`there is no field ${key}; it has ${fields.map(({ name }) => name).join(", ") || "none"}`)
    }
    if (key! in message) return Result.fail(`${key} is given twice`)
    const value = valueOf(word!, field)
    if (Result.isFailure(value)) return Result.fail(value.failure)
    message[key!] = value.success
  }
  return Result.succeed(words.length === 0 ? [] : [message])
}

const objectOf = (word: string): Result.Result<JsonMessage, string> => {
  const json = Result.mapError(parsed(word), (problem) => `${word}: ${problem}`)
  return Result.flatMap(json, (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Result.succeed(value as JsonMessage)
      : Result.fail(`${word}: expected a JSON object`)
  )
}
