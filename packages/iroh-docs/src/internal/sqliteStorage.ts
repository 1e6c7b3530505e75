/** Documents in SQLite. */
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { type DownloadPolicy, everything } from "../DownloadPolicy.ts"
import * as Bytes from "../proto/Bytes.ts"
import type { EntrySet } from "../proto/EntrySet.ts"
import { Database, type Row } from "./database.ts"
import { initialize, sqliteEntries } from "./sqliteEntries.ts"
import type { Missing, Storage, StoredDocument } from "./storage.ts"

class SqliteDocument implements StoredDocument {
  readonly namespace: Uint8Array
  readonly entries: EntrySet
  readonly #db: Database
  readonly #doc: number
  readonly #heads = new Map<string, number>()
  #read = -1
  #secret: Uint8Array | undefined
  #policy: DownloadPolicy = everything
  #peers: ReadonlyArray<NodeAddr.NodeAddr> = []

  constructor(db: Database, doc: number, namespace: Uint8Array) {
    this.#db = db
    this.#doc = doc
    this.namespace = namespace
    this.entries = sqliteEntries(db, doc, namespace)
  }

  /** Reads what is kept in memory, the first time and whenever changes were undone. */
  #refresh(): void {
    if (this.#read === this.#db.generation) return
    this.#read = this.#db.generation
    const row = this.#db.get("SELECT secret, policy, peers FROM documents WHERE doc = ?", this.#doc)
    this.#secret = (row?.["secret"] as Uint8Array | null | undefined) ?? undefined
    this.#policy = row === undefined ? everything : decodePolicy(row["policy"] as string)
    this.#peers = row === undefined ? [] : decodePeers(row["peers"] as string)
    this.#heads.clear()
    for (const { author, timestamp } of this.#db.all("SELECT author, timestamp FROM heads WHERE doc = ?", this.#doc)) {
      this.#heads.set(author as string, timestamp as number)
    }
  }

  get secret(): Uint8Array | undefined {
    this.#refresh()
    return this.#secret
  }

  get policy(): DownloadPolicy {
    this.#refresh()
    return this.#policy
  }

  get peers(): ReadonlyArray<NodeAddr.NodeAddr> {
    this.#refresh()
    return this.#peers
  }

  get heads(): ReadonlyMap<string, number> {
    this.#refresh()
    return this.#heads
  }

  setSecret(secret: Uint8Array): void {
    this.#refresh()
    this.#db.run("UPDATE documents SET secret = ? WHERE doc = ?", secret, this.#doc)
    this.#secret = secret
  }

  setPolicy(policy: DownloadPolicy): void {
    this.#refresh()
    this.#db.run("UPDATE documents SET policy = ? WHERE doc = ?", encodePolicy(policy), this.#doc)
    this.#policy = policy
  }

  setPeers(peers: ReadonlyArray<NodeAddr.NodeAddr>): void {
    this.#refresh()
    this.#db.run(
      "UPDATE documents SET peers = ? WHERE doc = ?",
      JSON.stringify(peers.map(NodeAddr.toBase64)),
      this.#doc
    )
    this.#peers = peers
  }

  setHead(author: string, timestamp: number): void {
    if (timestamp <= (this.heads.get(author) ?? 0)) return
    this.#db.run("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)", this.#doc, author, timestamp)
    this.#heads.set(author, timestamp)
  }

  isMissing(hash: string): boolean {
    return this.#db.get("SELECT 1 FROM missing WHERE doc = ? AND hash = ?", this.#doc, hash) !== undefined
  }

  setMissing(hash: string, missing: Missing | undefined): void {
    if (missing === undefined) this.#db.run("DELETE FROM missing WHERE doc = ? AND hash = ?", this.#doc, hash)
    else this.#db.run("INSERT OR REPLACE INTO missing VALUES (?, ?, ?)", this.#doc, hash, missing === "wanted" ? 1 : 0)
  }

  wanted(): ReadonlyArray<string> {
    return this.#db
      .all("SELECT hash FROM missing WHERE doc = ? AND wanted = 1", this.#doc)
      .map(({ hash }) => hash as string)
  }

  refersTo(hash: Uint8Array): boolean {
    return this.#db.get("SELECT 1 FROM entries WHERE doc = ? AND hash = ? LIMIT 1", this.#doc, hash) !== undefined
  }

  sizeOf(hash: Uint8Array): number {
    const row = this.#db.get(
      "SELECT max(length) AS size FROM (SELECT length FROM entries WHERE doc = ? AND hash = ? LIMIT 16)",
      this.#doc,
      hash
    )
    return (row?.["size"] as number | null | undefined) ?? 0
  }
}

