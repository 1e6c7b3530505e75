/** What is known about blobs, and their tags: one SQLite database, on disk or in memory. */
import type { DatabaseSync } from "node:sqlite"
import type * as Bitfield from "../Bitfield.ts"
import type { BlobHash, HashAndFormat } from "../BlobHash.ts"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import * as ChunkRanges from "../ChunkRanges.ts"

/** A stored blob. `data` is its content when it is complete and small enough to be kept with the metadata. */
export interface BlobRecord {
  readonly bitfield: Bitfield.Bitfield
  readonly data: Uint8Array | undefined
}

/** A named root: what it names is kept. */
export interface Tag extends HashAndFormat {
  readonly name: string
}

/** Names from `from` (inclusive) to `to` (exclusive), in the order of their UTF-8 bytes. */
export interface TagRange {
  readonly from?: Uint8Array | undefined
  readonly to?: Uint8Array | undefined
}

const schema = `
  CREATE TABLE IF NOT EXISTS blobs (
    hash TEXT PRIMARY KEY, size INTEGER NOT NULL, verified INTEGER NOT NULL, ranges BLOB NOT NULL, data BLOB
  ) STRICT;
  CREATE TABLE IF NOT EXISTS tags (name BLOB PRIMARY KEY, hash TEXT NOT NULL, format INTEGER NOT NULL) STRICT;
`
const VERSION = 1

const encodeRanges = (ranges: ChunkRanges.ChunkRanges): Uint8Array => {
  const writer = new PostcardWriter()
  ChunkRanges.write(writer, ranges)
  return writer.finish()
}

type Row = Record<string, unknown>
const toTag = ({ format, hash, name }: Row): Tag => ({
  name: new TextDecoder().decode(name as Uint8Array),
  hash: hash as BlobHash,
  format: format === 0 ? "raw" : "hashSeq"
})

/**
 * Changes are seen by every later call at once; they are durable, all or none of those made in one turn of the event
 * loop, when {@link Metadata.durable} resolves. That way many concurrent changes share one wait for the disk.
 */
export class Metadata {
  readonly #db: DatabaseSync
  #commit: Promise<void> | undefined

