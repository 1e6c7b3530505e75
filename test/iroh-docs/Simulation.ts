/** Replicas that write, sync, lose messages and are cut off from each other, all of it decided by a seed. */
import * as Bytes from "../../packages/iroh-docs/src/proto/Bytes.ts"
import * as Entry from "../../packages/iroh-docs/src/proto/Entry.ts"
import type { EntrySet } from "../../packages/iroh-docs/src/proto/EntrySet.ts"
import * as Reconciler from "../../packages/iroh-docs/src/proto/Reconciler.ts"
import { put } from "../../packages/iroh-docs/src/proto/Replica.ts"
import type * as SyncMessage from "../../packages/iroh-docs/src/proto/SyncMessage.ts"

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
export const randomOf = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

export const NAMESPACE = new Uint8Array(32).fill(7)
const SIGNATURE = new Uint8Array(64)
const HASHES = [1, 2, 3, 4].map((byte) => new Uint8Array(32).fill(byte * 60))

/** An unsigned entry: reconciliation takes what was checked before. */
export const entryOf = (
  author: number,
  key: string,
  timestamp: number,
  content: number | undefined
): Entry.SignedEntry => ({
  id: Entry.identifier(NAMESPACE, new Uint8Array(32).fill(author + 1), Bytes.of(key)),
  timestamp,
  length: content === undefined ? 0 : 5,
  hash: content === undefined ? Entry.EMPTY_HASH : HASHES[content]!,
  authorSignature: SIGNATURE,
  namespaceSignature: SIGNATURE
})

/** What must be left of all that was ever written: what nothing rules over that is newer and whose key it starts with. */
export const reference = (written: ReadonlyArray<Entry.SignedEntry>): ReadonlyArray<Entry.SignedEntry> =>
  written
    .filter((entry, i) =>
      written.every((other, j) => {
        if (i === j || !Bytes.startsWith(entry.id, other.id)) return true
        const order = Entry.compareRecords(other, entry)
        return order < 0 || (order === 0 && other.id.length === entry.id.length && j > i)
      })
    )
    .toSorted((a, b) => Bytes.compare(a.id, b.id))

interface Session {
  readonly from: number
  readonly to: number
  parts: ReadonlyArray<SyncMessage.Part>
}

/** What came out of a run. */
export interface Outcome {
  readonly replicas: ReadonlyArray<EntrySet>
  readonly written: ReadonlyArray<Entry.SignedEntry>
  readonly messages: number
}

const KEYS = ["", "a", "ab", "abc", "abd", "b", "b/1", "b/2", "c", "ca", "\u{ff}", "\u{ff}\u{ff}"]

export const run = (seed: number, makeSet: (random: () => number) => EntrySet): Outcome => {
  const random = randomOf(seed)
  const below = (n: number) => Math.floor(random() * n)
  const count = 2 + below(7)
  const replicas = Array.from({ length: count }, () => makeSet(random))
  // Clocks differ by up to a second, and each replica writes as one of two authors of its own.
  const skew = replicas.map(() => below(1000))
  const heads = new Map<number, number>()
  const written: Array<Entry.SignedEntry> = []
  const puts: Array<{ readonly to: number; readonly entry: Entry.SignedEntry }> = []
  let sessions: Array<Session> = []
  let partition = replicas.map(() => 0)
  let messages = 0
  const maxBytes = random() < 0.5 ? 1 << 20 : 1 + below(2000)

  const process = (replica: number, parts: ReadonlyArray<SyncMessage.Part>) => {
    messages++
    const set = replicas[replica]!
    return Reconciler.process(
      { set, deletions: "final", contentStatus: () => "missing", maxBytes, maxReply: 1 << 24 },
      parts
    ).reply
  }
  const connected = (a: number, b: number) => partition[a] === partition[b]

  const write = (now: number) => {
    const replica = below(count)
    const author = 2 * replica + below(2)
    // Times of an author only grow, but replicas write many entries in the same microsecond.
    const timestamp = Math.max(now + skew[replica]!, heads.get(author) ?? 0) + (random() < 0.3 ? 0 : 1)
    const entry = entryOf(author, KEYS[below(KEYS.length)]!, timestamp, random() < 0.25 ? undefined : below(4))
    if (put(replicas[replica]!, entry, "final")._tag === "Superseded") return
    heads.set(author, timestamp)
    written.push(entry)
    for (let to = 0; to < count; to++) if (to !== replica && random() < 0.5) puts.push({ to, entry })
  }

  const step = (session: Session): Session | undefined => {
    const parts = process(session.to, session.parts)
    return parts.length === 0 ? undefined : { from: session.to, to: session.from, parts }
  }

  for (let now = 0, steps = 10 + below(40); now < steps; now++) {
    const choice = random()
    if (choice < 0.45) write(now)
    else if (choice < 0.55) partition = replicas.map(() => below(3))
    else if (choice < 0.7 && puts.length > 0) {
      const { entry, to } = puts.splice(below(puts.length), 1)[0]!
      if (random() < 0.8) put(replicas[to]!, entry, "final")
    } else if (choice < 0.8) {
      const [from, to] = [below(count), below(count)]
      if (from !== to && connected(from, to)) {
        sessions.push({ from, to, parts: Reconciler.initialMessage(replicas[from]!) })
      }
    } else if (sessions.length > 0) {
      const i = below(sessions.length)
      const session = sessions.splice(i, 1)[0]!
      // A message may be lost, and with it the session.
      const next = connected(session.from, session.to) && random() < 0.95 ? step(session) : undefined
      if (next !== undefined) sessions.push(next)
    }
  }
  // Everybody meets again: along a chain and back, which takes every entry everywhere.
  const order = replicas.map((_, i) => i).toSorted(() => random() - 0.5)
  sessions = []
  for (const chain of [order, order.toReversed()]) {
    for (let i = 1; i < chain.length; i++) {
      let session: Session | undefined = {
        from: chain[i - 1]!,
        to: chain[i]!,
        parts: Reconciler.initialMessage(replicas[chain[i - 1]!]!)
      }
      for (let rounds = 0; session !== undefined; rounds++) {
        if (rounds > 500) throw new Error(`seed ${seed}: the session does not end`)
        session = step(session)
      }
    }
  }
  return { replicas, written, messages }
}
