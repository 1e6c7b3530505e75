/**
 * The public half of a deployment's root key: the one trust anchor a running node needs.
 *
 * It is kept as 64 lower-case hex characters, so that two anchors are equal exactly when the strings are.
 *
 * @since 0.1.0
 */
import { Point } from "@noble/ed25519"
import type * as Brand from "effect/Brand"
import * as Hex from "effect/encoding/Hex"
import * as Result from "effect/Result"

/** 64 lower-case hex characters, known to decode to a usable Ed25519 public key. @since 0.1.0 */
export type RootPublicKey = string & Brand.Brand<"@aster-effect/config/RootPublicKey">

/** A root public key and the label of where it was found. @since 0.1.0 */
export interface Anchor {
  readonly key: RootPublicKey
  readonly source: string
}

/**
 * Whether 32 bytes can serve as a trust anchor: a canonical point of the prime-order group. The small-order points (32
 * zero bytes are one) accept signatures nobody made, so they are no keys.
 */
const isAnchor = (bytes: Uint8Array): boolean => {
  try {
    const point = Point.fromBytes(bytes)
    return !point.isSmallOrder() && point.isTorsionFree()
  } catch {
    return false
  }
}

const accept = (hex: string): hex is RootPublicKey => isAnchor(Result.getOrThrow(Hex.decode(hex)))

/**
 * From 64 hex characters of either case. The failure says what was expected: wrong lengths, non-hex text and points
 * that are no keys (small order, not on the curve) are refused.
 *
 * @since 0.1.0
 */
export const fromHex = (text: string): Result.Result<RootPublicKey, string> => {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) {
    return Result.fail(`expected 64 hex characters (32 bytes), got ${text.length} characters`)
  }
  const hex = text.toLowerCase()
  return accept(hex)
    ? Result.succeed(hex)
    : Result.fail("expected an Ed25519 public key; these 32 bytes are not one, or one that anybody can sign for")
}

/** From 32 raw bytes; the same rules as `fromHex`. @since 0.1.0 */
export const fromBytes = (bytes: Uint8Array): Result.Result<RootPublicKey, string> => fromHex(Hex.encode(bytes))

/** The 32 bytes. @since 0.1.0 */
export const toBytes = (key: RootPublicKey): Uint8Array => Result.getOrThrow(Hex.decode(key))

const publicKeyOf = (json: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === "object" && value !== null && "public_key" in value && typeof value.public_key === "string"
      ? value.public_key
      : undefined
  } catch {
    return undefined
  }
}

/**
 * From the text of a public-key file: a JSON object with `public_key` (so `root.key` itself serves too), or bare hex
 * with any surrounding whitespace.
 *
 * @since 0.1.0
 */
export const fromFileText = (text: string): Result.Result<RootPublicKey, string> => {
  const content = text.trim()
  if (!content.startsWith("{")) return fromHex(content)
  const hex = publicKeyOf(content)
  return hex === undefined ? Result.fail('expected JSON with a "public_key" of 64 hex characters') : fromHex(hex)
}
