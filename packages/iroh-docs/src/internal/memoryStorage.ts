/** Documents in memory. */
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import { type DownloadPolicy, everything } from "../DownloadPolicy.ts"
import * as Bytes from "../proto/Bytes.ts"
import type { SignedEntry } from "../proto/Entry.ts"
import type { EntrySet } from "../proto/EntrySet.ts"
import * as EntryTree from "../proto/EntryTree.ts"
import type { Missing, Storage, StoredDocument } from "./storage.ts"

class MemoryDocument implements StoredDocument {
  readonly namespace: Uint8Array
  secret: Uint8Array | undefined
  policy: DownloadPolicy = everything
  peers: ReadonlyArray<NodeAddr> = []
  readonly entries: EntrySet
  readonly heads = new Map<string, number>()
  readonly #missing = new Map<string, Missing>()
  /** How many entries have a content, and the most bytes that one of them has said, by its hash. */
  readonly #uses = new Map<string, { readonly count: number; readonly size: number }>()

  constructor(namespace: Uint8Array, secret: Uint8Array | undefined) {
    this.namespace = namespace
    this.secret = secret
    const tree = EntryTree.make(Math.random)
    this.entries = {
      ...tree,
      add: (entry) => {
        this.#count(entry, 1)
        tree.add(entry)
      },
      remove: (entry) => {
        this.#count(entry, -1)
        tree.remove(entry)
      }
    }
  }

  #count({ hash, length }: SignedEntry, change: number): void {
    const name = Bytes.hex(hash)
    const { count, size } = this.#uses.get(name) ?? { count: 0, size: 0 }
    if (count + change === 0) this.#uses.delete(name)
    else this.#uses.set(name, { count: count + change, size: Math.max(size, length) })
  }

  setSecret = (secret: Uint8Array): void => void (this.secret = secret)
  setPolicy = (policy: DownloadPolicy): void => void (this.policy = policy)
  setPeers = (peers: ReadonlyArray<NodeAddr>): void => void (this.peers = peers)
  setHead = (author: string, timestamp: number): void =>
    void this.heads.set(author, Math.max(timestamp, this.heads.get(author) ?? 0))
  isMissing = (hash: string): boolean => this.#missing.has(hash)
  setMissing = (hash: string, missing: Missing | undefined): void =>
    void (missing === undefined ? this.#missing.delete(hash) : this.#missing.set(hash, missing))
  wanted = (): ReadonlyArray<string> =>
    [...this.#missing].filter(([, missing]) => missing === "wanted").map(([hash]) => hash)
  refersTo = (hash: Uint8Array): boolean => this.#uses.has(Bytes.hex(hash))
  sizeOf = (hash: Uint8Array): number => this.#uses.get(Bytes.hex(hash))?.size ?? 0
}

/** A store that ends with the process. */
export const memoryStorage = (): Storage => {
  const documents = new Map<string, MemoryDocument>()
  const authors = new Map<string, Uint8Array>()
  const settings = new Map<string, string>()
  return {
    documents: () => [...documents.values()],
    document: (namespace) => documents.get(Bytes.hex(namespace)),
    create: (namespace, secret) => {
      const document = new MemoryDocument(namespace, secret)
      documents.set(Bytes.hex(namespace), document)
      return document
    },
    drop: (namespace) => void documents.delete(Bytes.hex(namespace)),
    authors: () => authors,
    author: (id) => authors.get(id),
    putAuthor: (id, secret) => void authors.set(id, secret),
    removeAuthor: (id) => void authors.delete(id),
    setting: (name) => settings.get(name),
    setSetting: (name, value) => void settings.set(name, value),
    change: (f) => f(),
    durable: () => Promise.resolve(),
    close: () => {}
  }
}
