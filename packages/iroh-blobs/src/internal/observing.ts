import type { Connection } from "@aster-effect/iroh/Connection"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Bitfield from "../Bitfield.ts"
import type { BlobHash } from "../BlobHash.ts"
import type { Observation } from "../Blobs.ts"
import * as ChunkRanges from "../ChunkRanges.ts"
import { TransferError, type TransferFailure } from "../TransferError.ts"
import { readDelimited } from "./byteReader.ts"
import { exchange } from "./fetch.ts"
import { parsed } from "./parsed.ts"
import type { Peers } from "./peers.ts"
import { failureOf } from "./receive.ts"

/** Boundaries of what one peer may say to have: each of its changes, which may be small and many, costs as many steps. */
const MAX_OBSERVED = 131_072

/** What a peer says to have of a blob, now and as it changes. */
export const observe = (peers: Peers, hash: BlobHash, at: NodeAddr): Stream.Stream<Observation, TransferError> =>
  Stream.callback<Observation, TransferError>((queue) =>
    Effect.flatMap(peers.dial(at, hash), (connection) => observeOn(connection, hash, queue)).pipe(
      Effect.catch((error) => Queue.fail(queue, error))
    )
  )

const observeOn = (connection: Connection, hash: BlobHash, queue: Queue.Enqueue<Observation, TransferError>) => {
  const failed = (reason: TransferFailure) => new TransferError({ peer: connection.remoteId, hash, reason })
  const request = { _tag: "Observe", hash, ranges: ChunkRanges.all } as const
  return exchange(
    connection,
    hash,
    request,
    { stallTimeout: "30 seconds" },
    Effect.fnUntraced(function* (reader) {
      let ranges = ChunkRanges.empty
      while (true) {
        const item = yield* Effect.mapError(readDelimited(reader, Bitfield.MAX_ITEM_SIZE), (e) => failed(failureOf(e)))
        if (item === undefined) return yield* failed({ _tag: "BrokenOff" })
        const change = yield* Effect.mapError(
          parsed(() => Bitfield.decodeItem(item)),
          () => failed({ _tag: "BrokenOff" })
        )
        ranges = ChunkRanges.symmetricDifference(ranges, change.ranges)
        // No blob has so many holes; a peer that says so wants our memory.
        if (ranges.length > MAX_OBSERVED) return yield* failed({ _tag: "BrokenOff" })
        yield* Queue.offer(queue, { size: change.size, ranges })
      }
    })
  )
}
