/**
 * The secret half of an endpoint's identity: a 32-byte Ed25519 seed (RFC 8032).
 *
 * @since 0.1.0
 */
import { base16, base64 } from "@scure/base"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { sign as signWith } from "node:crypto"
import * as Ed25519 from "./Ed25519.ts"
import * as EndpointId from "./EndpointId.ts"
import { secureBytes } from "./SecureBytes.ts"

/** A 32-byte Ed25519 seed that no log or error shows. @since 0.1.0 */
export type SecretKey = Redacted.Redacted<Uint8Array>

/** Bytes or text that cannot be a secret key. Says nothing about their content. @since 0.1.0 */
export class SecretKeyError extends Data.TaggedError("SecretKeyError")<{
  readonly length: number
  readonly unit: "bytes" | "characters"
}> {
  override get message(): string {
    return `expected a 32-byte key as 44 base64 characters with padding or as 64 hex characters, got ${this.length} ${this.unit}`
  }
}

/**
 * Keeps a copy of 32 secret bytes.
 *
 * @throws SecretKeyError
 * @since 0.1.0
 */
export const fromBytes = (bytes: Uint8Array): SecretKey => {
  if (bytes.length !== 32) throw new SecretKeyError({ length: bytes.length, unit: "bytes" })
  return Redacted.make(Uint8Array.from(bytes), { label: "secret key" })
}

/**
 * Reads 64 hex digits in either case.
 *
 * @throws SecretKeyError
 * @since 0.1.0
 */
export const fromHex = (text: string): SecretKey => {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new SecretKeyError({ length: text.length, unit: "characters" })
  return fromBytes(base16.decode(text.toUpperCase()))
}

/**
 * Reads either text form: standard base64 with padding (44 characters, as identity files and `ASTER_SECRET_KEY` hold
 * it), or 64 hex digits, which can be no base64 of 32 bytes.
 *
 * @throws SecretKeyError
 * @since 0.1.0
 */
export const fromText = (text: string): SecretKey => {
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) return fromHex(text)
  try {
    return fromBytes(base64.decode(text))
  } catch {
    // The last character may carry bits that belong to no byte.
    throw new SecretKeyError({ length: text.length, unit: "characters" })
  }
}

/** Standard base64 with padding, as identity files hold it. The answer is the secret itself. @since 0.1.0 */
export const toBase64 = (key: SecretKey): string => base64.encode(Redacted.value(key))

/** A new key, see `secureBytes`. @since 0.1.0 */
export const generate: Effect.Effect<SecretKey> = Effect.map(secureBytes(32), fromBytes)

/** The id under which the holder of this key is known on the network. @since 0.1.0 */
export const toEndpointId = (key: SecretKey): EndpointId.EndpointId => {
  return EndpointId.fromBytes(Ed25519.publicKey(Redacted.value(key)))
}

/** What makes 64-byte signatures by this key (RFC 8032, pure). @since 0.1.0 */
export const signer = (key: SecretKey): ((message: Uint8Array) => Uint8Array) => {
  const native = Ed25519.signingKey(Redacted.value(key))
  return (message) => Uint8Array.from(signWith(null, message, native))
}
