/**
 * Ed25519 by the platform's implementation (RFC 8032), and strict: keys and nonces of small order, and encodings that
 * are not canonical, are refused, as iroh-docs does.
 */
import { Point } from "@noble/ed25519"
import { base64urlnopad } from "@scure/base"
import { createPrivateKey, createPublicKey, type KeyObject, sign as signWith, verify as verifyWith } from "node:crypto"
import * as Bytes from "./Bytes.ts"
import { authorOf, ID_SIZE, namespaceOf, type Entry, type SignedEntry, signingBytes } from "./Entry.ts"

/** A key pair that signs. */
export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: KeyObject
}

// The DER of a PKCS #8 key is this and the seed (RFC 8410).
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20)

/** The pair of a seed of 32 bytes. */
export const keyPair = (seed: Uint8Array): KeyPair => {
  const der = Bytes.concat(PKCS8, seed)
  const privateKey = createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" })
  der.fill(0)
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

const MAX_KEYS = 1024
const keys = new Map<string, KeyObject | undefined>()

/** The key of 32 bytes, undefined when they are none. The latest ones are remembered. */
const publicKey = (bytes: Uint8Array): KeyObject | undefined => {
  const x = base64urlnopad.encode(bytes)
  if (keys.has(x)) return keys.get(x)
  const key = isKey(bytes) ? createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }) : undefined
  if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value!)
  keys.set(x, key)
  return key
}

const isKey = (bytes: Uint8Array): boolean => {
  try {
    return !Point.fromBytes(bytes).isSmallOrder()
  } catch {
    return false
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
  const author = publicKey(authorOf(entry))
  const namespace = publicKey(namespaceOf(entry))
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