  /**
   * Opens the database at `path`, or one in memory for ":memory:". Throws when it is open elsewhere (code
   * ERR_SQLITE_ERROR, "database is locked"), damaged, or of a later version.
   */
  constructor(path: string) {
    // Not imported: a program that stores no blobs is not to load SQLite, nor to hear that Node.js 22 calls it experimental.
    this.#db = new (process.getBuiltinModule("node:sqlite").DatabaseSync)(path)
    try {
      // The lock lives as long as the process does, so that a second one cannot use the same directory.
      this.#db.exec(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE"
      )
      const found = Number(this.#db.prepare("PRAGMA user_version").get()?.["user_version"])
      if (found > VERSION)
        throw new Error(`the store was written by a later version (${found} > ${VERSION}); upgrade this program`)
      this.#db.exec(`${schema}; PRAGMA user_version = ${VERSION}; COMMIT`)
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  /** Resolves once all changes made so far are durable; rejects when they could not be made so and are undone. */
  durable(): Promise<void> {
    return this.#commit ?? Promise.resolve()
  }

  close(): void {
    if (this.#db.isTransaction) this.#db.exec("COMMIT")
    this.#db.close()
  }

  blob(hash: BlobHash): BlobRecord | undefined {
    const row = this.#get("SELECT size, verified, ranges, data FROM blobs WHERE hash = ?", hash)
    if (row === undefined) return undefined
    const ranges = ChunkRanges.read(new PostcardReader(row["ranges"] as Uint8Array))
    const bitfield = { size: row["size"] as number, verified: row["verified"] === 1, ranges }
    return { bitfield, data: (row["data"] as Uint8Array | null) ?? undefined }
  }

  /** Whether anything is stored of the blob. */
  has(hash: string): boolean {
    return this.#get("SELECT 1 FROM blobs WHERE hash = ?", hash) !== undefined
  }

  /** Up to `limit` hashes after `after` in ascending order. */
  hashes(after: string, limit: number): ReadonlyArray<BlobHash> {
    const rows = this.#all("SELECT hash FROM blobs WHERE hash > ? ORDER BY hash LIMIT ?", after, limit)
    return rows.map((row) => row["hash"] as BlobHash)
  }

  putBlob(hash: BlobHash, { bitfield, data }: BlobRecord): void {
    const { ranges, size, verified } = bitfield
    this.#run(
      "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?, ?)",
      hash,
      size,
      verified ? 1 : 0,
      encodeRanges(ranges),
      data ?? null
    )
  }

  deleteBlob(hash: BlobHash): void {
    this.#run("DELETE FROM blobs WHERE hash = ?", hash)
  }

  tag(name: string): Tag | undefined {
    const row = this.#get("SELECT name, hash, format FROM tags WHERE name = ?", new TextEncoder().encode(name))
    return row === undefined ? undefined : toTag(row)
  }

  /** Up to `limit` tags of the range in order. */
  tags(range: TagRange, limit: number): ReadonlyArray<Tag> {
    const [where, values] = whereName(range)
    return this.#all(`SELECT name, hash, format FROM tags ${where} ORDER BY name LIMIT ?`, ...values, limit).map(toTag)
  }

  setTag({ format, hash, name }: Tag): void {
    this.#run(
      "INSERT OR REPLACE INTO tags VALUES (?, ?, ?)",
      new TextEncoder().encode(name),
      hash,
      format === "raw" ? 0 : 1
    )
  }

  /** Answers how many there were. */
  deleteTags(range: TagRange): number {
    const [where, values] = whereName(range)
    return this.#run(`DELETE FROM tags ${where}`, ...values)
  }

  #get(sql: string, ...values: ReadonlyArray<string | number | Uint8Array>): Row | undefined {
    return this.#prepare(sql).get(...values)
  }

  #all(sql: string, ...values: ReadonlyArray<string | number | Uint8Array>): Array<Row> {
    return this.#prepare(sql).all(...values)
  }

  #run(sql: string, ...values: ReadonlyArray<string | number | Uint8Array | null>): number {
    this.#commit ??= this.#begin()
    return Number(this.#prepare(sql).run(...values).changes)
  }

  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>()

  #prepare(sql: string) {
    let statement = this.#statements.get(sql)
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement
  }

  #begin(): Promise<void> {
    this.#db.exec("BEGIN")
    const commit = new Promise<void>((resolve, reject) => {
      setImmediate(() => {
        this.#commit = undefined
        // The store may have been closed in between, which commits too.
        if (!this.#db.isOpen || !this.#db.isTransaction) return resolve()
        try {
          this.#db.exec("COMMIT")
          resolve()
        } catch (error) {
          if (this.#db.isTransaction) this.#db.exec("ROLLBACK")
          reject(error)
        }
      })
    })
    // Whoever needs the outcome asks for it; nobody else is to be disturbed by it.
    commit.catch(() => {})
    return commit
  }
}

const whereName = ({ from, to }: TagRange): readonly [string, ReadonlyArray<Uint8Array>] => {
  const bounds = [...(from === undefined ? [] : ["name >= ?"]), ...(to === undefined ? [] : ["name < ?"])]
  return [bounds.length === 0 ? "" : `WHERE ${bounds.join(" AND ")}`, [from, to].filter((x) => x !== undefined)]
}

/** The tags whose name starts with `prefix`. */
export const tagPrefix = (prefix: string): TagRange => {
  const from = new TextEncoder().encode(prefix)
  const end = from.findLastIndex((byte) => byte < 0xff)
  if (end < 0) return {}
  const to = from.slice(0, end + 1)
  to[end]! += 1
  return { from, to }
}

/** The one tag of this name. */
export const tagNamed = (name: string): TagRange => {
  const from = new TextEncoder().encode(name)
  return { from, to: Uint8Array.of(...from, 0) }
}
