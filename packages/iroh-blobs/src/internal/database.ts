/** The SQLite database of a store: found, judged and opened, and never changed before it is known to be one. */
import { existsSync, mkdtempSync, rmSync, statSync, copyFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"

const schema = `
  CREATE TABLE IF NOT EXISTS blobs (
    hash TEXT PRIMARY KEY, size INTEGER NOT NULL, verified INTEGER NOT NULL, ranges BLOB NOT NULL, data BLOB
  ) STRICT;
  CREATE TABLE IF NOT EXISTS tags (name BLOB PRIMARY KEY, hash TEXT NOT NULL, format INTEGER NOT NULL) STRICT;
`
const VERSION = 1

/** An open database. `isNew`: there was none, or an empty one. */
export interface Database {
  readonly db: DatabaseSync
  readonly isNew: boolean
  readonly readOnly: boolean
  readonly close: () => void
}

/** SQLite's codes for a database that is no database or no longer one. */
const DAMAGED = new Set([11, 26])
/** Its codes for a disk that cannot be written: SQLITE_PERM, READONLY, IOERR, FULL, CANTOPEN. */
const UNWRITABLE = new Set([3, 8, 10, 13, 14])
const codeOf = (error: unknown): number =>
  typeof error === "object" && error !== null && "errcode" in error ? Number(error.errcode) & 0xff : 0

// Not imported: a program that stores no blobs is not to load SQLite, nor to hear that Node.js 22 calls it experimental.
const sqlite = () => process.getBuiltinModule("node:sqlite").DatabaseSync

/** What the database is: one of ours, or nothing yet. Throws when it is neither. Nothing is written. */
const judge = (db: DatabaseSync): "ours" | "empty" => {
  const tables = db.prepare("SELECT name FROM sqlite_master").all()
  const version = Number(db.prepare("PRAGMA user_version").get()?.["user_version"])
  if (tables.length === 0 && version === 0) return "empty"
  const columns = (table: string) =>
    db
      .prepare("SELECT name FROM pragma_table_info(?) ORDER BY cid")
      .all(table)
      .map((row) => row["name"])
      .join()
  if (columns("blobs") !== "hash,size,verified,ranges,data" || columns("tags") !== "name,hash,format") {
    if (version > VERSION) throw laterVersion(version)
    throw new Error("its blobs.db is the database of another program: name another folder, or restore blobs.db")
  }
  if (version > VERSION) throw laterVersion(version)
  return "ours"
}

const laterVersion = (found: number) =>
  new Error(`the store was written by a later version (${found} > ${VERSION}); upgrade this program`)

const explained = (error: unknown): unknown =>
  DAMAGED.has(codeOf(error)) && error instanceof Error
    ? new Error(
        `its blobs.db is damaged (${error.message}): restore it from a backup, or move it away, so that the blobs are ` +
          `verified and recorded anew without their tags`,
        { cause: error }
      )
    : error

/**
 * Opens the database at `path`, or a new one in memory for ":memory:", for this process alone. With `readOnly` nothing
 * is changed, and a disk that is full or cannot be written is no obstacle. Throws when it is open elsewhere ("database is
 * locked"), damaged, of a later version, or none of ours.
 */
export const openDatabase = (path: string, { readOnly = false } = {}): Database => {
  if (path !== ":memory:") refuseOrphanedLog(path)
  try {
    return open(path, readOnly)
  } catch (error) {
    if (!readOnly || !UNWRITABLE.has(codeOf(error))) throw explained(error)
    try {
      return openUnwritable(path)
    } catch (cause) {
      throw explained(cause)
    }
  }
}

/** SQLite would delete the log of a database that has no pages, and with it all that was only in the log. */
const refuseOrphanedLog = (path: string): void => {
  const size = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size(path) === 0 && size(`${path}-wal`) > 0) {
    throw new Error(
      "its blobs.db is empty or missing, but blobs.db-wal is not: restore blobs.db from a backup, or move blobs.db-wal " +
        "away, so that the blobs are verified and recorded anew without their tags"
    )
  }
}

const open = (path: string, readOnly: boolean): Database => {
  const db = new (sqlite())(path)
  try {
    // The lock lives as long as the process does, so that a second one cannot use the same directory.
    db.exec("PRAGMA locking_mode = EXCLUSIVE")
    const isNew = judge(db) === "empty"
    if (!isNew) db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE; COMMIT")
    else if (!readOnly) {
      db.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE; ${schema}; PRAGMA user_version = ${VERSION}; COMMIT`
      )
    }
    if (!isNew || !readOnly) return { db, isNew, readOnly, close: () => db.close() }
  } catch (error) {
    db.close()
    throw error
  }
  // Of an empty database nothing can be read: something else stands in.
  db.close()
  return { ...open(":memory:", false), readOnly }
}

/** Reads where nothing can be written. */
const openUnwritable = (path: string): Database => {
  const log = `${path}-wal`
  if (!existsSync(log) || statSync(log).size === 0) {
    const url = pathToFileURL(path)
    url.search = "?immutable=1"
    const db = new (sqlite())(url, { readOnly: true })
    return judged(db, () => db.close())
  }
  // What is only in the log has to be put into the database, which is done elsewhere.
  const copy = mkdtempSync(join(tmpdir(), "aster-blobs-"))
  const discard = () => rmSync(copy, { recursive: true, force: true })
  try {
    for (const suffix of ["", "-wal"]) copyFileSync(path + suffix, join(copy, `blobs.db${suffix}`))
    const db = new (sqlite())(join(copy, "blobs.db"))
    return judged(db, () => {
      db.close()
      discard()
    })
  } catch (error) {
    discard()
    throw error
  }
}

const judged = (db: DatabaseSync, close: () => void): Database => {
  try {
    if (judge(db) === "ours") return { db, isNew: false, readOnly: true, close }
  } catch (error) {
    close()
    throw error
  }
  close()
  return { ...open(":memory:", false), readOnly: true }
}
