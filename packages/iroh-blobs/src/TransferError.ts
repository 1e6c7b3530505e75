/**
 * What can go wrong between peers.
 *
 * @since 0.1.0
 */
import type { ConnectionLost } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { ConnectError } from "@aster-effect/iroh/NodeError"
import type { StreamError } from "@aster-effect/iroh/BiStream"
import * as Data from "effect/Data"
import * as BlobHash from "./BlobHash.ts"

/** Why a transfer with one peer ended early. What had been verified before was kept. */
export type TransferFailure =
  /** The peer has nothing of the blob, or not all of what was asked for. */
  | { readonly _tag: "NotFound" }
  /** The peer sent something else than the blob: it lies, or its store is damaged. Do not trust it. */
  | { readonly _tag: "Corrupt"; readonly detail: string; readonly offset: number }
  /** The peer could not store what was pushed to it. */
  | { readonly _tag: "Rejected" }
  /** The peer broke off in the middle of a message. */
  | { readonly _tag: "BrokenOff" }
  /** The peer does not serve this to us. */
  | { readonly _tag: "Refused" }
  /** The peer closed the connection because we are not among those it lets in (Aster Gate 0). */
  | { readonly _tag: "NotAdmitted" }
  /** The peer is too busy; ask again later. */
  | { readonly _tag: "RateLimited" }
  /** The peer says that the blob has so many bytes, and at most `limit` are taken. Nothing of it was. */
  | { readonly _tag: "TooLarge"; readonly size: number; readonly limit: number }
  /** Nothing came for too long. */
  | { readonly _tag: "Stalled" }
  /** There was no connection to the peer, or it did not last. */
  | { readonly _tag: "Connection"; readonly cause: ConnectError | ConnectionLost | StreamError }

/** A transfer with one peer ended early. */
export class TransferError extends Data.TaggedError("TransferError")<{
  readonly peer: EndpointId
  readonly hash: BlobHash.BlobHash
  readonly reason: TransferFailure
}> {
  override get message(): string {
    return `Blob ${BlobHash.short(this.hash)} with peer ${this.peer.slice(0, 10)}: ${describe(this.reason)}`
  }
}

/** No peer, nor all of them together, could give the whole of what was wanted. Trying again resumes. */
export class DownloadFailed extends Data.TaggedError("DownloadFailed")<{
  readonly hash: BlobHash.BlobHash
  /** What happened with each peer, in the order in which they were asked. */
  readonly failures: ReadonlyArray<TransferError>
}> {
  override get message(): string {
    if (this.failures.length === 0) return `Blob ${this.hash} is not here and no peer to ask was given`
    return `Blob ${this.hash} could not be downloaded. ${this.failures.map(({ message }) => message).join("; ")}`
  }
}

const describe = (reason: TransferFailure): string => {
  switch (reason._tag) {
    case "NotFound":
      return "the peer does not have all of it"
    case "Corrupt":
      return `the peer sent wrong data (${reason.detail}); do not trust it`
    case "Rejected":
      return "the peer could not store it"
    case "BrokenOff":
      return "the peer broke off in the middle"
    case "Refused":
      return "the peer does not permit it"
    case "NotAdmitted":
      return "the peer lets in admitted peers only; ask it for admission first"
    case "RateLimited":
      return "the peer is busy; try again later"
    case "TooLarge":
      return `it has ${reason.size} bytes as the peer says, and at most ${reason.limit} are taken`
    case "Stalled":
      return "the peer cannot be reached, or fell silent"
    case "Connection":
      return reason.cause.message
  }
}
