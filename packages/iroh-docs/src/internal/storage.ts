/** Where documents are kept. Everything is synchronous; what was changed is durable when `durable` resolves. */
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type { DownloadPolicy } from "../DownloadPolicy.ts"
import type { EntrySet } from "../proto/EntrySet.ts"

/** Whether a content that is not here is to be fetched. */
export type Missing = "wanted" | "unwanted"

/** A document in a store. */
export interface StoredDocument {
  /** 32 bytes. */
  readonly namespace: Uint8Array
  /** The seed of its key, where the document may be written. */
  readonly secret: Uint8Array | undefined
  readonly policy: DownloadPolicy
  readonly entries: EntrySet
  /** The greatest timestamp of each author's entries, by the author's id in hex. */
  readonly heads: ReadonlyMap<string, number>
  /** Peers with which syncing went well, the latest first. */
  readonly peers: ReadonlyArray<NodeAddr>
  readonly setSecret: (secret: Uint8Array) => void
  readonly setPolicy: (policy: DownloadPolicy) => void
  readonly setPeers: (peers: ReadonlyArray<NodeAddr>) => void
  /** An author's head, which never goes back. */
  readonly setHead: (author: string, timestamp: number) => void
  /** Whether a content, by its hash in hex, is known not to be here. */
  readonly isMissing: (hash: string) => boolean
  /** Notes that a content is not here, and whether it is to be fetched; or, with undefined, that it is here. */
  readonly setMissing: (hash: string, missing: Missing | undefined) => void
  /** Contents that are to be fetched. */
  readonly wanted: () => ReadonlyArray<string>
  /** Whether an entry has this content. */
  readonly refersTo: (hash: Uint8Array) => boolean
  /** Bytes that a content has as its entries say, which may contradict each other; 0 without entries. */
  readonly sizeOf: (hash: Uint8Array) => number
}

export interface Storage {
  readonly documents: () => ReadonlyArray<StoredDocument>
  readonly document: (namespace: Uint8Array) => StoredDocument | undefined
  readonly create: (namespace: Uint8Array, secret: Uint8Array | undefined) => StoredDocument
  readonly drop: (namespace: Uint8Array) => void
  /** Secrets of authors by their ids in hex. */
  readonly authors: () => ReadonlyMap<string, Uint8Array>
  readonly author: (id: string) => Uint8Array | undefined
  readonly putAuthor: (id: string, secret: Uint8Array) => void
  readonly removeAuthor: (id: string) => void
  /** A value kept under a name. */
  readonly setting: (name: string) => string | undefined
  readonly setSetting: (name: string, value: string) => void
  /** Makes several changes as one: when `f` throws none of them, nor any other that is not durable yet, was made. */
  readonly change: <A>(f: () => A) => A
  /** Resolves when all changes made so far are durable; rejects when they are undone. */
  readonly durable: () => Promise<void>
  readonly close: () => void
}
