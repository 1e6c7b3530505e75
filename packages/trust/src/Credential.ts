/**
 * Credentials: what a root key says about a node, and the bytes it signs.
 *
 * A producer's `EnrollmentCredential` names the one node it is for. A `ConsumerEnrollmentCredential` is a `policy`,
 * good until it expires, or an `ott`, good once; either may be bound to a node. Everything here is pure: bytes, texts
 * and a time in, answers out.
 *
 * @since 0.1.0
 */
import { type RootPublicKey, toBytes } from "@aster-effect/config/RootPublicKey"
import * as Hex from "effect/encoding/Hex"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Ed25519 from "@aster-effect/iroh/Ed25519"
import { canonicalAttributes } from "./internal/canonicalAttributes.ts"
import { parseJson } from "./internal/losslessJson.ts"

/** Signed facts about the holder. Keys under `aster.` belong to the framework. @since 0.1.0 */
export type Attributes = ReadonlyMap<string, string>

/** What a producer credential signs. @since 0.1.0 */
export interface ProducerClaims {
  readonly kind: "producer"
  /** The node it authorises, as the exact text that is signed: 64 lower-case hex characters. */
  readonly endpointId: string
  /** 64 lower-case hex characters. */
  readonly rootPubkey: string
  /** Whole seconds since the Unix epoch; valid while strictly later than now. Unsigned 64 bits. */
  readonly expiresAt: bigint
  readonly attributes: Attributes
}

/** What a consumer credential signs. @since 0.1.0 */
export interface ConsumerClaims {
  readonly kind: "consumer"
  readonly type: "policy" | "ott"
  readonly rootPubkey: string
  readonly expiresAt: bigint
  readonly attributes: Attributes
  /** The node it is bound to; absent means any node may present it. */
  readonly endpointId: string | undefined
  /** 64 lower-case hex characters; an `ott` has one, a `policy` none. */
  readonly nonce: string | undefined
}

/** @since 0.1.0 */
export type Claims = ProducerClaims | ConsumerClaims

/** A producer's credential; the signature is 128 lower-case hex characters. @since 0.1.0 */
export interface EnrollmentCredential extends ProducerClaims {
  readonly signature: string
}

/** A consumer's credential; the signature is 128 lower-case hex characters. @since 0.1.0 */
export interface ConsumerEnrollmentCredential extends ConsumerClaims {
  readonly signature: string
}

/** @since 0.1.0 */
export type Credential = EnrollmentCredential | ConsumerEnrollmentCredential

/** A text or object that is no credential. `field` is the JSON key, `expected` what belongs there. @since 0.1.0 */
export class MalformedCredential extends Schema.TaggedError<MalformedCredential>()("MalformedCredential", {
  field: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `not a credential: ${this.field}: ${this.expected}`
  }
}

const malformed = (field: string, expected: string): never => {
  throw new MalformedCredential({ field, expected })
}

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)

const encoder = new TextEncoder()
const byteLength = (text: string): number => encoder.encode(text).length

const maxAttributes = 64
const maxKeyBytes = 256
const maxValueBytes = 4_096
const maxAttributeBytes = 8_192

const readAttributes = (value: unknown): Attributes => {
  if (!isObject(value)) return malformed("attributes", "expected an object of strings")
  const entries = Object.entries(value)
  if (entries.length > maxAttributes) malformed("attributes", `expected at most ${maxAttributes} entries`)
  const attributes = new Map<string, string>()
  let total = 0
  for (const [key, text] of entries) {
    if (typeof text !== "string") return malformed("attributes", "expected strings as values")
    if (!key.isWellFormed() || !text.isWellFormed()) malformed("attributes", "expected text without lone surrogates")
    const keyBytes = byteLength(key)
    const valueBytes = byteLength(text)
    total += keyBytes + valueBytes
    if (keyBytes > maxKeyBytes) malformed("attributes", `expected keys of at most ${maxKeyBytes} bytes`)
    if (valueBytes > maxValueBytes) malformed("attributes", `expected values of at most ${maxValueBytes} bytes`)
    attributes.set(key, text)
  }
  if (total > maxAttributeBytes) malformed("attributes", `expected at most ${maxAttributeBytes} bytes in all`)
  return attributes
}

