/**
 * Ed25519 as it is used everywhere here: RFC 8032 pure, no context, no prehash; 32-byte seeds, 32-byte public keys,
 * 64-byte signatures. Nothing here throws on bytes that came from outside.
 *
 * @since 0.1.0
 */
import * as ed25519 from "@noble/ed25519"
import { sha512 } from "@noble/hashes/sha2.js"
import { createPrivateKey, createPublicKey, type KeyObject, verify as verifyWith } from "node:crypto"

ed25519.hashes.sha512 = sha512

/** The 32-byte public key of a 32-byte seed. Throws on a seed of another length: that is a caller's bug. @since 0.1.0 */
export const publicKey = (seed: Uint8Array): Uint8Array => ed25519.getPublicKey(seed)

/** The 64-byte signature of `message`. @since 0.1.0 */
export const sign = (seed: Uint8Array, message: Uint8Array): Uint8Array => ed25519.sign(message, seed)

// The DER of a PKCS #8 key is this and the seed (RFC 8410).
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20)

/** The key of a 32-byte seed for signatures by the platform. Throws on a seed of another length. @since 0.1.0 */
export const signingKey = (seed: Uint8Array): KeyObject => {
  const der = Buffer.concat([PKCS8, seed])
  try {
    return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
  } finally {
    der.fill(0)
  }
}

const MAX_KEYS = 1024
const keys = new Map<string, KeyObject | undefined>()

/**
 * The key of 32 bytes for verification by the platform; undefined when they are none, or of small order. The latest 1,024
 * are remembered.
 *
 * @since 0.1.0
 */
export const verifyingKey = (bytes: Uint8Array): KeyObject | undefined => {
  const x = Buffer.from(bytes).toString("base64url")
  if (keys.has(x)) return keys.get(x)
  const key = isKey(bytes) ? createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }) : undefined
  if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value!)
  keys.set(x, key)
  return key
}

const isKey = (bytes: Uint8Array): boolean => {
  try {
    return !ed25519.Point.fromBytes(bytes).isSmallOrder()
  } catch {
    return false
  }
}

/**
 * Strict verification: non-canonical encodings, out-of-range scalars and small-order public keys fail. Malformed input
 * of any kind answers `false`.
 *
 * The platform's implementation compares the encoding of the nonce that it computes, so one that is not canonical never
 * passes either. It takes a twentieth of the time of one in JavaScript.
 *
 * @since 0.1.0
 */
export const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const key = verifyingKey(publicKey)
  return key !== undefined && verifyWith(null, message, key, signature)
}
