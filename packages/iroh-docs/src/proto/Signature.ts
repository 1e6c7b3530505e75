/**
 * Ed25519 by the platform's implementation (RFC 8032), and strict: keys and nonces of small order, and encodings that
 * are not canonical, are refused, as iroh-docs does.
 */
import * as Ed25519 from "@aster-effect/iroh/Ed25519"
import { base64urlnopad } from "@scure/base"
import { createPublicKey, type KeyObject, sign as signWith, verify as verifyWith } from "node:crypto"
import * as Bytes from "./Bytes.ts"
import { authorOf, ID_SIZE, namespaceOf, type Entry, type SignedEntry, signingBytes } from "./Entry.ts"

/** A key pair that signs. */
export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: KeyObject
}

/** The pair of a seed of 32 bytes. */
export const keyPair = (seed: Uint8Array): KeyPair => {
  const privateKey = Ed25519.signingKey(seed)
  const { x } = createPublicKey(privateKey).export({ format: "jwk" })
  return { privateKey, publicKey: base64urlnopad.decode(x!) }
}

/** The entry with the signatures of its author and its document. */
export const signEntry = (entry: Entry, namespace: KeyPair, author: KeyPair): SignedEntry => {
  const bytes = signingBytes(entry)
  return {
    ...entry,
    authorSignature: Uint8Array.from(signWith(null, bytes, author.privateKey)),
    namespaceSignature: Uint8Array.from(signWith(null, bytes, namespace.privateKey))
  }
}

/** Canonical encodings of the points of small order. The verification below compares encodings, so others never pass. */
const smallOrder: ReadonlyArray<Uint8Array> = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
].map((hex) => Uint8Array.from(Buffer.from(hex, "hex")))

const hasStrictNonce = (signature: Uint8Array): boolean => {
  const nonce = signature.subarray(0, ID_SIZE)
  return !smallOrder.some((point) => Bytes.equal(point, nonce))
}

/** The two checks an entry needs; undefined when it cannot pass. */
const checks = (entry: SignedEntry) => {
  const author = Ed25519.verifyingKey(authorOf(entry))
  const namespace = Ed25519.verifyingKey(namespaceOf(entry))
  if (author === undefined || namespace === undefined) return undefined
  if (!hasStrictNonce(entry.authorSignature) || !hasStrictNonce(entry.namespaceSignature)) return undefined
  return [
    [namespace, entry.namespaceSignature],
    [author, entry.authorSignature]
  ] as const
}

/** Whether both signatures of an entry are good, found out on the platform's worker threads. Never fails. */
export const verifyEntryAsync = async (entry: SignedEntry): Promise<boolean> => {
  const both = checks(entry)
  if (both === undefined) return false
  const bytes = signingBytes(entry)
  const results = await Promise.all(both.map(([key, signature]) => verifyOnThread(bytes, key, signature)))
  return results.every((good) => good)
}

const verifyOnThread = (bytes: Uint8Array, key: KeyObject, signature: Uint8Array): Promise<boolean> =>
  new Promise((resolve) => verifyWith(null, bytes, key, signature, (error, good) => resolve(error === null && good)))