const readHex = (json: Json, field: string, length: number): string => {
  const value = json[field]
  return typeof value === "string" && value.length === length && /^[0-9a-fA-F]+$/.test(value)
    ? value.toLowerCase()
    : malformed(field, `expected ${length} hex characters`)
}

const readExpiry = (value: unknown): bigint => {
  const seconds = typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value
  return typeof seconds === "bigint" && seconds >= 0n && seconds < 2n ** 64n
    ? seconds
    : malformed("expires_at", "expected a whole number of seconds, from 0 to 2^64-1")
}

const readEndpointId = (value: unknown): string =>
  typeof value === "string" && value.isWellFormed() && byteLength(value) <= maxKeyBytes
    ? value
    : malformed("endpoint_id", "expected a string")

const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null

const readShared = (json: Json) => ({
  rootPubkey: readHex(json, "root_pubkey", 64),
  expiresAt: readExpiry(json["expires_at"]),
  attributes: readAttributes(json["attributes"])
})

const readProducer = (json: Json): ProducerClaims => ({
  kind: "producer",
  endpointId: readEndpointId(json["endpoint_id"]),
  ...readShared(json)
})

const readConsumer = (json: Json, type: unknown): ConsumerClaims => ({
  kind: "consumer",
  type: type === "policy" || type === "ott" ? type : malformed("credential_type", 'expected "policy" or "ott"'),
  ...readShared(json),
  endpointId: isAbsent(json["endpoint_id"]) ? undefined : readEndpointId(json["endpoint_id"]),
  nonce: isAbsent(json["nonce"]) ? undefined : readHex(json, "nonce", 64)
})

const readClaims = (json: Json): Claims => {
  if (json["kind"] === "producer") return readProducer(json)
  if (json["kind"] === "consumer") return readConsumer(json, json["credential_type"])
  return malformed("kind", 'expected "producer" or "consumer"')
}

/** Runs a reader that throws `MalformedCredential` on the object that `input` is or is the text of. */
const reading = <A>(input: unknown, read: (json: Json) => A): Result.Result<A, MalformedCredential> => {
  const parsed = typeof input === "string" ? parseJson(input) : Result.succeed(input)
  if (Result.isFailure(parsed)) {
    return Result.fail(new MalformedCredential({ field: "(document)", expected: parsed.failure }))
  }
  const json = parsed.success
  if (!isObject(json)) {
    return Result.fail(new MalformedCredential({ field: "(document)", expected: "expected an object" }))
  }
  try {
    return Result.succeed(read(json))
  } catch (cause) {
    if (cause instanceof MalformedCredential) return Result.fail(cause)
    throw cause
  }
}

/**
 * Claims from JSON (text or object) with a `kind` of `producer` or `consumer`, the form of the reference's signing
 * oracle. Text keeps integers above 2^53 exact.
 *
 * @since 0.1.0
 */
export const parseClaims = (json: unknown): Result.Result<Claims, MalformedCredential> => reading(json, readClaims)

/** On the wire an endpoint id has 64 hex characters; other texts could not name a peer. */
const requireWireEndpoint = <C extends Claims>(claims: C): C =>
  claims.endpointId === undefined || /^[0-9a-fA-F]{64}$/.test(claims.endpointId)
    ? claims
    : malformed("endpoint_id", "expected 64 hex characters")

/**
 * A consumer credential as it travels (`credential_json` of the admission request). Unknown keys are ignored; numbers
 * outside the safe range, attributes that are not strings, empty endpoint ids and nonces are refused.
 *
 * @since 0.1.0
 */
