/** The entries of one document in the order of their identifiers. */
import type { SignedEntry } from "./Entry.ts"

/** The number of some entries and the XOR of their fingerprints. */
export interface Summary {
  readonly count: number
  /** 32 bytes; not to be changed. */
  readonly xor: Uint8Array
}

/**
 * An ordered set of entries that knows the summary of every range of them: each operation but `scan` takes time that
 * grows with the logarithm of their number. Identifiers that are asked for may be anything; nothing is found outside the
 * document.
 */
export interface EntrySet {
  readonly get: (id: Uint8Array) => SignedEntry | undefined
  /** The entry with the greatest identifier not above `id`. */
  readonly floor: (id: Uint8Array) => SignedEntry | undefined
  /** Entries from `from` to before `to` (default: the end), ascending. The set must not be changed meanwhile. */
  readonly scan: (from: Uint8Array, to?: Uint8Array) => Iterable<SignedEntry>
  /** What is before `id`; of all without one. */
  readonly before: (id?: Uint8Array) => Summary
  /** The entry that `index` others come before. */
  readonly at: (index: number) => SignedEntry | undefined
  /** Adds an entry whose identifier is not in the set. */
  readonly add: (entry: SignedEntry) => void
  /** Removes an entry of the set. */
  readonly remove: (entry: SignedEntry) => void
}

/** XORs `that` into `self`. */
export const xorInto = (self: Uint8Array, that: Uint8Array): Uint8Array => {
  for (let i = 0; i < self.length; i++) self[i]! ^= that[i]!
  return self
}
