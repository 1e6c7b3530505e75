/** Entries that come from peers: checked, stored, told about. */
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { DocEntry } from "../DocEntry.ts"
import { InvalidEntry } from "../DocsError.ts"
import type { Refused } from "../DocEvent.ts"
import * as DownloadPolicy from "../DownloadPolicy.ts"
import * as Bytes from "../proto/Bytes.ts"
import * as Entry from "../proto/Entry.ts"
import * as Signature from "../proto/Signature.ts"
import type * as SyncMessage from "../proto/SyncMessage.ts"
import * as Validation from "../proto/Validation.ts"
import type { OpenDocument } from "./replica.ts"

/** Signatures that are verified at a time, so that others have their turn. */
const BATCH = 64

export type Counts = { -readonly [Reason in keyof Refused]: number }

export const noRefusals = (): Counts => ({ document: 0, key: 0, inconsistent: 0, future: 0, signature: 0 })

/** Microseconds since the Unix epoch. */
export const nowMicros: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, (millis) => millis * 1000)

/** The values that are good; the others are counted. */
export const checked = Effect.fnUntraced(function* (
  document: OpenDocument,
  values: ReadonlyArray<SyncMessage.Value>,
  refused: Counts
): Effect.fn.Return<ReadonlyArray<SyncMessage.Value>> {
  const now = yield* nowMicros
  const good: Array<SyncMessage.Value> = []
  for (let start = 0; start < values.length; start += BATCH) {
    const batch = values.slice(start, start + BATCH)
    const reasons = yield* Effect.promise(() => Promise.all(batch.map(({ entry }) => refusalOf(document, entry, now))))
    for (const [i, value] of batch.entries()) {
      const reason = reasons[i]
      if (reason === undefined) good.push({ ...value, entry: Entry.compact(value.entry) })
      else refused[reason]++
    }
  }
  return good
})

/** Fails when an entry is not good. */
export const check = Effect.fnUntraced(function* (
  document: OpenDocument,
  entry: Entry.SignedEntry
): Effect.fn.Return<void, InvalidEntry> {
  const now = yield* nowMicros
  const reason = yield* Effect.promise(() => refusalOf(document, entry, now))
  if (reason !== undefined) return yield* new InvalidEntry(refusals[reason])
})

const refusalOf = async (
  { stored }: OpenDocument,
  entry: Entry.SignedEntry,
  now: number
): Promise<Validation.Refusal | undefined> => {
  const reason = Validation.check(entry, stored.namespace, now)
  if (reason !== undefined || isKnown(stored.entries.get(entry.id), entry)) return reason
  return (await Signature.verifyEntryAsync(entry)) ? undefined : "signature"
}

/** What an entry that is refused is told by. */
export const refusals = {
  document: { reason: "OtherDocument", detail: "the entry is of another document" },
  key: { reason: "KeyTooLong", detail: `a key has at most ${Validation.MAX_KEY_SIZE} bytes` },
  inconsistent: { reason: "Inconsistent", detail: "the entry's size and hash contradict each other" },
  future: { reason: "InFuture", detail: "the entry's time is more than 10 minutes ahead of this node's clock" },
  signature: { reason: "BadSignature", detail: "a signature of the entry is wrong" }
} as const

/** Whether it is the very entry that was checked before. */
const isKnown = (known: Entry.SignedEntry | undefined, entry: Entry.SignedEntry): boolean =>
  known !== undefined &&
  known.timestamp === entry.timestamp &&
  known.length === entry.length &&
  Bytes.equal(known.hash, entry.hash)

/** Notes entries that are in the set now, and answers the contents that are to be fetched. */
export const note = (
  document: OpenDocument,
  values: ReadonlyArray<SyncMessage.Value>,
  here: ReadonlySet<string>
): ReadonlyArray<BlobHash.BlobHash> => {
  const { stored } = document
  const wanted: Array<BlobHash.BlobHash> = []
  for (const { content, entry } of values) {
    document.inserted(entry)
    if (Entry.isTombstone(entry)) continue
    const hash = BlobHash.fromBytes(entry.hash)
    if (here.has(hash)) {
      stored.setMissing(hash, undefined)
      continue
    }
    const admitted = DownloadPolicy.admits(stored.policy, Entry.keyOf(entry), entry.length)
    stored.setMissing(hash, admitted ? "wanted" : "unwanted")
    if (admitted && content === "complete") wanted.push(hash)
  }
  return wanted
}

/** Tells the subscribers about entries that came from a peer, once they are durable. */
export const announce = (
  { stored, subscribers }: OpenDocument,
  from: EndpointId,
  entries: ReadonlyArray<Entry.SignedEntry>
): void => {
  if (subscribers.size === 0) return
  for (const entry of entries) {
    const contentHere = !stored.isMissing(Bytes.hex(entry.hash))
    subscribers.publish({ _tag: "InsertRemote", entry: new DocEntry(entry), from, contentHere })
  }
}
