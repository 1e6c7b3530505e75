/**
 * Blobs at a consumer: its own, and those of its producer by hash alone.
 *
 * @since 0.1.0
 */
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { TransferError } from "@aster-effect/iroh-blobs/TransferError"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"

type Service = Blobs["Service"]

/**
 * What `Blobs` can do, with the producer as a peer that need not be named: `download` asks it after everybody else, and
 * it is who `push` and `observe` go to. A consumer serves nobody, so there is nothing to share.
 *
 * @since 0.1.0
 */
export interface ConsumerBlobs extends Omit<Service, "observe" | "push" | "share"> {
  /** Sends a blob, or a hash sequence and all that it lists, to the producer or another peer, which must permit it. */
  readonly push: (content: Parameters<Service["push"]>[0], to?: NodeAddr) => ReturnType<Service["push"]>
  /** What the producer, or another peer, says to have of a blob, now and as it changes. */
  readonly observe: (hash: Parameters<Service["observe"]>[0], at?: NodeAddr) => ReturnType<Service["observe"]>
}

/** @since 0.1.0 */
export interface ConsumerBlobsOptions {
  readonly producer: NodeAddr
  /** Asks the producer for admission once more; done when it refused a connection, before the transfer is tried again. */
  readonly readmit: Effect.Effect<void, RpcError>
}

/**
 * @param blobs has the producer among its usual providers
 * @since 0.1.0
 */
export const make = (blobs: Service, { producer, readmit }: ConsumerBlobsOptions): ConsumerBlobs => {
  const turn = Semaphore.makeUnsafe(1)
  let attempts = 0
  /** Of all transfers that were refused together, one asks. */
  const readmitSince = (seen: number) =>
    Semaphore.withPermit(
      turn,
      Effect.suspend(() =>
        attempts > seen
          ? Effect.void
          : Effect.ensuring(
              readmit,
              Effect.sync(() => attempts++)
            )
      )
    )
  const refused = ({ peer, reason }: TransferError): boolean =>
    peer === producer.endpointId && reason._tag === "NotAdmitted"
  /** Readmitted, tries a refused transfer once more; else the refusal stands. */
  const persistent = <A, E>(transfer: Effect.Effect<A, E>, isRefused: (error: E) => boolean): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const seen = attempts
      return Effect.catchIf(transfer, isRefused, (error) =>
        Effect.matchEffect(readmitSince(seen), { onFailure: () => Effect.fail(error), onSuccess: () => transfer })
      )
    })
  return {
    ...blobs,
    download: (name, options) =>
      persistent(
        blobs.download(name, options),
        (error) => error._tag === "DownloadFailed" && error.failures.some(refused)
      ),
    push: (content, to = producer) =>
      persistent(blobs.push(content, to), (error) => error._tag === "TransferError" && refused(error)),
    observe: (hash, at = producer) =>
      Stream.suspend(() => {
        const seen = attempts
        const observe = blobs.observe(hash, at)
        return Stream.catchIf(observe, refused, (error) =>
          Stream.unwrap(
            Effect.match(readmitSince(seen), { onFailure: () => Stream.fail(error), onSuccess: () => observe })
          )
        )
      })
  }
}
