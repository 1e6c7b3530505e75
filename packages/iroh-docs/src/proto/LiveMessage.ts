/** What members of a document's topic tell each other. iroh-docs wire, gossip operations. */
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import * as Bytes from "./Bytes.ts"
import * as Entry from "./Entry.ts"

/** The time of an author's latest entry. */
export interface Head {
  /** 64 hex digits. */
  readonly author: string
  /** Microseconds since the Unix epoch. */
  readonly timestamp: number
}

/**
 * | message | meaning |
 * |---|---|
 * | `Put` | an entry was written |
 * | `ContentReady` | the sender has got the content of this hash |
 * | `SyncReport` | the sender has got entries; these are the latest of each author there |
 */
export type LiveMessage =
  | { readonly _tag: "Put"; readonly entry: Entry.SignedEntry }
  | { readonly _tag: "ContentReady"; readonly hash: Uint8Array }
  | { readonly _tag: "SyncReport"; readonly namespace: Uint8Array; readonly heads: ReadonlyArray<Head> }

/** The least that a head takes on the wire. */
const MIN_HEAD_SIZE = 1 + Entry.ID_SIZE
/** The most: a timestamp of ten bytes. */
const MAX_HEAD_SIZE = 10 + Entry.ID_SIZE
/** What a report takes beside its heads. */
const REPORT_OVERHEAD = 1 + Entry.ID_SIZE + 2 + 2

/** A message; of the heads of a report as many of the newest as fit into `maxSize` bytes. */
export const encode = (message: LiveMessage, maxSize: number): Uint8Array => {
  const writer = new PostcardWriter()
  switch (message._tag) {
    case "Put":
      writer.byte(0)
      Entry.write(writer, message.entry)
      break
    case "ContentReady":
      writer.byte(1).raw(message.hash)
      break
    case "SyncReport": {
      const room = Math.max(0, Math.floor((maxSize - REPORT_OVERHEAD) / MAX_HEAD_SIZE))
      const heads = encodeHeads(message.heads.toSorted((a, b) => b.timestamp - a.timestamp).slice(0, room))
      writer.byte(2).raw(message.namespace).varint(heads.length).raw(heads)
    }
  }
  return writer.finish()
}

const encodeHeads = (heads: ReadonlyArray<Head>): Uint8Array => {
  const writer = new PostcardWriter().varint(heads.length)
  for (const { author, timestamp } of heads) writer.varint(timestamp).raw(Uint8Array.from(Buffer.from(author, "hex")))
  return writer.finish()
}

/** Reads a message. Throws {@link Malformed}. */
export const decode = (bytes: Uint8Array): LiveMessage => {
  const reader = new PostcardReader(bytes)
  switch (reader.varint()) {
    case 0:
      return { _tag: "Put", entry: Entry.read(reader) }
    case 1:
      return { _tag: "ContentReady", hash: reader.take(Entry.ID_SIZE) }
    case 2: {
      const namespace = reader.take(Entry.ID_SIZE)
      return { _tag: "SyncReport", namespace, heads: decodeHeads(reader.take(reader.varint())) }
    }
    default:
      throw new Malformed("the message is of an unknown kind")
  }
}

const decodeHeads = (bytes: Uint8Array): ReadonlyArray<Head> => {
  const reader = new PostcardReader(bytes)
  return Array.from({ length: reader.length(MIN_HEAD_SIZE) }, () => {
    const timestamp = Number(reader.bigVarint())
    return { timestamp, author: Bytes.hex(reader.take(Entry.ID_SIZE)) }
  })
}

/** Whether somebody with these heads has entries that somebody with those does not have. */
export const hasNews = (heads: ReadonlyArray<Head>, known: ReadonlyMap<string, number>): boolean =>
  heads.some(({ author, timestamp }) => timestamp > (known.get(author) ?? -1))
