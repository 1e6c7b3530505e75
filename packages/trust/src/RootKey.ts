/**
 * The root key pair: it signs credentials, offline, and does nothing else. Running nodes hold the public half only.
 *
 * @since 0.1.0
 */
import { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import type { FileError } from "@aster-effect/config/FileError"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  type Claims,
  claimsBytes,
  type ConsumerClaims,
  type ConsumerEnrollmentCredential,
  type EnrollmentCredential,
  type ProducerClaims
} from "./Credential.ts"
import * as Ed25519 from "@aster-effect/iroh/Ed25519"

/** A seed and its public key, which always match. @since 0.1.0 */
export interface RootKey {
  readonly seed: SecretKey.SecretKey
  readonly publicKey: RootPublicKey.RootPublicKey
}

const fromSecretKey = (seed: SecretKey.SecretKey): Result.Result<RootKey, string> =>
  Result.map(RootPublicKey.fromHex(SecretKey.toEndpointId(seed)), (publicKey) => ({ seed, publicKey }))

/** From a 32-byte seed. @since 0.1.0 */
export const fromSeed = (seed: Uint8Array): Result.Result<RootKey, string> =>
  seed.length === 32
    ? fromSecretKey(SecretKey.fromBytes(seed))
    : Result.fail(`expected a seed of 32 bytes, got ${seed.length}`)

/** A fresh pair. @since 0.1.0 */
export const generate: Effect.Effect<RootKey> = Effect.map(SecretKey.generate, (seed) =>
  Result.getOrThrow(fromSecretKey(seed))
)

const signature = (key: RootKey, claims: Claims): string =>
  Hex.encode(Ed25519.sign(Redacted.value(key.seed), claimsBytes(claims)))

/**
 * Signs a producer's claims. Their `rootPubkey` is this key's: a credential naming another root could never verify.
 *
 * @since 0.1.0
 */
export const signProducer = (
  key: RootKey,
  { attributes, endpointId, expiresAt }: Omit<ProducerClaims, "kind" | "rootPubkey">
): EnrollmentCredential => {
  const claims: ProducerClaims = { kind: "producer", endpointId, rootPubkey: key.publicKey, expiresAt, attributes }
  return { ...claims, signature: signature(key, claims) }
}

/** Signs a consumer's claims, like `signProducer`. @since 0.1.0 */
export const signConsumer = (
  key: RootKey,
  { attributes, endpointId, expiresAt, nonce, type }: Omit<ConsumerClaims, "kind" | "rootPubkey">
): ConsumerEnrollmentCredential => {
  const rootPubkey = key.publicKey
  const claims: ConsumerClaims = { kind: "consumer", type, rootPubkey, expiresAt, attributes, endpointId, nonce }
  return { ...claims, signature: signature(key, claims) }
}

const invalid = (file: string, key: string, detail: string) =>
  new AsterConfigError({ reason: "InvalidValue", origin: { file, key }, detail })

const KeyFile = Schema.fromJsonString(
  Schema.Struct({
    private_key: Schema.optionalKey(Schema.String),
    public_key: Schema.optionalKey(Schema.String)
  })
)

const decodeKeyFile = Schema.decodeUnknownResult(KeyFile)

/**
 * Parses a `root.key` file: JSON with `private_key`, and `public_key`, which is derived when missing and must match when
 * present.
 *
 * @since 0.1.0
 */
export const parse = (text: string, file: string): Result.Result<RootKey, AsterConfigError> =>
  Result.gen(function* () {
    const json = yield* Result.mapError(decodeKeyFile(text), () =>
      invalid(file, "private_key", 'expected a JSON object with a "private_key" of 64 hex characters')
    )
    if (json.private_key === undefined) {
      return yield* Result.fail(invalid(file, "private_key", "missing; a public key cannot sign"))
    }
    const seed = Hex.decode(json.private_key)
    if (Result.isFailure(seed)) return yield* Result.fail(invalid(file, "private_key", "expected 64 hex characters"))
    const key = yield* Result.mapError(fromSeed(seed.success), (detail) => invalid(file, "private_key", detail))
    if (json.public_key !== undefined && json.public_key.toLowerCase() !== key.publicKey) {
      return yield* Result.fail(
        invalid(file, "public_key", "does not belong to private_key; one of the two was replaced")
      )
    }
    return key
  })

/** Reads a `root.key` file. @since 0.1.0 */
export const read = (file: string): Effect.Effect<RootKey, AsterConfigError | FileError> =>
  Effect.flatMap(BoundedFile.read(file), ({ text }) => Effect.fromResult(parse(text, file)))

/** Writes a `root.key` file, mode 0600, replacing what was there. @since 0.1.0 */
export const write = (file: string, key: RootKey): Effect.Effect<void, FileError> => {
  const content = { private_key: Hex.encode(Redacted.value(key.seed)), public_key: key.publicKey }
  return AtomicFile.write(file, `${JSON.stringify(content, undefined, 2)}\n`)
}

/** The text of a `root.pub` file, to hand out. @since 0.1.0 */
export const publicFileText = (publicKey: RootPublicKey.RootPublicKey): string =>
  `${JSON.stringify({ public_key: publicKey }, undefined, 2)}\n`
