/**
 * Ed25519 as Aster uses it everywhere: RFC 8032 pure, no context, no prehash; 32-byte seeds, 32-byte public keys,
 * 64-byte signatures. Nothing here throws on bytes that came from outside.
 *
 * @since 0.1.0
 */
import * as ed25519 from "@noble/ed25519"
import { sha512 } from "@noble/hashes/sha2.js"

ed25519.hashes.sha512 = sha512

/** The 32-byte public key of a 32-byte seed. Throws on a seed of another length: that is a caller's bug. @since 0.1.0 */
export const publicKey = (seed: Uint8Array): Uint8Array => ed25519.getPublicKey(seed)

/** The 64-byte signature of `message`. @since 0.1.0 */
export const sign = (seed: Uint8Array, message: Uint8Array): Uint8Array => ed25519.sign(message, seed)

/**
 * Strict verification: non-canonical encodings, out-of-range scalars and small-order public keys fail. Malformed input
 * of any kind answers `false`.
 *
 * @since 0.1.0
 */
export const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  return ed25519.verify(signature, message, publicKey, { zip215: false })
}
