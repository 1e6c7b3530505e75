/** Messages of a sync session and their frames. iroh-docs wire, set reconciliation and sync session. */
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import * as Entry from "./Entry.ts"

/** Whether the sender of an entry has its content: all, a part, or nothing of it. */
export type ContentStatus = "complete" | "incomplete" | "missing"

const statuses: ReadonlyArray<ContentStatus> = ["complete", "incomplete", "missing"]

/** From `x` to before `y`; all identifiers when they are equal; before `y` and from `x` on when `y` is the smaller one. */
export interface Range {
  readonly x: Uint8Array
  readonly y: Uint8Array
}

/** Asks whether the peer has the same entries in a range. */
export interface RangeFingerprint {
  readonly _tag: "RangeFingerprint"
  readonly range: Range
  readonly fingerprint: Uint8Array
}

/** An entry with what its sender has of the content. */
export interface Value {
  readonly entry: Entry.SignedEntry
  readonly content: ContentStatus
}

/** Entries of a range. With `haveLocal` false, those of the receiver that are not among them are wanted in return. */
export interface RangeItem {
  readonly _tag: "RangeItem"
  readonly range: Range
  readonly values: ReadonlyArray<Value>
  readonly haveLocal: boolean
}

export type Part = RangeFingerprint | RangeItem

/** Why a session is refused. */
export type AbortReason = "notFound" | "alreadySyncing" | "internalServerError"

const reasons: ReadonlyArray<AbortReason> = ["notFound", "alreadySyncing", "internalServerError"]

export type SyncMessage =
  | { readonly _tag: "Init"; readonly namespace: Uint8Array; readonly parts: ReadonlyArray<Part> }
  | { readonly _tag: "Sync"; readonly parts: ReadonlyArray<Part> }
  | { readonly _tag: "Abort"; readonly reason: AbortReason }

/** Bytes in front of a frame that say its length. */
export const FRAME_HEADER = 4

/** The length that a frame's header announces. */
export const frameLength = (header: Uint8Array): number =>
  new DataView(header.buffer, header.byteOffset, FRAME_HEADER).getUint32(0)

/** A message in its frame. */
export const encodeFrame = (message: SyncMessage): Uint8Array => {
  const writer = new PostcardWriter().raw(new Uint8Array(FRAME_HEADER))
  write(writer, message)
  const frame = writer.finish()
  new DataView(frame.buffer).setUint32(0, frame.length - FRAME_HEADER)
  return frame
}

const write = (writer: PostcardWriter, message: SyncMessage): void => {
  switch (message._tag) {
    case "Init":
      writer.byte(0).raw(message.namespace)
      return writeParts(writer, message.parts)
    case "Sync":
      writer.byte(1)
      return writeParts(writer, message.parts)
    case "Abort":
      writer.byte(2).byte(reasons.indexOf(message.reason))
  }
}

export const writeParts = (writer: PostcardWriter, parts: ReadonlyArray<Part>): void => {
  writer.varint(parts.length)
  for (const part of parts) {
    writer.byte(part._tag === "RangeFingerprint" ? 0 : 1)
    for (const bound of [part.range.x, part.range.y]) writer.varint(bound.length).raw(bound)
    if (part._tag === "RangeFingerprint") writer.raw(part.fingerprint)
    else {
      writer.varint(part.values.length)
      for (const { content, entry } of part.values) {
        Entry.write(writer, entry)
        writer.byte(statuses.indexOf(content))
      }
      writer.byte(part.haveLocal ? 1 : 0)
    }
  }
}

/** Reads the content of a frame, as views of it. Throws {@link Malformed}. */
export const decode = (bytes: Uint8Array): SyncMessage => {
  const reader = new PostcardReader(bytes)
  switch (reader.varint()) {
    case 0:
      return { _tag: "Init", namespace: reader.take(Entry.ID_SIZE), parts: readParts(reader) }
    case 1:
      return { _tag: "Sync", parts: readParts(reader) }
    case 2:
      return { _tag: "Abort", reason: choice(reader, reasons, "reason") }
    default:
      throw new Malformed("the message is of an unknown kind")
  }
}

/** The least that a part takes on the wire: its kind, two bounds, no values, and whether they are an answer. */
const MIN_PART_SIZE = 1 + 2 * (1 + Entry.PREFIX_SIZE) + 2

export const readParts = (reader: PostcardReader): ReadonlyArray<Part> =>
  Array.from({ length: reader.length(MIN_PART_SIZE) }, () => readPart(reader))

const readPart = (reader: PostcardReader): Part => {
  const kind = reader.varint()
  if (kind > 1) throw new Malformed("a part of the message is of an unknown kind")
  const range = { x: readBound(reader), y: readBound(reader) }
  if (kind === 0) return { _tag: "RangeFingerprint", range, fingerprint: reader.take(Entry.ID_SIZE) }
  const values = Array.from({ length: reader.length(Entry.MIN_ENCODED_SIZE + 1) }, (): Value => ({
    entry: Entry.read(reader),
    content: choice(reader, statuses, "content status")
  }))
  return { _tag: "RangeItem", range, values, haveLocal: choice(reader, [false, true], "answer mark") }
}

const readBound = (reader: PostcardReader): Uint8Array => {
  const bound = reader.take(reader.varint())
  if (bound.length < Entry.PREFIX_SIZE) throw new Malformed("a bound is shorter than an identifier")
  return bound
}

const choice = <A>(reader: PostcardReader, of: ReadonlyArray<A>, what: string): A => {
  const index = reader.varint()
  if (index >= of.length) throw new Malformed(`the ${what} is of an unknown kind`)
  return of[index]!
}
