/** The documents of a node that are open, and changes to them. */
import type { BlobStoreError } from "@aster-effect/iroh-blobs/BlobError"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Effect from "effect/Effect"
import { DocsStoreError, DocumentNotFound } from "../DocsError.ts"
import * as DocumentId from "../DocumentId.ts"
import type { DeletionRule } from "../proto/Replica.ts"
import { OpenDocument } from "./replica.ts"
import type { Storage } from "./storage.ts"

export class Documents {
  readonly storage: Storage
  readonly deletions: DeletionRule
  readonly #own: EndpointId
  readonly #open = new Map<DocumentId.DocumentId, OpenDocument>()

  constructor(storage: Storage, own: EndpointId, deletions: DeletionRule) {
    this.storage = storage
    this.deletions = deletions
    this.#own = own
  }

  find(id: DocumentId.DocumentId): Effect.Effect<OpenDocument, DocumentNotFound | DocsStoreError> {
    return Effect.suspend(() => {
      const open = this.#open.get(id)
      if (open !== undefined) return Effect.succeed(open)
      return Effect.flatMap(
        this.read("open a document", () => this.storage.document(DocumentId.toBytes(id))),
        (stored) => {
          if (stored === undefined) return Effect.fail(new DocumentNotFound({ document: id }))
          const document = new OpenDocument(stored, this.#own, this.deletions)
          this.#open.set(id, document)
          return Effect.succeed(document)
        }
      )
    })
  }

  /** Forgets a document that is no more. */
  forget(document: OpenDocument): void {
    this.#open.delete(document.id)
    document.subscribers.end()
  }

  read<A>(operation: string, f: () => A): Effect.Effect<A, DocsStoreError> {
    return Effect.try({ try: f, catch: (cause) => new DocsStoreError({ operation, cause }) })
  }

  /** Makes a change and waits until it is durable. Once begun it is not given up half way. */
  change<A>(operation: string, f: () => A): Effect.Effect<A, DocsStoreError> {
    return Effect.tryPromise({
      try: async () => {
        const result = this.storage.change(f)
        await this.storage.durable()
        return result
      },
      catch: (cause) => new DocsStoreError({ operation, cause })
    }).pipe(Effect.uninterruptible)
  }
}

/** A failure of the store of blobs is one of the documents that are in it. */
export const contentFailed = (cause: BlobStoreError): DocsStoreError =>
  new DocsStoreError({ operation: "keep contents", cause })
