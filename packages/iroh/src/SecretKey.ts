/**
 * The secret half of an endpoint's identity.
 *
 * @since 0.1.0
 */
import { getPublicKey, hashes } from "@noble/ed25519"
import { sha512 } from "@noble/hashes/sha2.js"
import { base16 } from "@scure/base"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as EndpointId from "./EndpointId.ts"

/** A 32-byte ed25519 seed that no log or error shows. */
export type SecretKey = Redacted.Redacted<Uint8Array>

/** Bytes or text that cannot be a secret key. Says nothing about their content. */
export class SecretKeyError extends Data.TaggedError("SecretKeyError")<{ readonly length: number }> {
  override get message(): string {
    return `Not a secret key: pass 32 bytes or 64 hex digits (this has length ${this.length}).`
  }
}

/**
 * Keeps a copy of 32 secret bytes.
 *
 * @throws SecretKeyError
 */
export const fromBytes = (bytes: Uint8Array): SecretKey => {
  if (bytes.length !== 32) throw new SecretKeyError({ length: bytes.length })
  return Redacted.make(Uint8Array.from(bytes), { label: "secret key" })
}

/**
 * Reads 64 hex digits in either case.
 *
 * @throws SecretKeyError
 */
export const fromHex = (text: string): SecretKey => {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new SecretKeyError({ length: text.length })
  return fromBytes(base16.decode(text.toUpperCase()))
}

/** A new key, from the `SecureRandom` service when there is one and from Web Crypto otherwise. */
export const generate: Effect.Effect<SecretKey> = Effect.serviceOption(SecureRandom.SecureRandom).pipe(
  Effect.flatMap(
    Option.match({
      onNone: () => Effect.sync(() => SecureRandom.randomBytesUnsafe(32)),
      onSome: (random) => random.randomBytes(32)
    })
  ),
  Effect.map(fromBytes)
)

/** The id under which the holder of this key is known on the network. */
export const toEndpointId = (key: SecretKey): EndpointId.EndpointId => {
  hashes.sha512 ??= sha512 // the synchronous door of @noble/ed25519 wants to be given its hash
  return EndpointId.fromBytes(getPublicKey(Redacted.value(key)))
}
