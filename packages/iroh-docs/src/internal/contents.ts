/** Contents of entries: kept while a document has them, fetched when they are missing. */
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { BlobStoreError } from "@aster-effect/iroh-blobs/BlobError"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { supervise } from "@aster-effect/iroh/Supervisor"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Entry from "../proto/Entry.ts"
import type { OpenDocument } from "./replica.ts"

/** Permits of a lock that writers share and removers have alone. */
const SHARED = 4096
/** Between looks for contents that can go. */
const SWEEP_INTERVAL = "1 minute"
/** Contents that are asked for with one request. */
const BATCH = 64

/** Contents to be fetched from one peer for one document. */
interface Errand {
  readonly document: OpenDocument
  readonly peer: EndpointId
  readonly hashes: Set<BlobHash.BlobHash>
}

export interface Contents {
  /** Runs a change that adds entries with these contents, which are kept from before it on. */
  readonly keeping: <A, E>(
    document: OpenDocument,
    hashes: Iterable<Uint8Array>,
    change: Effect.Effect<A, E>
  ) => Effect.Effect<A, E | BlobStoreError>
  /** Runs a change that adds entries and tags their contents itself, before it does. */
  readonly tagging: <A, E>(change: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Lets go of contents that no entry of the document has any more. */
  readonly release: (
    document: OpenDocument,
    entries: ReadonlyArray<Entry.SignedEntry>
  ) => Effect.Effect<void, BlobStoreError>
  /** Fetches contents from a peer in the background. */
  readonly fetch: (document: OpenDocument, peer: EndpointId, hashes: Iterable<BlobHash.BlobHash>) => Effect.Effect<void>
  /** Which of these are here. */
  readonly present: (hashes: Iterable<BlobHash.BlobHash>) => Effect.Effect<ReadonlySet<string>, BlobStoreError>
}

export interface ContentsOptions {
  readonly blobs: Blobs["Service"]
  readonly addressOf: (peer: EndpointId) => NodeAddr.NodeAddr
  /** Called when contents have arrived, to be noted in the store. */
  readonly arrived: (document: OpenDocument, hashes: ReadonlyArray<BlobHash.BlobHash>) => Effect.Effect<void>
  /** Errands that run at a time. */
  readonly concurrency: number
}

export const make = Effect.fnUntraced(function* ({
  addressOf,
  arrived,
  blobs,
  concurrency
}: ContentsOptions): Effect.fn.Return<Contents, never, Scope.Scope> {
  const lock = Semaphore.makeUnsafe(SHARED)
  const running = yield* FiberSet.make<void>()
  const slots = Semaphore.makeUnsafe(concurrency)
  const errands = new Map<string, Errand>()
  /** Contents that no document has any more; what no other tag keeps is removed, many at a time. */
  const released = new Set<BlobHash.BlobHash>()
  const sweep = Effect.suspend(() => {
    if (released.size === 0) return Effect.void
    const hashes = [...released]
    released.clear()
    return Effect.ignore(blobs.remove(hashes), { log: true })
  })
  const sweeping = Effect.asVoid(Effect.schedule(sweep, Schedule.spaced(SWEEP_INTERVAL)))
  yield* Effect.forkScoped(supervise("the sweep of document contents", sweeping))

  const tagging: Contents["tagging"] = (change) => Semaphore.withPermit(lock, change)

  const keeping: Contents["keeping"] = (document, hashes, change) => {
    const names = new Map([...hashes].map((hash) => [document.tag(hash), BlobHash.fromBytes(hash)]))
    const tag = Effect.forEach(names, ([name, hash]) => blobs.tags.set(name, { hash, format: "raw" }), {
      concurrency: "unbounded",
      discard: true
    })
    return tagging(Effect.andThen(tag, change))
  }

  const release: Contents["release"] = (document, entries) => {
    const unused = () => entries.filter(({ hash }) => !document.stored.refersTo(hash))
    if (unused().length === 0) return Effect.void
    const untag = Effect.suspend(() => {
      const hashes = new Map(unused().map(({ hash }) => [document.tag(hash), BlobHash.fromBytes(hash)]))
      return Effect.forEach(
        hashes,
        ([name, hash]) => Effect.tap(blobs.tags.remove(name), () => Effect.sync(() => released.add(hash))),
        { concurrency: "unbounded", discard: true }
      )
    })
    return Semaphore.withPermits(lock, SHARED, untag)
  }

  const present: Contents["present"] = Effect.fnUntraced(function* (hashes) {
    const here = new Set<string>()
    for (const hash of hashes) if (yield* blobs.has(hash)) here.add(hash)
    return here
  })

  /** Fetches what a peer is to give, until nothing is left of it. */
  const run = Effect.fnUntraced(function* (errand: Errand) {
    const { document, hashes, peer } = errand
    while (hashes.size > 0) {
      const batch = [...hashes].slice(0, BATCH)
      for (const hash of batch) hashes.delete(hash)
      const wanted = batch.filter((hash) => document.stored.isMissing(hash))
      if (wanted.length === 0) continue
      // No more than the entries have said: what is larger is none of their contents.
      const maxBytes = (hash: BlobHash.BlobHash) => document.stored.sizeOf(BlobHash.toBytes(hash))
      yield* blobs.downloadMany(wanted, { from: [addressOf(peer)], tag: false, maxBytes }).pipe(
        Effect.catch((error) => Effect.logDebug("Contents of a document could not be fetched", { peer }, error)),
        Semaphore.withPermit(slots)
      )
      const here = yield* Effect.orElseSucceed(present(wanted), () => new Set<string>())
      const got = wanted.filter((hash) => here.has(hash))
      if (got.length > 0) yield* arrived(document, got)
    }
  })

  const fetch: Contents["fetch"] = (document, peer, hashes) =>
    Effect.suspend(() => {
      const name = `${document.id}${peer}`
      const known = errands.get(name)
      const errand = known ?? { document, peer, hashes: new Set() }
      for (const hash of hashes) errand.hashes.add(hash)
      if (known !== undefined || errand.hashes.size === 0) return Effect.void
      errands.set(name, errand)
      document.fetching++
      const end = Effect.sync(() => {
        errands.delete(name)
        if (--document.fetching === 0) document.subscribers.publish({ _tag: "PendingContentReady" })
      })
      return Effect.asVoid(
        FiberSet.run(
          running,
          run(errand).pipe(
            Effect.catchCause((cause) => Effect.logError("Fetching contents of a document failed", cause)),
            Effect.ensuring(end)
          )
        )
      )
    })

  return { keeping, tagging, release, fetch, present }
})
