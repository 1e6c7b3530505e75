/** How an entry gets into a document. iroh-docs wire, replica rules. */
import * as Bytes from "./Bytes.ts"
import { compareRecords, isTombstone, keyOf, PREFIX_SIZE, type SignedEntry } from "./Entry.ts"
import type { EntrySet } from "./EntrySet.ts"

/**
 * What a deletion means for entries that are older and come later: `final` keeps them out. `reference` lets them in, as
 * iroh-docs up to 0.101 does, so that a peer that still has them brings them back.
 */
export type DeletionRule = "final" | "reference"

/** What became of an entry: it is in the set instead of those it `replaced`, or there is a `newer` one that rules it out. */
export type PutResult =
  | { readonly _tag: "Inserted"; readonly replaced: ReadonlyArray<SignedEntry> }
  | { readonly _tag: "Superseded"; readonly newer: SignedEntry }

/**
 * Puts an entry into the set. An entry rules over all of its author's whose key starts with its own: it takes the place of
 * those that are not newer, and is refused where one of these rules over it.
 */
export const put = (set: EntrySet, entry: SignedEntry, rule: DeletionRule): PutResult => {
  const newer = ruling(set, entry, rule)
  if (newer !== undefined) return { _tag: "Superseded", newer }
  const replaced: Array<SignedEntry> = []
  for (const other of set.scan(entry.id, Bytes.afterPrefix(entry.id))) {
    if (compareRecords(other, entry) <= 0 || other.id.length === entry.id.length) replaced.push(other)
  }
  for (const other of replaced) set.remove(other)
  set.add(entry)
  return { _tag: "Inserted", replaced }
}

/** The entry of the same author that has a prefix of this one's key, or the same, and is not older. */
const ruling = (set: EntrySet, entry: SignedEntry, rule: DeletionRule): SignedEntry | undefined => {
  for (const other of prefixes(set, entry.id)) {
    if (compareRecords(other, entry) < 0) continue
    if (rule === "final" || (!isTombstone(other) && keyOf(other).length > 0)) return other
  }
  return undefined
}

/** The entries whose identifiers `id` starts with, the longest first. */
export function* prefixes(set: EntrySet, id: Uint8Array): Generator<SignedEntry> {
  for (let length = id.length; length >= PREFIX_SIZE;) {
    const candidate = set.floor(id.subarray(0, length))
    if (candidate === undefined) return
    const common = Bytes.commonPrefix(candidate.id, id)
    if (common === candidate.id.length) yield candidate
    // Whatever lies between the candidate and `id` is no prefix, so a shorter one has at most what they have in common.
    length = Math.min(common, candidate.id.length - 1)
  }
}
