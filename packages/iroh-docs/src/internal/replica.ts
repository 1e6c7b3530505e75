/** A document that is open: what is stored of it, who listens, and what is done to its entries. */
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { Topic } from "@aster-effect/iroh-gossip/Topic"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { DocEntry } from "../DocEntry.ts"
import * as DocumentId from "../DocumentId.ts"
import { DocumentReadOnly, NewerEntryExists } from "../DocsError.ts"
import * as Bytes from "../proto/Bytes.ts"
import * as Entry from "../proto/Entry.ts"
import * as Replica from "../proto/Replica.ts"
import { SessionTable } from "../proto/SessionTable.ts"
import * as Signature from "../proto/Signature.ts"
import type { StoredDocument } from "./storage.ts"
import { Subscribers } from "./subscribers.ts"

/** How far what we write may be ahead of our clock, so that nobody refuses it: 0.97 takes up to 0.6 s. */
const MAX_OWN_AHEAD_MICROS = 500_000

/** What a local write led to. */
export interface Written {
  readonly entry: Entry.SignedEntry
  readonly replaced: ReadonlyArray<Entry.SignedEntry>
}

/** What is written under a key. */
export interface NewRecord {
  readonly key: Uint8Array
  readonly hash: Uint8Array
  readonly length: number
}

/** The entry of a record, signed by its document and its author. */
export const sign = (
  namespace: Signature.KeyPair,
  author: Signature.KeyPair,
  { hash, key, length }: NewRecord,
  timestamp: number
): Entry.SignedEntry => {
  const id = Entry.identifier(namespace.publicKey, author.publicKey, key)
  return Signature.signEntry({ id, hash, length, timestamp }, namespace, author)
}

export class OpenDocument {
  readonly id: DocumentId.DocumentId
  readonly stored: StoredDocument
  readonly subscribers = new Subscribers()
  readonly sessions: SessionTable
  /** Whether peers may begin sessions. */
  syncing = false
  /** The document's gossip topic, when it is joined. */
  topic: Topic | undefined
  /** Peers of the swarm that are directly connected. */
  readonly neighbors = new Set<EndpointId>()
  /** Peers that contents are being fetched from. */
  fetching = 0
  readonly #deletions: Replica.DeletionRule
  #pair: Signature.KeyPair | undefined

  constructor(stored: StoredDocument, own: EndpointId, deletions: Replica.DeletionRule) {
    this.stored = stored
    this.id = DocumentId.fromBytes(stored.namespace)
    this.sessions = new SessionTable(own)
    this.#deletions = deletions
  }

  get pair(): Signature.KeyPair | undefined {
    return (this.#pair ??= this.stored.secret && Signature.keyPair(this.stored.secret))
  }

  /** The tag that keeps a content while an entry of this document has it. */
  tag(hash: Uint8Array): string {
    return `${this.tagPrefix}${BlobHash.fromBytes(hash)}`
  }

  get tagPrefix(): string {
    return `doc/${this.id}/`
  }

  /**
   * Writes an entry. An author's times only grow, so that what it writes later wins; unless its latest is too far ahead of
   * our clock.
   */
  write(
    author: Signature.KeyPair,
    record: NewRecord,
    nowMicros: number
  ): Written | DocumentReadOnly | NewerEntryExists {
    const namespace = this.pair
    if (namespace === undefined) return new DocumentReadOnly({ document: this.id })
    const { entries, heads } = this.stored
    const head = heads.get(Bytes.hex(author.publicKey)) ?? 0
    const timestamp = head >= nowMicros && head < nowMicros + MAX_OWN_AHEAD_MICROS ? head + 1 : nowMicros
    const entry = sign(namespace, author, record, timestamp)
    const result = Replica.put(entries, entry, this.#deletions)
    if (result._tag === "Superseded") {
      return new NewerEntryExists({
        key: new TextDecoder().decode(Entry.keyOf(result.newer)),
        aheadMicros: result.newer.timestamp - nowMicros
      })
    }
    this.inserted(entry)
    return { entry, replaced: result.replaced }
  }

  /** Keeps count of an entry that is in the set now. */
  inserted(entry: Entry.SignedEntry): void {
    this.stored.setHead(Bytes.hex(Entry.authorOf(entry)), entry.timestamp)
  }

  publishLocal(entry: Entry.SignedEntry): void {
    this.subscribers.publish({ _tag: "InsertLocal", entry: new DocEntry(entry) })
  }
}
