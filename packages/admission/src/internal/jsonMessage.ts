import * as JsonText from "@aster-effect/core/message/JsonText"
import * as Result from "effect/Result"

/** A JSON object from a peer. */
export interface JsonObject {
  readonly [key: string]: unknown
}

/** What a peer sent is not the message it should be. */
export interface Malformed {
  readonly _tag: "Malformed"
  readonly problem: string
}

export const malformed = (problem: string): Result.Result<never, Malformed> =>
  Result.fail({ _tag: "Malformed", problem })

export const isJsonObject = (json: unknown): json is JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json)

/** The object that a message holds. */
export const parseObject = (bytes: Uint8Array): Result.Result<JsonObject, Malformed> => {
  try {
    const json = JsonText.parse(bytes)
    return isJsonObject(json) ? Result.succeed(json) : malformed("it is no JSON object")
  } catch (cause) {
    return malformed(cause instanceof Error ? cause.message : String(cause))
  }
}

const encoder = new TextEncoder()

export const encodeObject = (json: JsonObject): Uint8Array => encoder.encode(JSON.stringify(json))

/** 64 lower-case hex digits, or empty for anything else. */
export const hexId = (value: unknown): string =>
  typeof value === "string" && /^[0-9a-f]{64}$/.test(value) ? value : ""
