/** A SQLite database whose changes share the waits for the disk. */
import type { DatabaseSync, SQLInputValue } from "node:sqlite"
import { chmodSync, closeSync, mkdirSync, openSync, statSync } from "node:fs"
import * as path from "node:path"

export type Row = Record<string, unknown>
type Value = SQLInputValue

/** Marks files of this kind: "irdo". */
const APPLICATION = 0x6972646f
const VERSION = 1

const schema = `
  CREATE TABLE documents (
    doc INTEGER PRIMARY KEY, namespace BLOB NOT NULL UNIQUE, secret BLOB, policy TEXT NOT NULL, peers TEXT NOT NULL
  ) STRICT;
  CREATE TABLE entries (
    doc INTEGER NOT NULL, id BLOB NOT NULL, timestamp INTEGER NOT NULL, length INTEGER NOT NULL, hash BLOB NOT NULL,
    author_signature BLOB NOT NULL, namespace_signature BLOB NOT NULL, fingerprint BLOB NOT NULL, PRIMARY KEY (doc, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX contents ON entries (doc, hash);
  CREATE TABLE sums (
    doc INTEGER NOT NULL, level INTEGER NOT NULL, id BLOB NOT NULL, count INTEGER NOT NULL, xor BLOB NOT NULL,
    PRIMARY KEY (doc, level, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE heads (
    doc INTEGER NOT NULL, author TEXT NOT NULL, timestamp INTEGER NOT NULL, PRIMARY KEY (doc, author)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE missing (
    doc INTEGER NOT NULL, hash TEXT NOT NULL, wanted INTEGER NOT NULL, PRIMARY KEY (doc, hash)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE authors (id TEXT PRIMARY KEY, secret BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${VERSION};
`

/**
 * Changes are seen by every later call at once; they are durable, all or none of those made in one turn of the event loop,
 * when {@link Database.durable} resolves.
 */
export class Database {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>()
  #commit: { readonly promise: Promise<void>; readonly fail: (cause: unknown) => void } | undefined
  /** Grows whenever changes were undone: what was read before may be wrong. */
  generation = 0

  /**
   * Opens the database in a directory, which is made if need be; or one in memory. Throws when it is open elsewhere
   * ("database is locked"), damaged, of another kind or version. Then nothing in it is changed.
   */
  constructor(directory: string | undefined) {
    // Not imported: a program that keeps no documents is not to load SQLite.
    const { DatabaseSync } = process.getBuiltinModule("node:sqlite")
    this.#db = new DatabaseSync(directory === undefined ? ":memory:" : databaseFile(directory))
    try {
      this.#db.exec("PRAGMA locking_mode = EXCLUSIVE")
      this.#check()
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE")
      if (this.#isNew()) this.#db.exec(schema)
      this.#db.exec("COMMIT")
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  #pragma(name: string): number {
    return Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name])
  }

  #isNew(): boolean {
    return Number(this.#db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"]) === 0
  }

  #check(): void {
    if (this.#isNew()) return
    if (this.#pragma("application_id") !== APPLICATION) throw new Error("the file is not a store of documents")
    const found = this.#pragma("user_version")
    if (found !== VERSION) {
      throw new Error(
        `the store is of version ${found}, and this program reads version ${VERSION}: use the one that wrote it`
      )
    }
  }

  get(sql: string, ...values: ReadonlyArray<Value>): Row | undefined {
    return this.#prepare(sql).get(...values)
  }

  all(sql: string, ...values: ReadonlyArray<Value>): Array<Row> {
    return this.#prepare(sql).all(...values)
  }

  /** Changes something. Answers how many rows. */
  run(sql: string, ...values: ReadonlyArray<Value>): number {
    this.#commit ??= this.#begin()
    return Number(this.#prepare(sql).run(...values).changes)
  }

  /** Makes several changes as one: when `f` throws, these and all that are not durable yet are undone. */
  change<A>(f: () => A): A {
    try {
      return f()
    } catch (error) {
      this.#undo(error)
      throw error
    }
  }

  /** Resolves once all changes made so far are durable; rejects when they could not be made so and are undone. */
  durable(): Promise<void> {
    return this.#commit?.promise ?? Promise.resolve()
  }

  close(): void {
    if (!this.#db.isOpen) return
    if (this.#db.isTransaction) this.#db.exec("COMMIT")
    this.#db.close()
  }

  #prepare(sql: string) {
    let statement = this.#statements.get(sql)
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement
  }

  #begin() {
    this.#db.exec("BEGIN")
    const { promise, reject, resolve } = Promise.withResolvers<void>()
    // Whoever needs the outcome asks for it; nobody else is to be disturbed by it.
    promise.catch(() => {})
    const commit = { promise, fail: reject }
    setImmediate(() => {
      if (this.#commit !== commit) return
      this.#commit = undefined
      // The database may have been closed in between, which commits too.
      if (!this.#db.isOpen || !this.#db.isTransaction) return resolve()
      try {
        this.#db.exec("COMMIT")
        resolve()
      } catch (error) {
        this.#rollback()
        reject(error)
      }
    })
    return commit
  }

  #undo(cause: unknown): void {
    const commit = this.#commit
    this.#commit = undefined
    this.#rollback()
    commit?.fail(cause)
  }

  #rollback(): void {
    this.generation++
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK")
  }
}

const NAME = "docs.db"

/** The files in a directory that hold it. */
export const databaseFiles = (directory: string): ReadonlyArray<string> =>
  ["", "-wal", "-shm"].map((suffix) => path.join(directory, NAME + suffix))

/** The file in its directory. It holds secrets, so nobody else may read it; the mode of others' files is theirs. */
const databaseFile = (directory: string): string => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = path.join(directory, NAME)
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined) closeSync(openSync(file, "a", 0o600))
  else if ((found.mode & 0o077) !== 0 && found.uid === (process.geteuid?.() ?? found.uid)) chmodSync(file, 0o600)
  return file
}