export const parseConsumer = (json: unknown): Result.Result<ConsumerEnrollmentCredential, MalformedCredential> =>
  reading(json, (object) => ({
    ...requireWireEndpoint(readConsumer(object, object["credential_type"])),
    signature: readHex(object, "signature", 128)
  }))

/** A producer credential as it travels; the same strictness as `parseConsumer`. @since 0.1.0 */
export const parseProducer = (json: unknown): Result.Result<EnrollmentCredential, MalformedCredential> =>
  reading(json, (object) => ({
    ...requireWireEndpoint(readProducer(object)),
    signature: readHex(object, "signature", 128)
  }))

const hexBytes = (hex: string): Uint8Array => Result.getOrThrow(Hex.decode(hex))

const u64 = (value: bigint): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, value)
  return bytes
}

const flagged = (payload: Uint8Array | undefined): ReadonlyArray<Uint8Array> =>
  payload === undefined ? [Uint8Array.of(0)] : [Uint8Array.of(1), payload]

const concatenate = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/**
 * The bytes that are signed (Aster trust, signing bytes). No separators and no lengths; the endpoint id goes in as text.
 *
 * - producer: endpoint id, root key (32), expiry (u64 big-endian), canonical attributes
 * - consumer: type (0 policy, 1 ott), endpoint flag and text, root key, expiry, attributes, nonce flag and 32 bytes
 *
 * @since 0.1.0
 */
export const claimsBytes = (claims: Claims): Uint8Array => {
  const shared = [
    hexBytes(claims.rootPubkey),
    u64(claims.expiresAt),
    encoder.encode(canonicalAttributes(claims.attributes))
  ]
  if (claims.kind === "producer") return concatenate([encoder.encode(claims.endpointId), ...shared])
  return concatenate([
    Uint8Array.of(claims.type === "ott" ? 1 : 0),
    ...flagged(claims.endpointId === undefined ? undefined : encoder.encode(claims.endpointId)),
    ...shared,
    ...flagged(claims.nonce === undefined ? undefined : hexBytes(claims.nonce))
  ])
}

/**
 * `claimsBytes` straight from JSON (text or object) with a `kind`.
 *
 * @throws MalformedCredential
 * @since 0.1.0
 */
export const signingBytes = (json: unknown): Uint8Array => claimsBytes(Result.getOrThrow(parseClaims(json)))

const bytesOf = (value: Uint8Array | string): Uint8Array =>
  typeof value === "string" ? Result.getOrElse(Hex.decode(value), () => new Uint8Array()) : value

/**
 * Whether `signature` (64 bytes, or hex) over the claims in `json` was made by `publicKey` (32 bytes, or hex). Strict
 * Ed25519; any malformed input is `false`, never an exception.
 *
 * @since 0.1.0
 */
export const verify = (json: unknown, publicKey: Uint8Array | string, signature: Uint8Array | string): boolean => {
  const claims = parseClaims(json)
  return Result.isSuccess(claims) && Ed25519.verify(bytesOf(publicKey), claimsBytes(claims.success), bytesOf(signature))
}

/** Whether a credential's signature was made by the pinned root key. @since 0.1.0 */
export const isSignedBy = (credential: Credential, root: RootPublicKey): boolean =>
  Ed25519.verify(toBytes(root), claimsBytes(credential), hexBytes(credential.signature))

/**
 * Why a credential was refused. For logs only: a peer is told nothing but "not admitted".
 *
 * | denial | meaning |
 * |---|---|
 * | `ForeignRoot` | signed for another deployment |
 * | `Structure` | an `ott` without a nonce, or a `policy` with one |
 * | `Signature` | not signed by the root key |
 * | `Expired` | `expires_at` is not later than now |
 * | `OtherEndpoint` | issued to another node than the one presenting it |
 *
 * @since 0.1.0
 */
