/**
 * An entry of a document, as programs see it.
 *
 * @since 0.1.0
 */
import { PostcardWriter } from "@aster-effect/iroh/Postcard"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as AuthorId from "./AuthorId.ts"
import * as DocumentId from "./DocumentId.ts"
import * as Bytes from "./proto/Bytes.ts"
import * as Entry from "./proto/Entry.ts"

/** Who wrote what under which key, and when. @since 0.1.0 */
export class DocEntry {
  readonly document: DocumentId.DocumentId
  readonly author: AuthorId.AuthorId
  readonly key: Uint8Array
  /** The content is the blob of this hash. */
  readonly hash: BlobHash.BlobHash
  /** Bytes of the content; 0 marks a deletion. */
  readonly size: number
  /** Microseconds since the Unix epoch, by the author's clock. */
  readonly timestamp: number
  readonly #entry: Entry.SignedEntry

  constructor(entry: Entry.SignedEntry) {
    this.#entry = entry
    this.document = DocumentId.fromBytes(Entry.namespaceOf(entry))
    this.author = AuthorId.fromBytes(Entry.authorOf(entry))
    this.key = Bytes.copy(Entry.keyOf(entry))
    this.hash = BlobHash.fromBytes(entry.hash)
    this.size = entry.length
    this.timestamp = entry.timestamp
  }

  /** The key as text; bytes that are not UTF-8 show as U+FFFD. */
  get keyText(): string {
    return new TextDecoder().decode(this.key)
  }

  /** The entry as it travels, with the signatures of its author and its document: what `Document.insert` takes. */
  encode(): Uint8Array {
    const writer = new PostcardWriter(Entry.encodedSize(this.#entry))
    Entry.write(writer, this.#entry)
    return writer.finish()
  }

  /** Whether this marks a deletion: everything older of its author whose key starts with this one is gone. */
  get isDeletion(): boolean {
    return this.size === 0
  }
}
