/**
 * What happens to a document.
 *
 * @since 0.1.0
 */
import type { BlobHash } from "@aster-effect/iroh-blobs/BlobHash"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { DocEntry } from "./DocEntry.ts"
import type { SyncFailed } from "./DocsError.ts"

/** How many entries of a peer were refused, by reason. @since 0.1.0 */
export interface Refused {
  /** Of another document. */
  readonly document: number
  /** With a key of more than 2,048 bytes. */
  readonly key: number
  /** Whose length and hash contradict each other. */
  readonly inconsistent: number
  /** More than 10 minutes ahead of this node's clock. */
  readonly future: number
  /** With a wrong signature. */
  readonly signature: number
}

/** What a sync session moved. @since 0.1.0 */
export interface SyncSummary {
  /** Entries that came, new or not. */
  readonly received: number
  /** Entries that went. */
  readonly sent: number
  readonly refused: Refused
}

/**
 * What happens to a document.
 *
 * | event | meaning |
 * |---|---|
 * | `InsertLocal` | an entry was written on this node |
 * | `InsertRemote` | an entry came from a peer; `contentHere` says whether its content is on this node already |
 * | `ContentReady` | the content of this hash has arrived |
 * | `PendingContentReady` | nothing is being fetched any more: everything has arrived, or failed for now |
 * | `SyncProgress` | what a session has moved so far; each message of the peer's gives one |
 * | `SyncFinished` | a session has ended; with an `error` when it did not come to its end |
 * | `NeighborUp`, `NeighborDown` | a peer of the document's swarm is directly connected, or no longer |
 * | `Lagged` | this subscriber was too slow, and missed so many events |
 *
 * @since 0.1.0
 */
export type DocEvent =
  | { readonly _tag: "InsertLocal"; readonly entry: DocEntry }
  | {
      readonly _tag: "InsertRemote"
      readonly entry: DocEntry
      readonly from: EndpointId
      readonly contentHere: boolean
    }
  | { readonly _tag: "ContentReady"; readonly hash: BlobHash }
  | { readonly _tag: "PendingContentReady" }
  | ({ readonly _tag: "SyncProgress"; readonly peer: EndpointId } & SyncSummary)
  | ({
      readonly _tag: "SyncFinished"
      readonly peer: EndpointId
      /** Who began it. */
      readonly origin: "dial" | "accept"
      readonly error: SyncFailed | undefined
    } & SyncSummary)
  | { readonly _tag: "NeighborUp"; readonly peer: EndpointId }
  | { readonly _tag: "NeighborDown"; readonly peer: EndpointId }
  | { readonly _tag: "Lagged"; readonly missed: number }
