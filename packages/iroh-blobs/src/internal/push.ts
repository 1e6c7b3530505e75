import type { BiStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection } from "@aster-effect/iroh/Connection"
import * as Effect from "effect/Effect"
import { BlobNotFound } from "../BlobError.ts"
import type { BlobStore } from "../BlobStore.ts"
import { TransferError, type TransferFailure } from "../TransferError.ts"
import type { BlobHash, HashAndFormat } from "../BlobHash.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import * as ChunkRangesSeq from "../ChunkRangesSeq.ts"
import * as Request from "../Request.ts"
import { connectionFailure, failureOf } from "./receive.ts"
import { respond, ResponseWriter } from "./respond.ts"

/**
 * Pushes a blob and the given children. The protocol knows no acknowledgement: a peer of our kind answers when it has
 * stored everything, others at once.
 */
export const pushTo = (
  store: BlobStore["Service"],
  connection: Connection,
  { format, hash }: HashAndFormat,
  children: Iterable<BlobHash>
): Effect.Effect<void, TransferError | BlobNotFound> => {
  const fail = (reason: TransferFailure) => new TransferError({ peer: connection.remoteId, hash, reason })
  const use = Effect.fnUntraced(function* ({ recv, send }: BiStream) {
    const writer = new ResponseWriter(send, "60 seconds")
    const ranges = format === "raw" ? ChunkRangesSeq.single(ChunkRanges.all) : ChunkRangesSeq.everything
    yield* writer.write(Request.encode({ _tag: "Push", hash, ranges }))
    for (const blob of [hash, ...children]) {
      const sent = yield* respond(store, writer, blob, ChunkRanges.all)
      if (!sent) return yield* new BlobNotFound({ hash: blob })
    }
    yield* writer.flush
    yield* send.finish
    while ((yield* recv.read()) !== undefined);
  })
  /** Why the peer takes no more: it says so on its own side of the stream, if it says so at all. */
  const refusal = ({ recv }: BiStream) =>
    recv.read().pipe(
      Effect.timeoutOption("5 seconds"),
      Effect.as(fail({ _tag: "Rejected" })),
      Effect.catch((error) => Effect.succeed(rejected(error)))
    )
  const rejected = (error: StreamError) => {
    const reason = failureOf(error)
    return fail(reason._tag === "NotFound" ? { _tag: "Rejected" } : reason)
  }
  const open = Effect.acquireRelease(
    Effect.mapError(connection.openBi, (cause) => fail(connectionFailure(cause))),
    ({ recv, send }, exit) =>
      exit._tag === "Success"
        ? Effect.void
        : Effect.andThen(send.reset(Request.ErrorCode.Dropped), recv.stop(Request.ErrorCode.Dropped)),
    // A peer that has no room for a stream may never have any.
    { interruptible: true }
  )
  return Effect.flatMap(open, (stream) =>
    Effect.catchTag(use(stream), "StreamError", (error) =>
      error.reason._tag === "StreamStopped" ? Effect.flatMap(refusal(stream), Effect.fail) : rejected(error)
    )
  ).pipe(Effect.scoped)
}
