/**
 * Range-based set reconciliation of one document with one peer: a message in, the answer out. iroh-docs wire, set
 * reconciliation.
 */
import * as Bytes from "./Bytes.ts"
import * as Entry from "./Entry.ts"
import { type EntrySet, xorInto } from "./EntrySet.ts"
import { type DeletionRule, put, type PutResult } from "./Replica.ts"
import type { ContentStatus, Part, Range, RangeFingerprint, RangeItem, Value } from "./SyncMessage.ts"

/** What a session works with. */
export interface ReconcilerOptions {
  readonly set: EntrySet
  readonly deletions: DeletionRule
  /** What is here of an entry's content. */
  readonly contentStatus: (entry: Entry.SignedEntry) => ContentStatus
  /** Bytes that the entries of one answer may take, but at least one goes; what is left is asked about piece by piece. */
  readonly maxBytes: number
  /** Bytes of a whole answer. */
  readonly maxReply: number
}

/** What the peer asks would take a longer answer than is allowed. */
export class ReplyTooLarge extends Error {
  constructor() {
    super("the answer to the peer's message would be too large")
  }
}

/** An entry that came in, and what became of it. */
export interface Received {
  readonly value: Value
  readonly result: PutResult
}

/** What a message led to. */
export interface Processed {
  /** The answer; without parts there is none, and this side has nothing more to say. */
  readonly reply: ReadonlyArray<Part>
  readonly received: ReadonlyArray<Received>
  /** Entries in the answer. */
  readonly sent: number
}

/** What a session begins with: the fingerprint of everything. */
export const initialMessage = (set: EntrySet): ReadonlyArray<Part> => {
  const x = set.at(0)?.id ?? new Uint8Array(Entry.PREFIX_SIZE)
  return [fingerprintPart(set, { x, y: x })]
}

/**
 * Processes a message. Its entries must be checked already: wrong ones left out. What a part with `haveLocal` false asks
 * for is determined before anything of that part is put into the set.
 */
export const process = (options: ReconcilerOptions, parts: ReadonlyArray<Part>): Processed => {
  const answer = new Answer(options)
  const received: Array<Received> = []
  for (const part of parts) {
    if (part._tag !== "RangeItem") continue
    const wanted = part.haveLocal ? undefined : notAmong(part.values)
    if (wanted === undefined) store(options, part, received)
    else {
      const mine = new Slice(options, part.range, answer.left)
      const entries = mine.entries.filter(wanted)
      store(options, part, received)
      answer.items(part.range, entries, mine, true)
    }
  }
  for (const part of parts) if (part._tag === "RangeFingerprint") compare(options, part, answer)
  return { reply: answer.parts, received, sent: answer.sent }
}

const store = ({ deletions, set }: ReconcilerOptions, { values }: RangeItem, received: Array<Received>): void => {
  for (const value of values) received.push({ value, result: put(set, value.entry, deletions) })
}

/** Selects the entries for which there is no equal or better record among `values`. */
const notAmong = (values: ReadonlyArray<Value>) => {
  const theirs = new Map(values.map(({ entry }) => [nameOf(entry), entry]))
  return (entry: Entry.SignedEntry): boolean => {
    if (theirs.size === 0) return true
    const other = theirs.get(nameOf(entry))
    return other === undefined || Entry.compareRecords(other, entry) < 0
  }
}

const nameOf = ({ id }: Entry.Entry): string => {
  let name = ""
  // Document ids are all the same.
  for (let i = Entry.ID_SIZE; i < id.length; i++) name += String.fromCharCode(id[i]!)
  return name
}

/** Answers a fingerprint: with nothing when it is ours too, with entries when there are few, else with finer questions. */
const compare = (
  { set, ...options }: ReconcilerOptions,
  { fingerprint, range }: RangeFingerprint,
  answer: Answer
): void => {
  const own = summary(set, range)
  if (Bytes.equal(own.fingerprint, fingerprint)) return
  if (own.count <= 1 || Bytes.equal(fingerprint, Entry.EMPTY_HASH)) {
    const mine = new Slice({ set, ...options }, range, answer.left)
    return answer.items(range, mine.entries, mine, false)
  }
  const { x, y } = range
  const order = Bytes.compare(x, y)
  const start = order < 0 ? 0 : set.before(order === 0 ? x : y).count
  const middle = nth(set, range, (start + (own.count >> 1)) % own.count).id
  const first = nth(set, range, start % own.count).id
  const halves: ReadonlyArray<Range> =
    order === 0
      ? [
          { x: middle, y: first },
          { x: first, y: middle }
        ]
      : [
          { x, y: middle },
          { x: middle, y }
        ]
  for (const half of halves) {
    if (order === 0 && Bytes.equal(half.x, half.y)) continue
    if (summary(set, half).count > 1) answer.question(half)
    else {
      const mine = new Slice({ set, ...options }, half, answer.left)
      answer.items(half, mine.entries, mine, false)
    }
  }
}

