/**
 * Which entries of a document, and in which order.
 *
 * @since 0.1.0
 */
import * as AuthorId from "./AuthorId.ts"
import type * as DownloadPolicy from "./DownloadPolicy.ts"
import * as Bytes from "./proto/Bytes.ts"
import * as Entry from "./proto/Entry.ts"
import type { EntrySet } from "./proto/EntrySet.ts"

/** Which entries, and in which order. Without anything: all that are no deletions, by author and then by key. @since 0.1.0 */
export interface Query {
  /** Default: entries of every author. */
  readonly author?: AuthorId.AuthorId | undefined
  /** Default: entries under every key. */
  readonly key?: DownloadPolicy.KeyFilter | undefined
  /**
   * Only the latest entry under each key, in the order of the keys: that with the greatest timestamp, of equal ones that of
   * the author with the least id. A key whose latest entry is a deletion is left out.
   */
  readonly latestPerKey?: boolean | undefined
  /** `author`, the default, sorts by author and then by key; `key` by key and then by author. */
  readonly sort?: "author" | "key" | undefined
  /** Default `ascending`. */
  readonly direction?: "ascending" | "descending" | undefined
  /** Whether marks of deletions are wanted too. Default false. */
  readonly includeDeleted?: boolean | undefined
  /** At most so many. Default: all. */
  readonly limit?: number | undefined
  /** Leaves out the first so many. Default 0. */
  readonly offset?: number | undefined
}

/** Runs a query on a set of entries; `authors` are all that have entries in it. */
export function* run(
  set: EntrySet,
  namespace: Uint8Array,
  authors: ReadonlyArray<Uint8Array>,
  query: Query
): Generator<Entry.SignedEntry> {
  const wanted = selected(set, namespace, authors, query)
  const { includeDeleted = false, limit = Infinity, offset = 0 } = query
  let seen = 0
  let given = 0
  if (limit <= 0) return
  for (const entry of wanted) {
    if (!includeDeleted && Entry.isTombstone(entry)) continue
    if (seen++ < offset) continue
    yield entry
    if (++given >= limit) return
  }
}

/** Entries that pass the filters, in the order of the query. */
const selected = (
  set: EntrySet,
  namespace: Uint8Array,
  authors: ReadonlyArray<Uint8Array>,
  query: Query
): Iterable<Entry.SignedEntry> => {
  const asked = query.author === undefined ? authors : [AuthorId.toBytes(query.author)]
  const runs = asked.toSorted(Bytes.compare).map((author) => ofAuthor(set, namespace, author, query.key))
  const byKey = query.latestPerKey === true || query.sort === "key"
  const inOrder = byKey ? mergeByKey(runs) : concat(runs)
  const chosen = query.latestPerKey === true ? latest(inOrder) : inOrder
  return query.direction === "descending" ? [...chosen].reverse() : chosen
}

/** The entries of one author under the keys of a filter, ascending. */
const ofAuthor = (
  set: EntrySet,
  namespace: Uint8Array,
  author: Uint8Array,
  key: DownloadPolicy.KeyFilter | undefined
): Iterable<Entry.SignedEntry> => {
  const prefix = key === undefined ? new Uint8Array() : Bytes.of("exact" in key ? key.exact : key.prefix)
  const from = Entry.identifier(namespace, author, prefix)
  if (key === undefined || !("exact" in key)) return set.scan(from, Bytes.afterPrefix(from))
  const found = set.get(from)
  return found === undefined ? [] : [found]
}

function* concat(runs: ReadonlyArray<Iterable<Entry.SignedEntry>>): Generator<Entry.SignedEntry> {
  for (const run of runs) yield* run
}

/** Merges runs that are sorted by key, those under the same key in the order of the runs. */
function* mergeByKey(runs: ReadonlyArray<Iterable<Entry.SignedEntry>>): Generator<Entry.SignedEntry> {
  const heads: Array<{ readonly run: Iterator<Entry.SignedEntry>; readonly place: number; entry: Entry.SignedEntry }> =
    []
  const isBefore = (a: (typeof heads)[number], b: (typeof heads)[number]): boolean =>
    (Bytes.compare(Entry.keyOf(a.entry), Entry.keyOf(b.entry)) || a.place - b.place) < 0
  const sink = (from: number) => {
    for (let at = from; ;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heads.length && isBefore(heads[child]!, heads[least]!)) least = child
      }
      if (least === at) return
      ;[heads[at], heads[least]] = [heads[least]!, heads[at]!]
      at = least
    }
  }
  for (const [place, each] of runs.entries()) {
    const run = each[Symbol.iterator]()
    const first = run.next()
    if (first.done !== true) heads.push({ run, place, entry: first.value })
  }
  for (let i = heads.length >> 1; i >= 0; i--) sink(i)
  while (heads.length > 0) {
    const head = heads[0]!
    yield head.entry
    const next = head.run.next()
    if (next.done === true) {
      const last = heads.pop()!
      if (heads.length > 0) heads[0] = last
    } else head.entry = next.value
    sink(0)
  }
}

/** The latest of the entries under each key, of entries that are sorted by key and author. */
function* latest(entries: Iterable<Entry.SignedEntry>): Generator<Entry.SignedEntry> {
  let best: Entry.SignedEntry | undefined
  for (const entry of entries) {
    if (best === undefined || !Bytes.equal(Entry.keyOf(best), Entry.keyOf(entry))) {
      if (best !== undefined) yield best
      best = entry
    } else if (entry.timestamp > best.timestamp) best = entry
  }
  if (best !== undefined) yield best
}
