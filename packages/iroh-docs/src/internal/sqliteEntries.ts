/**
 * The entries of a document in SQLite. A skip list of sums stands above them: on each level every sixteenth entry or so of
 * the level below begins a run, and its row has the number of entries in the run and the XOR of their fingerprints. So a
 * range costs a few rows on each level, and a change one row.
 */
import * as Bytes from "../proto/Bytes.ts"
import { fingerprint, ID_SIZE, type SignedEntry } from "../proto/Entry.ts"
import { type EntrySet, type Summary, xorInto } from "../proto/EntrySet.ts"
import type { Database, Row } from "./database.ts"

/** With a sixteenth on each level, the top one has few rows up to some millions of entries. */
const LEVELS = 5
const FANOUT = 16
const PAGE = 256

const HEAD = new Uint8Array()
const NOTHING = new Uint8Array(ID_SIZE)

const COLUMNS = "id, timestamp, length, hash, author_signature, namespace_signature"

interface Run {
  readonly id: Uint8Array
  readonly count: number
  readonly xor: Uint8Array
}

const toRun = (row: Row): Run => ({
  id: row["id"] as Uint8Array,
  count: row["count"] as number,
  xor: row["xor"] as Uint8Array
})

/** The rows that a new document needs: on each level a run that begins before everything. */
export const initialize = (db: Database, doc: number): void => {
  for (let level = 1; level <= LEVELS; level++)
    db.run("INSERT INTO sums VALUES (?, ?, ?, 0, ?)", doc, level, HEAD, NOTHING)
}

/** How high the runs go that an entry begins: nobody can foresee it. */
const randomLevel = (): number => {
  let level = 0
  while (level < LEVELS && Math.random() * FANOUT < 1) level++
  return level
}

