/**
 * What either admission handshake is asked with (Aster admission, request).
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { encodeObject, malformed, type Malformed, parseObject } from "./internal/jsonMessage.ts"

/** @since 0.1.0 */
export interface AdmissionRequest {
  /** The JSON text of the credential; empty for none. */
  readonly credential: string
  /** What proves the instance a credential is tied to; empty for none. */
  readonly iidToken: string
}

/** @since 0.1.0 */
export const encode = (request: AdmissionRequest): Uint8Array =>
  encodeObject({ credential_json: request.credential, iid_token: request.iidToken })

/** Reads a request. It has to say which credential it shows, if only that it shows none. @since 0.1.0 */
export const decode = (bytes: Uint8Array): Result.Result<AdmissionRequest, Malformed> =>
  Result.flatMap(parseObject(bytes), ({ credential_json: credential, iid_token: iidToken }) =>
    typeof credential === "string"
      ? Result.succeed({ credential, iidToken: typeof iidToken === "string" ? iidToken : "" })
      : malformed("credential_json is no text")
  )

/**
 * The credential of a request. Its text is JSON from a peer like the request itself, so it is held to the same bounds
 * before `parse` sees it.
 *
 * @since 0.1.0
 */
export const credentialOf = <A, E>(
  { credential }: AdmissionRequest,
  parse: (json: string) => Result.Result<A, E>
): Result.Result<A, E | Malformed> =>
  Result.flatMap(parseObject(new TextEncoder().encode(credential)), () => parse(credential))
