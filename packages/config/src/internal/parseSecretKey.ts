import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Result from "effect/Result"

/** A secret key from its text; the failure says what was expected and nothing about what there was but its length. */
export const parseSecretKey = (text: string): Result.Result<SecretKey.SecretKey, string> =>
  Result.try({
    try: () => SecretKey.fromText(text),
    catch: (cause) => (cause instanceof SecretKey.SecretKeyError ? cause.message : String(cause))
  })