export type Denial = "ForeignRoot" | "Structure" | "Signature" | "Expired" | "OtherEndpoint"

/** What a credential is checked against. @since 0.1.0 */
export interface CheckContext {
  /** The pinned root key. */
  readonly root: RootPublicKey
  /** The authenticated endpoint id of the peer that presents it. */
  readonly peer: string
  /** Milliseconds since the Unix epoch; expiry compares whole seconds, without allowance for skew. */
  readonly nowMillis: number
}

/** Whether a consumer credential has a nonce exactly when it is an `ott`. @since 0.1.0 */
export const hasSoundStructure = (credential: Credential): boolean =>
  credential.kind === "producer" || (credential.type === "ott") === (credential.nonce !== undefined)

/**
 * Every check but the nonce's. All of them always run, so that the time taken does not tell which failed; the answer is
 * the first failure in the order of the table at `Denial`. Using up the nonce of an `ott` comes after everything else.
 *
 * @since 0.1.0
 */
export const check = (credential: Credential, { nowMillis, peer, root }: CheckContext): Denial | undefined => {
  const checks: ReadonlyArray<readonly [Denial, boolean]> = [
    ["ForeignRoot", credential.rootPubkey === root],
    ["Structure", hasSoundStructure(credential)],
    ["Signature", isSignedBy(credential, root)],
    ["Expired", credential.expiresAt > BigInt(Math.floor(nowMillis / 1000))],
    ["OtherEndpoint", credential.endpointId === undefined || credential.endpointId === peer]
  ]
  return checks.find(([, passed]) => !passed)?.[0]
}

/** JSON text for an object whose values may be bigints that JSON numbers must show in full. */
const objectText = (entries: ReadonlyArray<readonly [string, string]>, indent: string): string => {
  const [open, close, separator] = indent === "" ? ["{", "}", ","] : ["{\n", "\n}", ",\n"]
  const colon = indent === "" ? ":" : ": "
  return `${open}${entries.map(([key, text]) => `${indent}${JSON.stringify(key)}${colon}${text}`).join(separator)}${close}`
}

/** Attributes in order, two levels deep when indented. */
const attributesJson = (attributes: Attributes, indent: string): string => {
  if (indent === "" || attributes.size === 0) return canonicalAttributes(attributes)
  const lines = [...attributes].map(
    ([key, value]) => `${indent}${indent}${JSON.stringify(key)}: ${JSON.stringify(value)}`
  )
  return `{\n${lines.join(",\n")}\n${indent}}`
}

/**
 * A credential's JSON. With `wire` it is compact and in the form of an admission request; with `file` it is indented by
 * two spaces, names the type under `type` and ends with a line feed.
 *
 * @since 0.1.0
 */
export const toJson = (credential: Credential, form: "wire" | "file"): string => {
  const indent = form === "wire" ? "" : "  "
  const optional = (text: string | undefined): string => (text === undefined ? "null" : JSON.stringify(text))
  const root = ["root_pubkey", JSON.stringify(credential.rootPubkey)] as const
  const expiry = ["expires_at", String(credential.expiresAt)] as const
  const attributes = ["attributes", attributesJson(credential.attributes, indent)] as const
  const signature = ["signature", JSON.stringify(credential.signature)] as const
  const entries: ReadonlyArray<readonly [string, string]> =
    credential.kind === "producer"
      ? [
          ...(form === "file" ? [["type", '"producer"'] as const] : []),
          ["endpoint_id", JSON.stringify(credential.endpointId)],
          root,
          expiry,
          attributes,
          signature
        ]
      : [
          [form === "file" ? "type" : "credential_type", JSON.stringify(credential.type)],
          root,
          expiry,
          attributes,
          ["endpoint_id", optional(credential.endpointId)],
          ["nonce", optional(credential.nonce)],
          signature
        ]
  return form === "file" ? `${objectText(entries, indent)}\n` : objectText(entries, indent)
}
