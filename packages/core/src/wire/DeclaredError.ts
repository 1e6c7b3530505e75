/**
 * Errors that a method declares, as details of a status.
 *
 * They travel as FAILED_PRECONDITION with their JSON form under the detail key `aster.error`. Peers that do not know the
 * declaration see the status, the error's message and the JSON.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { RpcError } from "./RpcError.ts"

/** Detail key of a declared error. @since 0.1.0 */
export const DETAIL_KEY = "aster.error"

/**
 * How a method's declared errors become an `RpcError`. Answers undefined for values the method does not declare.
 *
 * @since 0.1.0
 */
export const encoder = (schema: Schema.Constraint): ((error: unknown) => RpcError | undefined) => {
  if (schema.ast._tag === "Never") return () => undefined
  const encode = Schema.encodeUnknownResult(jsonCodec(schema))
  return (error) => {
    const encoded = encode(error)
    if (Result.isFailure(encoded)) return undefined
    const message =
      error instanceof Error && error.message !== "" ? error.message : "the call failed with a declared error"
    return RpcError.of("FAILED_PRECONDITION", message, { [DETAIL_KEY]: JSON.stringify(encoded.success) })
  }
}

/**
 * How an `RpcError` becomes a declared error again: the first schema that reads it decides. Answers the same error when
 * it carries none.
 *
 * @since 0.1.0
 */
export const decoder = (...schemas: ReadonlyArray<Schema.Constraint>): ((error: RpcError) => unknown) => {
  const decoders = schemas
    .filter((schema) => schema.ast._tag !== "Never")
    .map((schema) => Schema.decodeUnknownResult(Schema.fromJsonString(jsonCodec(schema))))
  if (decoders.length === 0) return (error) => error
  return (error) => {
    const detail = error.details[DETAIL_KEY]
    if (detail === undefined) return error
    for (const decode of decoders) {
      const decoded = decode(detail)
      if (Result.isSuccess(decoded)) return decoded.success
    }
    return error
  }
}

const jsonCodec = (schema: Schema.Constraint): Schema.Codec<unknown, unknown> =>
  Schema.toCodecJson(schema as Schema.Codec<unknown, unknown>)
