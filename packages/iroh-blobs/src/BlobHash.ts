/**
 * Names of blobs. iroh-blobs wire, text forms.
 *
 * @since 0.1.0
 */
import { base16, base32nopad } from "@scure/base"
import * as Brand from "effect/Brand"
import { HASH_SIZE } from "./proto/Blake3.ts"
import { hashBlob } from "./proto/OutboardBuilder.ts"
import { Malformed } from "@aster-effect/iroh/Malformed"

/** The BLAKE3 hash of a blob as 64 lower-case hex digits. */
export type BlobHash = Brand.Branded<string, "@aster-effect/iroh-blobs/BlobHash">

/** How a blob is to be read: as bytes, or as a sequence of hashes whose blobs belong to it. */
export type BlobFormat = "raw" | "hashSeq"

/** A blob and how to read it. */
export interface HashAndFormat {
  readonly hash: BlobHash
  readonly format: BlobFormat
}

const brand = Brand.nominal<BlobHash>()
const hexOf = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** The hash whose 32 bytes are `bytes`. Throws {@link Malformed} for any other length. */
export const fromBytes = (bytes: Uint8Array): BlobHash => {
  if (bytes.length !== HASH_SIZE) throw new Malformed(`a hash has 32 bytes, not ${bytes.length}`)
  let text = ""
  for (const byte of bytes) text += hexOf[byte]!
  return brand(text)
}

/** The 32 bytes of a hash. */
export const toBytes = (hash: BlobHash): Uint8Array => base16.decode(hash.toUpperCase())

/** Reads 64 hex digits or 52 characters of unpadded base32, in any case. Throws {@link Malformed}. */
export const parse = (text: string): BlobHash => {
  const lower = text.toLowerCase()
  if (/^[0-9a-f]{64}$/.test(lower)) return brand(lower)
  if (lower.length === 52) {
    try {
      return fromBytes(base32nopad.decode(lower.toUpperCase()))
    } catch {
      // The message below covers it.
    }
  }
  throw new Malformed("a hash is 64 hex digits or 52 base32 characters")
}

/** Text form of a hash with its format: hex, after an `s` for a hash sequence. */
export const format = ({ format, hash }: HashAndFormat): string => (format === "hashSeq" ? `s${hash}` : hash)

/** Reads what {@link format} writes. Throws {@link Malformed}. */
export const parseWithFormat = (text: string): HashAndFormat =>
  text.length === 65 && text[0] === "s"
    ? { hash: parse(text.slice(1)), format: "hashSeq" }
    : { hash: parse(text), format: "raw" }

/** First ten digits, for logs. */
export const short = (hash: BlobHash): string => hash.slice(0, 10)

/** The blob of no bytes. It is in every store. */
export const emptyBlob: BlobHash = parse("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")

/** The hash of bytes in memory; hashing them takes the thread about two seconds per gigabyte. */
export const of = (bytes: Uint8Array): BlobHash => fromBytes(hashBlob(bytes).hash)