/** The entries of document `doc`, whose id is `namespace`. Rows have identifiers without it. */
export const sqliteEntries = (db: Database, doc: number, namespace: Uint8Array): EntrySet => {
  const toEntry = (row: Row): SignedEntry => ({
    id: Bytes.concat(namespace, row["id"] as Uint8Array),
    timestamp: row["timestamp"] as number,
    length: row["length"] as number,
    hash: row["hash"] as Uint8Array,
    authorSignature: row["author_signature"] as Uint8Array,
    namespaceSignature: row["namespace_signature"] as Uint8Array
  })

  /** Where an identifier stands: before, among or behind the document's. */
  const place = (id: Uint8Array): number => Bytes.compare(id.subarray(0, ID_SIZE), namespace)
  const rest = (id: Uint8Array): Uint8Array => id.subarray(ID_SIZE)

  const runAt = (level: number, id: Uint8Array, comparison: "<" | "<="): Run =>
    toRun(
      db.get(
        `SELECT id, count, xor FROM sums WHERE doc = ? AND level = ? AND id ${comparison} ? ORDER BY id DESC LIMIT 1`,
        doc,
        level,
        id
      )!
    )

  const setRun = (level: number, { count, id, xor }: Run): void =>
    void db.run("UPDATE sums SET count = ?, xor = ? WHERE doc = ? AND level = ? AND id = ?", count, xor, doc, level, id)

  const plus = (run: Run, count: number, ...xors: ReadonlyArray<Uint8Array>): Run => ({
    id: run.id,
    count: run.count + count,
    xor: xors.reduce(xorInto, run.xor.slice())
  })

  /** Runs of a level, or entries on level 0, from `from` to before `to`. */
  const runs = (level: number, from: Uint8Array, to: Uint8Array | undefined): ReadonlyArray<Run> => {
    const until = to === undefined ? "" : "AND id < ?"
    const bounds = to === undefined ? [from] : [from, to]
    return level === 0
      ? db
          .all(
            `SELECT id, 1 AS count, fingerprint AS xor FROM entries WHERE doc = ? AND id >= ? ${until}`,
            doc,
            ...bounds
          )
          .map(toRun)
      : db
          .all(
            `SELECT id, count, xor FROM sums WHERE doc = ? AND level = ? AND id >= ? ${until} ORDER BY id`,
            doc,
            level,
            ...bounds
          )
          .map(toRun)
  }

  const sum = (all: ReadonlyArray<Run>): Summary => {
    const xor = new Uint8Array(ID_SIZE)
    let count = 0
    for (const run of all) {
      count += run.count
      xorInto(xor, run.xor)
    }
    return { count, xor }
  }

  const countEntry = (id: Uint8Array, own: Uint8Array): void => {
    const height = randomLevel()
    for (let level = 1; level <= LEVELS; level++) {
      if (level > height) {
        setRun(level, plus(runAt(level, id, "<="), 1, own))
        continue
      }
      const previous = runAt(level, id, "<")
      const next = db.get(
        "SELECT id FROM sums WHERE doc = ? AND level = ? AND id > ? ORDER BY id LIMIT 1",
        doc,
        level,
        id
      )
      const begun = sum(runs(level - 1, id, next?.["id"] as Uint8Array | undefined))
      db.run("INSERT INTO sums VALUES (?, ?, ?, ?, ?)", doc, level, id, begun.count, begun.xor)
      setRun(level, plus(previous, 1 - begun.count, own, begun.xor))
    }
  }

  const uncountEntry = (id: Uint8Array, own: Uint8Array): void => {
    for (let level = 1; level <= LEVELS; level++) {
      const run = runAt(level, id, "<=")
      if (!Bytes.equal(run.id, id)) {
        setRun(level, plus(run, -1, own))
        continue
      }
      setRun(level, plus(runAt(level, id, "<"), run.count - 1, run.xor, own))
      db.run("DELETE FROM sums WHERE doc = ? AND level = ? AND id = ?", doc, level, id)
    }
  }

  const total = (): Summary => sum(runs(LEVELS, HEAD, undefined))

  return {
    get: (id) => {
      if (place(id) !== 0) return undefined
      const row = db.get(`SELECT ${COLUMNS} FROM entries WHERE doc = ? AND id = ?`, doc, rest(id))
      return row === undefined ? undefined : toEntry(row)
    },
    floor: (id) => {
      const at = place(id)
      if (at < 0) return undefined
      const row =
        at > 0
          ? db.get(`SELECT ${COLUMNS} FROM entries WHERE doc = ? ORDER BY id DESC LIMIT 1`, doc)
          : db.get(`SELECT ${COLUMNS} FROM entries WHERE doc = ? AND id <= ? ORDER BY id DESC LIMIT 1`, doc, rest(id))
      return row === undefined ? undefined : toEntry(row)
    },
    *scan(from, to) {
      if (place(from) > 0 || (to !== undefined && place(to) < 0)) return
      const end = to === undefined || place(to) > 0 ? undefined : rest(to)
      const sql = `SELECT ${COLUMNS} FROM entries WHERE doc = ? AND id >= ? ${end === undefined ? "" : "AND id < ?"} ORDER BY id LIMIT ${PAGE}`
      let at = place(from) < 0 ? HEAD : rest(from)
      while (true) {
        const rows = db.all(sql, doc, at, ...(end === undefined ? [] : [end]))
        for (const row of rows) yield toEntry(row)
        if (rows.length < PAGE) return
        // The least identifier after the last one is that one and a zero byte.
        at = Bytes.concat(rows[PAGE - 1]!["id"] as Uint8Array, new Uint8Array(1))
      }
    },
    before: (id) => {
      if (id === undefined || place(id) > 0) return total()
      const found: Array<Run> = []
      if (place(id) === 0) {
        const key = rest(id)
        let from: Uint8Array = HEAD
        for (let level = LEVELS; level > 0; level--) {
          const passed = runs(level, from, Bytes.concat(key, new Uint8Array(1)))
          // The last run that begins here or before is the one that the identifier falls into.
          found.push(...passed.slice(0, -1))
          from = passed.at(-1)!.id
        }
        found.push(...runs(0, from, key))
      }
      return sum(found)
    },
    at: (index) => {
      if (index < 0) return undefined
      let from: Uint8Array = HEAD
      let to: Uint8Array | undefined
      let left = index
      for (let level = LEVELS; level > 0; level--) {
        const passed = runs(level, from, to)
        let i = 0
        while (i < passed.length - 1 && left >= passed[i]!.count) left -= passed[i++]!.count
        from = passed[i]!.id
        to = passed[i + 1]?.id ?? to
      }
      const row = db.get(
        `SELECT ${COLUMNS} FROM entries WHERE doc = ? AND id >= ? ORDER BY id LIMIT 1 OFFSET ?`,
        doc,
        from,
        left
      )
      return row === undefined ? undefined : toEntry(row)
    },
    add: (entry) => {
      const own = fingerprint(entry)
      const id = rest(entry.id)
      db.run(
        "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        doc,
        id,
        entry.timestamp,
        entry.length,
        entry.hash,
        entry.authorSignature,
        entry.namespaceSignature,
        own
      )
      countEntry(id, own)
    },
    remove: (entry) => {
      const id = rest(entry.id)
      db.run("DELETE FROM entries WHERE doc = ? AND id = ?", doc, id)
      uncountEntry(id, fingerprint(entry))
    }
  }
}
