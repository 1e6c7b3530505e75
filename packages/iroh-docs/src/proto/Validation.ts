/** Which entries of others are taken. iroh-docs wire, validation of remote entries. */
import * as Bytes from "./Bytes.ts"
import * as Entry from "./Entry.ts"

/** Longest key in bytes: an entry must fit into a gossip message. */
export const MAX_KEY_SIZE = 2048

/** How far the clock of an author may be ahead of ours, in microseconds: 10 minutes. */
export const MAX_AHEAD_MICROS = 600_000_000

/**
 * Why an entry is refused: it is of another document, its key is too long, its length and hash contradict each other, its
 * time is in the future, or a signature is wrong.
 */
export type Refusal = "document" | "key" | "inconsistent" | "future" | "signature"

/** Everything but the signatures. */
export const check = (entry: Entry.SignedEntry, namespace: Uint8Array, nowMicros: number): Refusal | undefined => {
  if (!Bytes.equal(Entry.namespaceOf(entry), namespace)) return "document"
  if (entry.id.length > Entry.PREFIX_SIZE + MAX_KEY_SIZE) return "key"
  if (entry.length === Infinity || !Entry.isConsistent(entry)) return "inconsistent"
  if (entry.timestamp > nowMicros + MAX_AHEAD_MICROS) return "future"
  return undefined
}