/** The kind, two lengths, and a fingerprint or a length and a mark. */
const PART_OVERHEAD = 1 + 2 * 3 + Entry.ID_SIZE

/** The answer while it is put together. */
class Answer {
  readonly parts: Array<Part> = []
  sent = 0
  /** Bytes that further entries may take. */
  left: number
  #bytes = 0
  readonly #options: ReconcilerOptions

  constructor(options: ReconcilerOptions) {
    this.#options = options
    this.left = options.maxBytes
  }

  question(range: Range): void {
    this.#add(fingerprintPart(this.#options.set, range), 0)
  }

  #add(part: Part, entryBytes: number): void {
    this.left -= entryBytes
    this.#bytes += PART_OVERHEAD + part.range.x.length + part.range.y.length + entryBytes
    if (this.#bytes > this.#options.maxReply) throw new ReplyTooLarge()
    this.parts.push(part)
  }

  /** Adds entries of a slice of `range`, and a question about what the slice left out. */
  items(range: Range, entries: ReadonlyArray<Entry.SignedEntry>, slice: Slice, haveLocal: boolean): void {
    const { contentStatus } = this.#options
    // Nothing fits any more, so nothing is said about any part of the range either.
    if (slice.rest !== undefined && slice.entries.length === 0) return this.question(range)
    const part = slice.rest === undefined ? range : { x: range.x, y: slice.rest }
    // An answer without entries is none, unless it is what tells the peer to send its own.
    if (entries.length > 0 || !haveLocal) {
      const values = entries.map((entry) => ({ entry, content: contentStatus(entry) }))
      const bytes = entries.reduce((sum, entry) => sum + Entry.encodedSize(entry), 0)
      this.#add({ _tag: "RangeItem", range: part, values, haveLocal }, bytes)
    }
    this.sent += entries.length
    if (slice.rest !== undefined) this.question({ x: slice.rest, y: range.y })
  }
}

/**
 * The entries of a range, as many as fit in `maxBytes`, but at least one unless nothing is left of it. When some are left out
 * they are those from `rest` on, in the circular order that starts at the range's `x`.
 */
class Slice {
  readonly entries: ReadonlyArray<Entry.SignedEntry>
  readonly rest: Uint8Array | undefined

  constructor({ set }: ReconcilerOptions, range: Range, maxBytes: number) {
    const { x, y } = range
    const order = Bytes.compare(x, y)
    const begin = new Uint8Array()
    const inOrder = order < 0 ? [set.scan(x, y)] : order === 0 ? [set.scan(begin)] : [set.scan(begin, y), set.scan(x)]
    const all = take(inOrder, maxBytes)
    this.entries = all.entries
    if (all.rest !== undefined && order >= 0) {
      // Only the part from `x` on can be cut off as a range of its own.
      const circular = take([set.scan(x), set.scan(begin, y)], maxBytes)
      this.entries = circular.entries
      this.rest = circular.rest
    } else this.rest = all.rest
  }
}

const take = (runs: ReadonlyArray<Iterable<Entry.SignedEntry>>, maxBytes: number) => {
  const entries: Array<Entry.SignedEntry> = []
  let bytes = 0
  for (const run of runs) {
    for (const entry of run) {
      bytes += Entry.encodedSize(entry)
      if (bytes > maxBytes && (entries.length > 0 || maxBytes <= 0)) return { entries, rest: entry.id }
      entries.push(entry)
    }
  }
  return { entries, rest: undefined }
}

const fingerprintPart = (set: EntrySet, range: Range): Part => ({
  _tag: "RangeFingerprint",
  range,
  fingerprint: summary(set, range).fingerprint
})

/** How many entries a range has, and their fingerprint. */
export const summary = (
  set: EntrySet,
  { x, y }: Range
): { readonly count: number; readonly fingerprint: Uint8Array } => {
  const order = Bytes.compare(x, y)
  const fingerprint = Bytes.copy(Entry.EMPTY_HASH)
  let count = 0
  if (order >= 0) {
    const all = set.before()
    count = all.count
    xorInto(fingerprint, all.xor)
  }
  if (order !== 0) {
    const [low, high] = [set.before(x), set.before(y)]
    count += high.count - low.count
    xorInto(xorInto(fingerprint, low.xor), high.xor)
  }
  return { count, fingerprint }
}

/** The entry at a position in a range: ascending, but of a range that wraps around first what is before `y`. */
const nth = (set: EntrySet, { x, y }: Range, index: number): Entry.SignedEntry => {
  const order = Bytes.compare(x, y)
  const front = order === 0 ? Infinity : order > 0 ? set.before(y).count : 0
  const position = index < front ? index : set.before(x).count + index - front
  return set.at(position)!
}
