/** Contracts as producers have published them. */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { Docs } from "@aster-effect/iroh-docs/Docs"
import { SyncFailed } from "@aster-effect/iroh-docs/DocsError"
import type { Document, ReadError } from "@aster-effect/iroh-docs/Document"
import * as DocumentId from "@aster-effect/iroh-docs/DocumentId"
import * as DownloadPolicy from "@aster-effect/iroh-docs/DownloadPolicy"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import * as PublishedContract from "@aster-effect/registry/PublishedContract"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"

/** A producer, and the document that it publishes in. */
export interface Publisher {
  readonly producer: NodeAddr
  /** 64 hex digits, or empty. */
  readonly registryNamespace: string
}

/** Reads the contract of an id. */
export type ReadContract = (
  contractId: string
) => Effect.Effect<PublishedContract.PublishedContract, PublishedContract.ContractUnavailable>

export interface ContractsOptions<E> {
  readonly node: IrohNode["Service"]
  /** Who offers a contract, now. */
  readonly publishers: (contractId: string) => ReadonlyArray<Publisher>
  /** Asks for admission once more. */
  readonly readmit: Effect.Effect<void, E>
}

/** What a registry document of one producer may take: some entries for each of its services. */
const MAX_ENTRIES = 100_000
const MAX_MESSAGE = 8 * 1024 * 1024
const SESSION_TIMEOUT = "30 seconds"

/**
 * Each contract is read once. One that was not found is looked for again with every call, in the documents as they are then.
 * Nothing is opened before the first.
 */
export const make = Effect.fnUntraced(function* <E>({
  node,
  publishers,
  readmit
}: ContractsOptions<E>): Effect.fn.Return<ReadContract, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const turn = Semaphore.makeUnsafe(1)
  const known = new Map<string, PublishedContract.PublishedContract>()
  const open = yield* Effect.cached(
    Layer.buildWithScope(
      Layer.provideMerge(
        Docs.layer({ maxMessage: MAX_MESSAGE, sessionTimeout: SESSION_TIMEOUT }),
        Layer.provideMerge(Blobs.layer, [BlobStore.layerMemory(), Layer.succeed(IrohNode, node)])
      ),
      scope
    )
  )

  /** Reads a contract in the document of one producer, as it is now. */
  const readAt = Effect.fnUntraced(function* (
    contractId: string,
    { producer, registryNamespace }: Publisher
  ): Effect.fn.Return<
    PublishedContract.PublishedContract,
    PublishedContract.ContractUnavailable | ReadError | SyncFailed,
    Scope.Scope
  > {
    const context = yield* open
    const blobs = Context.get(context, Blobs)
    const id = yield* Effect.try({
      try: () => DocumentId.parse(registryNamespace),
      catch: (error) => new PublishedContract.ContractUnavailable({ contractId, detail: String(error) })
    })
    const document = yield* Context.get(context, Docs).import({ _tag: "Read", document: id })
    // Whoever writes there decides what it has; what is read is fetched then, within its limits.
    yield* document.setDownloadPolicy(DownloadPolicy.nothing)
    yield* Effect.raceFirst(document.syncWith(producer), tooMany(document, producer))
    return yield* PublishedContract.read({ document, blobs, from: [producer] }, contractId).pipe(
      // What was fetched has no tag, and is not needed any more.
      Effect.ensuring(Effect.ignore(blobs.collectGarbage, { log: "Debug" }))
    )
  }, Effect.scoped)

  const read = Effect.fnUntraced(function* (contractId: string) {
    const unavailable = (detail: string) => new PublishedContract.ContractUnavailable({ contractId, detail })
    const before = known.get(contractId)
    if (before !== undefined) return before
    const found = Effect.gen(function* () {
      const publishing = publishers(contractId).filter(({ registryNamespace }) => registryNamespace !== "")
      if (publishing.length === 0) return yield* unavailable("the producer publishes no contracts")
      return yield* Effect.firstSuccessOf(publishing.map((publisher) => readAt(contractId, publisher)))
    })
    const contract = yield* found.pipe(
      // It may not know this consumer any more, or publish elsewhere since it was started anew.
      Effect.catchIf(
        (error) => error instanceof SyncFailed,
        (error) => Effect.matchEffect(readmit, { onFailure: () => Effect.fail(error), onSuccess: () => found })
      ),
      Effect.mapError((error) =>
        error instanceof PublishedContract.ContractUnavailable ? error : unavailable(error.message)
      )
    )
    known.set(contractId, contract)
    return contract
  })

  return (contractId) => Semaphore.withPermit(turn, read(contractId))
})

/** Fails when a session brings more entries than the registry of a producer has. */
const tooMany = Effect.fnUntraced(function* (
  document: Document,
  { endpointId }: NodeAddr
): Effect.fn.Return<never, ReadError | SyncFailed, Scope.Scope> {
  const detail = `a producer's registry has at most ${MAX_ENTRIES} entries`
  const events = yield* document.subscribe()
  return yield* events.pipe(
    Stream.filter((event) => event._tag === "SyncProgress" && event.received > MAX_ENTRIES),
    Stream.runHead,
    Effect.andThen(Effect.fail(new SyncFailed({ peer: endpointId, reason: "TooLarge", detail })))
  )
})
