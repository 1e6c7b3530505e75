/** What is known about blobs, and their tags: one SQLite database, on disk or in memory. */
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import type { DatabaseSync } from "node:sqlite"
import type * as Bitfield from "../Bitfield.ts"
import type { BlobHash, HashAndFormat } from "../BlobHash.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import type { Database } from "./database.ts"

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

/** The changes that can be made in a commit. */
export interface Changes {
  readonly putBlob: (hash: BlobHash, record: BlobRecord) => void
  readonly deleteBlob: (hash: BlobHash) => void
  readonly setTag: (tag: Tag) => void
  /** Answers how many there were. */
  readonly deleteTags: (range: TagRange) => number
}

/** A change that waits for the next commit. */
interface Waiting {
  /** Makes the change; what it answers tells of it once it is durable. */
  readonly run: () => () => void
  readonly reject: (error: unknown) => void
}

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
 * Records that are never ahead of the disk: a change is made, and seen, only in the commit that makes it durable. Changes
 * that are asked for in one turn of the event loop share a commit, and so one wait for the disk.
 */
export class Metadata {
  readonly #database: Database
  readonly #db: DatabaseSync
  #waiting: Array<Waiting> = []

  constructor(database: Database) {
    this.#database = database
    this.#db = database.db
  }

  /**
   * Runs `change` in the next commit, and `committed` right after it, before anything else can look. Resolves with what
   * `change` answered; rejects when it threw or could not be made durable, and then nothing of it has happened.
   */
  commit<A>(change: (changes: Changes) => A, committed: (answer: A) => void = () => {}): Promise<A> {
    if (this.#database.readOnly) return Promise.reject(new Error("it is open for reading only"))
    return new Promise((resolve, reject) => {
      const run = () => {
        const answer = change(this.#changes)
        return () => {
          committed(answer)
          resolve(answer)
        }
      }
      if (this.#waiting.push({ run, reject }) === 1) setImmediate(() => this.#flush())
    })
  }

  /** Makes the changes that wait and closes. */
  close(): void {
    this.#flush()
    this.#database.close()
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 0) return
    const made: Array<readonly [() => void, Waiting["reject"]]> = []
    let failure: unknown
    try {
      this.#db.exec("BEGIN IMMEDIATE")
      for (const { reject, run } of waiting) {
        try {
          this.#run("SAVEPOINT change")
          made.push([run(), reject])
          this.#run("RELEASE change")
        } catch (error) {
          // SQLite itself may have given up everything, as it does when the disk is full.
          if (!this.#db.isTransaction) throw error
          this.#run("ROLLBACK TO change")
          this.#run("RELEASE change")
          reject(error)
        }
      }
      this.#db.exec("COMMIT")
    } catch (error) {
      failure = error ?? new Error("the commit failed")
      try {
        if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec("ROLLBACK")
      } catch {
        // The first error says more.
      }
    }
    if (failure === undefined) for (const [tell] of made) tell()
    else for (const { reject } of waiting) reject(failure)
  }

  blob(hash: BlobHash): BlobRecord | undefined {
    const row = this.#get("SELECT size, verified, ranges, data FROM blobs WHERE hash = ?", hash)
    if (row === undefined) return undefined
    const ranges = ChunkRanges.read(new PostcardReader(row["ranges"] as Uint8Array))
    const bitfield = { size: row["size"] as number, verified: row["verified"] === 1, ranges }
    return { bitfield, data: (row["data"] as Uint8Array | null) ?? undefined }
  }

  /** Whether there is a record of the blob. */
  has(hash: string): boolean {
    return this.#get("SELECT 1 FROM blobs WHERE hash = ?", hash) !== undefined
  }

  /** Up to `limit` hashes after `after` in ascending order. */
  hashes(after: string, limit: number): ReadonlyArray<BlobHash> {
    const rows = this.#all("SELECT hash FROM blobs WHERE hash > ? ORDER BY hash LIMIT ?", after, limit)
    return rows.map((row) => row["hash"] as BlobHash)
  }

  /** The same, of blobs whose content is in files. */
  hashesInFiles(after: string, limit: number): ReadonlyArray<BlobHash> {
    const rows = this.#all(
      "SELECT hash FROM blobs WHERE hash > ? AND data IS NULL AND length(ranges) > 1 ORDER BY hash LIMIT ?",
      after,
      limit
    )
    return rows.map((row) => row["hash"] as BlobHash)
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

  readonly #changes: Changes = {
    putBlob: (hash, { bitfield: { ranges, size, verified }, data }) => {
      this.#run(
        "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?, ?)",
        hash,
        size,
        verified ? 1 : 0,
        encodeRanges(ranges),
        data ?? null
      )
    },
    deleteBlob: (hash) => {
      this.#run("DELETE FROM blobs WHERE hash = ?", hash)
    },
    setTag: ({ format, hash, name }) => {
      this.#run(
        "INSERT OR REPLACE INTO tags VALUES (?, ?, ?)",
        new TextEncoder().encode(name),
        hash,
        format === "raw" ? 0 : 1
      )
    },
    deleteTags: (range) => {
      const [where, values] = whereName(range)
      return this.#run(`DELETE FROM tags ${where}`, ...values)
    }
  }

  #get(sql: string, ...values: ReadonlyArray<string | number | Uint8Array>): Row | undefined {
    return this.#prepare(sql).get(...values)
  }

  #all(sql: string, ...values: ReadonlyArray<string | number | Uint8Array>): Array<Row> {
    return this.#prepare(sql).all(...values)
  }

  #run(sql: string, ...values: ReadonlyArray<string | number | Uint8Array | null>): number {
    return Number(this.#prepare(sql).run(...values).changes)
  }

  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>()

  #prepare(sql: string) {
    let statement = this.#statements.get(sql)
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement
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
export const tagNamed = (name: string): Required<TagRange> & { readonly to: Uint8Array } => {
  const from = new TextEncoder().encode(name)
  return { from, to: Uint8Array.of(...from, 0) }
}
