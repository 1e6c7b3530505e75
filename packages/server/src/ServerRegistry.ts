/**
 * The registry document of a server: what it serves, for tools that have no definitions of it.
 *
 * @since 0.1.0
 */
import type * as Service from "@aster-effect/core/service/Service"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { Document } from "@aster-effect/iroh-docs/Document"
import type { Docs } from "@aster-effect/iroh-docs/Docs"
import type { DocumentId } from "@aster-effect/iroh-docs/DocumentId"
import * as DocTicket from "@aster-effect/iroh-docs/DocTicket"
import * as DownloadPolicy from "@aster-effect/iroh-docs/DownloadPolicy"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Leases from "@aster-effect/registry/Leases"
import * as Publisher from "@aster-effect/registry/Publisher"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"

/** What a server publishes, and where. */
export interface RegistryOptions {
  readonly docs: Docs["Service"]
  readonly blobs: Blobs["Service"]
  readonly node: IrohNode["Service"]
  readonly services: ReadonlyArray<Service.Any>
}

/** The registry document of a server. */
export interface OwnRegistry {
  /** The document; undefined while there is none. */
  readonly document: () => DocumentId | undefined
  /** Whether every contract stands in it. */
  readonly isPublished: () => boolean
}

/** Before something that failed is tried again: at first, and at most. */
const RETRY = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("30 seconds")])

/** Says once why something does not come about, and answers when it has. */
const persistent = <A, E, R>(what: string, attempt: Effect.Effect<A, E, R>): Effect.Effect<A, never, R> => {
  let failures = 0
  return attempt.pipe(
    Effect.sandbox,
    Effect.tapError((cause) => {
      const log = failures++ === 0 ? Effect.logWarning : Effect.logDebug
      return log(`${what}; it is tried again`, cause)
    }),
    Effect.retry(RETRY),
    Effect.orDie
  )
}

/**
 * Publishes the contracts of services in the server's registry document, keeps them published until the scope closes, and
 * lets consumers read it. A server works without: what goes wrong is logged and tried again. Answers when it was tried once.
 *
 * @since 0.1.0
 */
export const publish = Effect.fnUntraced(function* (
  options: RegistryOptions
): Effect.fn.Return<OwnRegistry, never, Scope.Scope> {
  const { docs, node } = options
  let document: Document | undefined
  let publisher: Publisher.Publisher | undefined
  const tried = yield* Deferred.make<void>()
  const opening = Effect.gen(function* () {
    const opened = yield* docs.named("aster/registry")
    yield* opened.startSync()
    const author = yield* docs.authors.default
    document = opened
    publisher = yield* Publisher.make({ ...options, author, document: opened, address: node.address })
    return publisher
  }).pipe(Effect.ensuring(Deferred.succeed(tried, undefined)))
  // The program may drop the document. Then there is another one.
  const kept = Effect.gen(function* () {
    const { ended } = yield* persistent("The contracts are not published: there is no registry document", opening)
    yield* ended
    document = publisher = undefined
    yield* Effect.logWarning("The registry document was dropped; there will be another one")
    yield* Effect.sleep("1 second")
  }).pipe(Effect.scoped)
  yield* Effect.forkScoped(Effect.forever(kept))
  yield* Deferred.await(tried)
  return {
    document: () => document?.id,
    isPublished: () => publisher?.problems().size === 0
  }
})

/** A server's place in a registry that producers share. @since 0.1.0 */
export interface Leased {
  /** Tells consumers that the server drains. */
  readonly sayDraining: Effect.Effect<void>
  /** Why consumers do not find the server there, in words for an operator; undefined when they do. */
  readonly problem: Effect.Effect<string | undefined>
}

/** Between attempts to join a registry. */
const JOIN_INTERVAL = "15 seconds"

/**
 * Publishes the contracts in a registry that producers share, and holds a lease there for each service until the scope
 * closes. A registry that cannot be joined is not fatal: it is a problem of the server's, and tried again.
 *
 * @param options.ticket of the registry's document, for writing
 * @since 0.1.0
 */
export const lease = Effect.fnUntraced(function* (
  options: RegistryOptions & { readonly ticket: string }
): Effect.fn.Return<Leased, never, Scope.Scope> {
  const { docs, node, services, ticket } = options
  const scope = yield* Effect.scope
  let leases: ReadonlyArray<Leases.HeldLease> | undefined
  let draining = false
  const joining = Effect.gen(function* () {
    const { capability, nodes } = yield* Effect.try(() => DocTicket.decode(ticket))
    const document = yield* docs.import(capability)
    // Others write there too.
    yield* document.setDownloadPolicy({ ...DownloadPolicy.everything, maxSize: MAX_CONTENT })
    yield* document.startSync(nodes)
    const author = yield* docs.authors.default
    yield* Publisher.make({ ...options, document, author, address: node.address })
    leases = yield* Effect.forEach(services, (service) =>
      Leases.hold({
        document,
        terms: {
          alpn: RpcConnection.ALPN,
          contractId: service.contract.contractId,
          endpointId: node.endpointId,
          serializationModes: service.description.serializationModes.map(spelled),
          service: service.name,
          version: service.version
        },
        address: Effect.map(node.address, ({ directAddresses, relayUrl }) => ({
          directAddrs: directAddresses,
          relayUrl
        }))
      })
    )
  })
  // What half an attempt holds goes before the next.
  const join = Effect.gen(function* () {
    const own = yield* Scope.fork(scope)
    yield* joining.pipe(
      Scope.provide(own),
      Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(own, exit)))
    )
  })
  const first = yield* Effect.exit(join)
  if (Exit.isFailure(first)) {
    if (Cause.hasInterruptsOnly(first.cause)) return yield* Effect.interrupt
    yield* Effect.logWarning(
      "The registry was not joined: nobody finds this server there; it is tried again",
      first.cause
    )
    yield* Effect.gen(function* () {
      while (leases === undefined && !draining) {
        yield* Effect.sleep(JOIN_INTERVAL)
        yield* Effect.matchCauseEffect(join, {
          onFailure: (cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.logDebug("The registry was not joined", cause),
          onSuccess: () => Effect.logInfo("The registry was joined")
        })
      }
    }).pipe(Effect.forkScoped)
  }
  return {
    sayDraining: Effect.suspend(() => {
      draining = true
      return Effect.ignore(
        Effect.forEach(leases ?? [], ({ setHealth }) => setHealth("draining"), { discard: true }),
        { log: true }
      )
    }),
    problem: Effect.suspend(() =>
      leases === undefined
        ? Effect.succeed("registry: it was not joined, and nobody finds this server there")
        : Effect.map(
            Effect.forEach(leases, ({ problem }) => problem),
            (problems) => {
              const found = problems.find((problem) => problem !== undefined)
              return found === undefined ? undefined : `registry: ${found}`
            }
          )
    )
  }
})

/** Contents of others in a registry that are fetched: manifests, at most. In bytes. */
const MAX_CONTENT = 4 * 1024 * 1024

/** As release 0.1.2 spells it in leases. */
const spelled = (mode: string): string => (mode === "xlang" ? "fory-xlang" : mode)
