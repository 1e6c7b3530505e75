/**
 * Documents as programs use them: keys and values that several nodes share and each may change.
 *
 * @since 0.1.0
 */
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type * as Router from "@aster-effect/iroh/Router"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Authors } from "./Authors.ts"
import type { Capability } from "./Capability.ts"
import type { DocsStoreError, DocTicketError, DocumentNotFound } from "./DocsError.ts"
import type { DocEvent } from "./DocEvent.ts"
import type { DocTicket } from "./DocTicket.ts"
import type { Document } from "./Document.ts"
import type { DocumentId } from "./DocumentId.ts"
import * as docs from "./internal/docs.ts"
import * as syncer from "./internal/syncer.ts"

/** The ALPN of the protocol. @since 0.1.0 */
export const ALPN = syncer.ALPN

/** How documents are kept and shared. @since 0.1.0 */
export interface DocsOptions {
  /** Where they are kept. Default: in memory. */
  readonly directory?: string | undefined
  /**
   * What a deletion means for older entries that come later. `final`, the default, keeps them out. `reference` lets them in
   * as iroh-docs up to 0.101 does: then peers that have them bring them back, and every replica has the same in the end.
   */
  readonly deletions?: "final" | "reference" | undefined
  /** Whether a peer may have the entries of a document. Default: whoever knows its id. */
  readonly authorize?: ((peer: EndpointId, document: DocumentId) => Effect.Effect<boolean>) | undefined
  /** Bytes of a message of a session. Default 64 MiB. */
  readonly maxMessage?: number | undefined
  /** How long a peer may be silent in a session. Default 30 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /** How long a session may take. Default 10 minutes. */
  readonly sessionTimeout?: Duration.Input | undefined
  /** Between sessions with neighbours, which find what live changes missed. Default 1 minute. */
  readonly resyncInterval?: Duration.Input | undefined
  /** Peers that contents are fetched from at a time. Default 8. */
  readonly maxDownloads?: number | undefined
}

/** A document that is on this node. @since 0.1.0 */
export interface ListedDocument {
  readonly id: DocumentId
  readonly mode: "read" | "write"
}

/** Documents of this node and its peers. @since 0.1.0 */
export class Docs extends Context.Service<
  Docs,
  {
    /** Makes a document that this node may write. */
    readonly create: Effect.Effect<Document, DocsStoreError>
    /** The document that this node has under a name of its own, which nobody else hears of; made on first use. */
    readonly named: (name: string) => Effect.Effect<Document, DocsStoreError>
    /** A document that is on this node. */
    readonly open: (id: DocumentId) => Effect.Effect<Document, DocumentNotFound | DocsStoreError>
    readonly list: Effect.Effect<ReadonlyArray<ListedDocument>, DocsStoreError>
    /** Removes a document from this node, whatever it is on others. */
    readonly drop: (id: DocumentId) => Effect.Effect<void, DocumentNotFound | DocsStoreError>
    /** Takes a document by a ticket, and starts to sync it with the nodes of the ticket. */
    readonly join: (ticket: string | DocTicket) => Effect.Effect<Document, DocTicketError | DocsStoreError>
    /** The same, with what happens to it from the beginning on. */
    readonly joinAndSubscribe: (
      ticket: string | DocTicket
    ) => Effect.Effect<readonly [Document, Stream.Stream<DocEvent>], DocTicketError | DocsStoreError, Scope.Scope>
    /** Takes a document without syncing it. One that is here for reading may be written from then on; never the reverse. */
    readonly import: (capability: Capability) => Effect.Effect<Document, DocsStoreError>
    /** The secret of a document: who has it may write. */
    readonly secret: (
      id: DocumentId
    ) => Effect.Effect<Redacted.Redacted<Uint8Array> | undefined, DocumentNotFound | DocsStoreError>
    readonly authors: Authors
    /** Serves the sessions that peers begin. Give it to the router of the node. */
    readonly protocol: Router.Protocol
  }
>()("@aster-effect/iroh-docs/Docs") {
  /**
   * Documents on a node, whose contents are blobs of its store. With `Gossip` in the context changes are live; without it
   * they travel in sessions. Where peers are is looked up in the `AddressBook` of the context too, if there is one. Nothing is opened before it is used; what keeps the directory from being opened is the cause
   * of a `DocsStoreError`.
   */
  static readonly layer = (options: DocsOptions = {}): Layer.Layer<Docs, never, Blobs | IrohNode> =>
    Layer.effect(Docs, docs.make(options))
}