/** Opens the documents in a directory; see {@link Database}. */
export const sqliteStorage = (directory: string | undefined): Storage => {
  const db = new Database(directory)
  /** Documents that were looked at, by their id in hex. */
  const open = new Map<string, { readonly doc: number; readonly document: SqliteDocument }>()
  const documentOf = (row: Row): SqliteDocument => {
    const namespace = row["namespace"] as Uint8Array
    const doc = row["doc"] as number
    const name = Bytes.hex(namespace)
    const known = open.get(name)
    // After changes were undone a number may be another document's.
    if (known !== undefined && known.doc === doc) return known.document
    const document = new SqliteDocument(db, doc, namespace)
    open.set(name, { doc, document })
    return document
  }
  const document = (namespace: Uint8Array) => {
    const row = db.get("SELECT doc, namespace FROM documents WHERE namespace = ?", namespace)
    return row === undefined ? undefined : documentOf(row)
  }
  return {
    documents: () => db.all("SELECT doc, namespace FROM documents ORDER BY namespace").map(documentOf),
    document,
    create: (namespace, secret) => {
      db.run(
        "INSERT INTO documents (namespace, secret, policy, peers) VALUES (?, ?, ?, '[]')",
        namespace,
        secret ?? null,
        encodePolicy(everything)
      )
      const row = db.get("SELECT doc, namespace FROM documents WHERE namespace = ?", namespace)!
      initialize(db, row["doc"] as number)
      return documentOf(row)
    },
    drop: (namespace) => {
      const row = db.get("SELECT doc FROM documents WHERE namespace = ?", namespace)
      if (row === undefined) return
      const doc = row["doc"] as number
      for (const table of ["entries", "sums", "heads", "missing", "documents"]) {
        db.run(`DELETE FROM ${table} WHERE doc = ?`, doc)
      }
      open.delete(Bytes.hex(namespace))
    },
    authors: () =>
      new Map(
        db
          .all("SELECT id, secret FROM authors ORDER BY id")
          .map(({ id, secret }) => [id as string, secret as Uint8Array])
      ),
    author: (id) => db.get("SELECT secret FROM authors WHERE id = ?", id)?.["secret"] as Uint8Array | undefined,
    putAuthor: (id, secret) => void db.run("INSERT OR REPLACE INTO authors VALUES (?, ?)", id, secret),
    removeAuthor: (id) => void db.run("DELETE FROM authors WHERE id = ?", id),
    setting: (name) => db.get("SELECT value FROM settings WHERE name = ?", name)?.["value"] as string | undefined,
    setSetting: (name, value) => void db.run("INSERT OR REPLACE INTO settings VALUES (?, ?)", name, value),
    change: (f) => db.change(f),
    durable: () => db.durable(),
    close: () => db.close()
  }
}

/** Keys as hex, since they may be anything. */
interface PolicyJson {
  readonly tag: DownloadPolicy["_tag"]
  readonly maxSize?: number
  readonly filters: ReadonlyArray<{ readonly exact?: string; readonly prefix?: string }>
}

const encodePolicy = ({ _tag, filters, maxSize }: DownloadPolicy): string => {
  const json: PolicyJson = {
    tag: _tag,
    ...(maxSize === undefined ? {} : { maxSize }),
    filters: filters.map((filter) =>
      "exact" in filter ? { exact: Bytes.hex(Bytes.of(filter.exact)) } : { prefix: Bytes.hex(Bytes.of(filter.prefix)) }
    )
  }
  return JSON.stringify(json)
}

const decodePolicy = (text: string): DownloadPolicy => {
  const { filters, maxSize, tag } = JSON.parse(text) as PolicyJson
  const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"))
  return {
    _tag: tag,
    maxSize,
    filters: filters.map(({ exact, prefix }) =>
      exact === undefined ? { prefix: bytes(prefix ?? "") } : { exact: bytes(exact) }
    )
  }
}

const decodePeers = (text: string): ReadonlyArray<NodeAddr.NodeAddr> =>
  (JSON.parse(text) as ReadonlyArray<string>).map(NodeAddr.fromBase64)
