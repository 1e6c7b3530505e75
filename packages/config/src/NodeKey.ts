/**
 * The node's secret key: a 32-byte Ed25519 seed. Its public key, as 64 lower-case hex characters, is the endpoint id.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import * as Ed25519 from "./Ed25519.ts"

/** A 32-byte seed that no log or error shows. @since 0.1.0 */
export type NodeKey = Redacted.Redacted<Uint8Array>

const label = { label: "node secret key" }

/** From a 32-byte seed. @since 0.1.0 */
export const fromBytes = (seed: Uint8Array): Result.Result<NodeKey, string> =>
  seed.length === 32
    ? Result.succeed(Redacted.make(Uint8Array.from(seed), label))
    : Result.fail(`expected 32 bytes, got ${seed.length}`)

/**
 * From text: standard base64 with padding (44 characters, the form of files and `ASTER_SECRET_KEY`), or 64 hex
 * characters, which can be no base64 of 32 bytes.
 *
 * @since 0.1.0
 */
export const fromText = (text: string): Result.Result<NodeKey, string> => {
  const decoded = /^[0-9a-fA-F]{64}$/.test(text)
    ? Hex.decode(text)
    : /^[A-Za-z0-9+/]{43}=$/.test(text)
      ? Base64.decode(text)
      : undefined
  return decoded === undefined || Result.isFailure(decoded)
    ? Result.fail(
        `expected a 32-byte key as 44 base64 characters with padding or as 64 hex characters, got ${text.length} characters`
      )
    : fromBytes(decoded.success)
}

/** A fresh key. @since 0.1.0 */
export const generate: Effect.Effect<NodeKey> = Effect.map(Ed25519.generateSeed, (seed) => Redacted.make(seed, label))

/** The endpoint id: 64 lower-case hex characters. @since 0.1.0 */
export const endpointId = (key: NodeKey): string => Hex.encode(Ed25519.publicKey(Redacted.value(key)))

/** Standard base64 with padding, as the identity file holds it. The answer is the secret itself. @since 0.1.0 */
export const toBase64 = (key: NodeKey): string => Base64.encode(Redacted.value(key))
