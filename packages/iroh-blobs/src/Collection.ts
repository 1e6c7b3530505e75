/**
 * Named blobs: a hash sequence whose first blob holds the names. iroh-blobs wire, collection.
 *
 * @since 0.1.0
 */
import type { BlobHash } from "./BlobHash.ts"
import { HashSeq } from "./HashSeq.ts"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"

/** An entry of a collection. Names need not be unique and may be any text. */
export interface CollectionEntry {
  readonly name: string
  readonly hash: BlobHash
}

const header = new TextEncoder().encode("CollectionV0.")

/**
 * The metadata blob that names the entries in order. Throws {@link Malformed} for half a surrogate pair, which has no
 * UTF-8 form: names that differ in it would become one.
 */
export const encodeNames = (names: Iterable<string>): Uint8Array => {
  const list = [...names].map((name) => {
    if (!name.isWellFormed()) throw new Malformed(`${JSON.stringify(name)} holds half a surrogate pair`)
    return new TextEncoder().encode(name)
  })
  const writer = new PostcardWriter().raw(header).varint(list.length)
  for (const name of list) writer.varint(name.length).raw(name)
  return writer.finish()
}

/** Reads a metadata blob of at most `limit` names, so that it costs no more than they do. Throws {@link Malformed}. */
export const decodeNames = (bytes: Uint8Array, limit = Infinity): ReadonlyArray<string> => {
  if (header.some((byte, i) => bytes[i] !== byte)) throw new Malformed("a collection's names start with CollectionV0.")
  const reader = new PostcardReader(bytes.subarray(header.length))
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  const length = reader.length(1)
  if (length > limit) throw new Malformed(`the collection has ${length} names for ${limit} blobs`)
  return Array.from({ length }, () => {
    const name = reader.take(reader.varint())
    try {
      return utf8.decode(name)
    } catch {
      throw new Malformed("a name in the collection is not UTF-8")
    }
  })
}

/** The root of a collection: the hash of its metadata blob, then those of its entries. */
export const root = (names: BlobHash, entries: Iterable<BlobHash>): HashSeq => HashSeq.of([names, ...entries])

/** Puts names and hashes together. Throws {@link Malformed} when their numbers differ. */
export const entries = (root: HashSeq, names: ReadonlyArray<string>): ReadonlyArray<CollectionEntry> => {
  if (names.length + 1 !== root.length) {
    throw new Malformed(`the collection has ${names.length} names for ${root.length - 1} blobs`)
  }
  return names.map((name, i) => ({ name, hash: root.at(i + 1) }))
}

/**
 * The parts of the path under which an entry may be written to disk. Throws {@link Malformed} for a name that would
 * leave the target folder or cannot be a file on every system: empty parts, `.` and `..`, absolute paths, drive letters,
 * backslashes, control characters.
 */
export const safePath = (name: string): ReadonlyArray<string> => {
  const parts = name.split("/")
  const unsafe = parts.some(
    (part) => part === "" || part === "." || part === ".." || /[\\:]/.test(part) || hasControl(part)
  )
  if (unsafe)
    throw new Malformed(
      `"${JSON.stringify(name).slice(1, -1)}" is not a safe relative path; export this entry by its hash`
    )
  return parts
}

const hasControl = (text: string): boolean => [...text].some((c) => c < " " || c === "\u007f")
