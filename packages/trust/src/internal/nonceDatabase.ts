/** Used nonces in SQLite: one connection, in a transaction from `open` to `commit` or `close`. */
import type { DatabaseSync } from "node:sqlite"

/** When a nonce may be forgotten, in seconds since the Unix epoch; undefined: not known. */
export type Expiry = bigint | undefined

/** Kept this long past its expiry, so that a clock set back does not revive a token. */
const graceSeconds = 86_400n

/** The longest that SQLite's integers reach; as good as for ever. */
const maxExpiry = 2n ** 63n - 1n - graceSeconds

/**
 * `forgotten` is the latest expiry among the nonces that were ever forgotten, and `count` how many are on record.
 * `mirror` says which text file was last read or written, see `NonceFile`.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS nonces (nonce BLOB PRIMARY KEY, expires INTEGER) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS nonces_by_expiry ON nonces (expires) WHERE expires IS NOT NULL;
  CREATE TABLE IF NOT EXISTS state (
    id INTEGER PRIMARY KEY CHECK (id = 0), count INTEGER NOT NULL, forgotten INTEGER NOT NULL, mirror TEXT NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO state VALUES (0, 0, -1, '');
`

const APPLICATION_ID = 0x4173_4e6f
const VERSION = 1

const keyOf = (nonce: string): Uint8Array => Buffer.from(nonce, "hex")

export class NonceDatabase implements Disposable {
  readonly #db: DatabaseSync

  /** Opens the database and begins a transaction that excludes all others. Throws SQLite's errors. */
  constructor(file: string) {
    this.#db = new (process.getBuiltinModule("node:sqlite").DatabaseSync)(file, { timeout: 0 })
    try {
      // EXTRA: when a commit returns, not even a power cut brings the journal back and undoes it.
      this.#db.exec("PRAGMA synchronous = EXTRA; BEGIN EXCLUSIVE")
      this.#migrate()
    } catch (cause) {
      this.#db.close()
      throw cause
    }
  }

  #migrate(): void {
    const version = Number(this.#pragma("user_version"))
    if (version === VERSION && Number(this.#pragma("application_id")) === APPLICATION_ID) return
    const tables = this.#db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"]
    if (version !== 0 || tables !== 0) throw new Error("it is not a database of used nonces, or one of a later version")
    this.#db.exec(`${schema}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`)
  }

  #pragma(name: string): unknown {
    return this.#db.prepare(`PRAGMA ${name}`).get()?.[name]
  }

  #state(column: "count" | "forgotten" | "mirror"): unknown {
    const statement = this.#db.prepare(`SELECT ${column} FROM state`)
    statement.setReadBigInts(true)
    return statement.get()?.[column]
  }

  get count(): number {
    return Number(this.#state("count"))
  }

  get mirror(): string {
    return String(this.#state("mirror"))
  }

  set mirror(mirror: string) {
    this.#db.prepare("UPDATE state SET mirror = ?").run(mirror)
  }

  has(nonce: string): boolean {
    return this.#db.prepare("SELECT 1 FROM nonces WHERE nonce = ?").get(keyOf(nonce)) !== undefined
  }

  /** Whether a nonce with this expiry, if it was ever used, might have been forgotten. */
  mayBeForgotten(expires: bigint): boolean {
    return expires <= BigInt(String(this.#state("forgotten")))
  }

  /** Adds nonces; those on record stay as they are. */
  add(entries: Iterable<readonly [nonce: string, expires: Expiry]>): void {
    const insert = this.#db.prepare("INSERT OR IGNORE INTO nonces VALUES (?, ?)")
    let added = 0
    for (const [nonce, expires] of entries) {
      const seconds = expires === undefined ? null : expires > maxExpiry ? maxExpiry : expires
      added += Number(insert.run(keyOf(nonce), seconds).changes)
    }
    this.#db.prepare("UPDATE state SET count = count + ?").run(added)
  }

  /** Forgets what expired long ago, and remembers how far that goes: the clock may be wrong. */
  forget(nowSeconds: bigint): void {
    const limit = nowSeconds - graceSeconds
    const statement = this.#db.prepare("SELECT max(expires) AS latest FROM nonces WHERE expires < ?")
    statement.setReadBigInts(true)
    const latest = statement.get(limit)?.["latest"]
    if (typeof latest !== "bigint") return
    const { changes } = this.#db.prepare("DELETE FROM nonces WHERE expires < ?").run(limit)
    this.#db.prepare("UPDATE state SET count = count - ?, forgotten = max(forgotten, ?)").run(changes, latest)
  }

  /** Everything on record, in the order of the nonces. */
  *entries(): Iterable<readonly [nonce: string, expires: Expiry]> {
    const statement = this.#db.prepare("SELECT lower(hex(nonce)) AS nonce, expires FROM nonces ORDER BY nonce")
    statement.setReadBigInts(true)
    for (const { expires, nonce } of statement.iterate()) {
      yield [String(nonce), typeof expires === "bigint" ? expires : undefined]
    }
  }

  commit(): void {
    this.#db.exec("COMMIT")
  }

  /** Ends the connection; what was not committed has not happened. */
  [Symbol.dispose](): void {
    this.#db.close()
  }
}

const codeOf = (cause: unknown): number | undefined =>
  typeof cause === "object" && cause !== null && "errcode" in cause && typeof cause.errcode === "number"
    ? cause.errcode & 0xff
    : undefined

/** The file is no database, or not a sound one (SQLITE_CORRUPT, SQLITE_NOTADB), or not ours. */
export const isDamage = (cause: unknown): boolean => {
  const code = codeOf(cause)
  return code === 11 || code === 26 || (code === undefined && cause instanceof Error && !("code" in cause))
}
