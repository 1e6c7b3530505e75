/**
 * What a document consists of: records under the names of their document, author and key, signed by both.
 * iroh-docs wire, entries.
 */
import { blake3 } from "@noble/hashes/blake3.js"
import { Malformed } from "@aster-effect/iroh/Malformed"
import type { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import * as Bytes from "./Bytes.ts"

/** Bytes of a document's, an author's and a content's id. */
export const ID_SIZE = 32

/** Bytes of an identifier before its key. */
export const PREFIX_SIZE = 2 * ID_SIZE

const SIGNATURE_SIZE = 64

/** The least that a signed entry takes on the wire: two signatures, an identifier without key, length, hash, time. */
export const MIN_ENCODED_SIZE = 2 * SIGNATURE_SIZE + 1 + PREFIX_SIZE + 1 + ID_SIZE + 1

/** A record and its name. */
export interface Entry {
  /** Document id, author id and key, one after the other: 64 bytes and the key's. */
  readonly id: Uint8Array
  /** Bytes of the content. Infinity stands for what no number holds exactly. */
  readonly length: number
  /** BLAKE3 of the content, 32 bytes. */
  readonly hash: Uint8Array
  /** Microseconds since the Unix epoch. Infinity stands for what no number holds exactly. */
  readonly timestamp: number
}

/** An entry as it travels. */
export interface SignedEntry extends Entry {
  readonly authorSignature: Uint8Array
  readonly namespaceSignature: Uint8Array
}

/** BLAKE3 of no bytes: the content of a tombstone. */
export const EMPTY_HASH: Uint8Array = blake3(new Uint8Array())

export const identifier = (namespace: Uint8Array, author: Uint8Array, key: Uint8Array): Uint8Array =>
  Bytes.concat(namespace, author, key)

export const namespaceOf = ({ id }: Entry): Uint8Array => id.subarray(0, ID_SIZE)
export const authorOf = ({ id }: Entry): Uint8Array => id.subarray(ID_SIZE, PREFIX_SIZE)
export const keyOf = ({ id }: Entry): Uint8Array => id.subarray(PREFIX_SIZE)

/** Whether the entry marks a deletion. */
export const isTombstone = ({ hash, length }: Entry): boolean => length === 0 && Bytes.equal(hash, EMPTY_HASH)

/** Whether length and hash agree about there being a content. */
export const isConsistent = ({ hash, length }: Entry): boolean => (length === 0) === Bytes.equal(hash, EMPTY_HASH)

/** Which of two records wins: positive when `a` does. The later one, of equally late ones that with the greater hash. */
export const compareRecords = (a: Entry, b: Entry): number =>
  a.timestamp === b.timestamp ? Bytes.compare(a.hash, b.hash) : a.timestamp < b.timestamp ? -1 : 1

/** What both keys sign. */
export const signingBytes = ({ hash, id, length, timestamp }: Entry): Uint8Array => {
  const out = new Uint8Array(id.length + 8 + ID_SIZE + 8)
  const view = new DataView(out.buffer)
  out.set(id)
  setUint64(view, id.length, length)
  out.set(hash, id.length + 8)
  setUint64(view, id.length + 8 + ID_SIZE, timestamp)
  return out
}

const fingerprints = new WeakMap<Entry, Uint8Array>()

/** BLAKE3 over the entry's name, time and content hash; not to be changed. */
export const fingerprint = (entry: Entry): Uint8Array => {
  let found = fingerprints.get(entry)
  if (found === undefined) fingerprints.set(entry, (found = computeFingerprint(entry)))
  return found
}

const computeFingerprint = ({ hash, id, timestamp }: Entry): Uint8Array => {
  const bytes = new Uint8Array(id.length + 8 + ID_SIZE)
  bytes.set(id)
  setUint64(new DataView(bytes.buffer), id.length, timestamp)
  bytes.set(hash, id.length + 8)
  return blake3(bytes)
}

const setUint64 = (view: DataView, offset: number, value: number): void => {
  view.setUint32(offset, Math.floor(value / 0x1_0000_0000))
  view.setUint32(offset + 4, value >>> 0)
}

export const write = (writer: PostcardWriter, entry: SignedEntry): void => {
  writer.raw(entry.authorSignature).raw(entry.namespaceSignature)
  writer.varint(entry.id.length).raw(entry.id).varint(entry.length).raw(entry.hash).varint(entry.timestamp)
}

/** Bytes that {@link write} writes at most. */
export const encodedSize = ({ id }: Entry): number => 2 * SIGNATURE_SIZE + 3 + id.length + 9 + ID_SIZE + 9

/** Reads an entry, as views of the reader's bytes. Throws {@link Malformed} when the identifier is too short. */
export const read = (reader: PostcardReader): SignedEntry => {
  const authorSignature = reader.take(SIGNATURE_SIZE)
  const namespaceSignature = reader.take(SIGNATURE_SIZE)
  const id = reader.take(reader.varint())
  if (id.length < PREFIX_SIZE) throw new Malformed(`an identifier has at least ${PREFIX_SIZE} bytes, not ${id.length}`)
  const length = exact(reader.bigVarint())
  const hash = reader.take(ID_SIZE)
  return { id, length, hash, timestamp: exact(reader.bigVarint()), authorSignature, namespaceSignature }
}

const exact = (value: bigint): number => (value > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(value))

/** The same entry, holding on to no larger buffer. */
export const compact = (entry: SignedEntry): SignedEntry => ({
  id: Bytes.copy(entry.id),
  length: entry.length,
  hash: Bytes.copy(entry.hash),
  timestamp: entry.timestamp,
  authorSignature: Bytes.copy(entry.authorSignature),
  namespaceSignature: Bytes.copy(entry.namespaceSignature)
})
