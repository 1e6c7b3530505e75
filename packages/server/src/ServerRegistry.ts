/**
 * The registry document of a server: what it serves, for tools that have no definitions of it.
 *
 * @since 0.1.0
 */
import type * as Service from "@aster-effect/core/service/Service"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { Docs } from "@aster-effect/iroh-docs/Docs"
import type { DocumentId } from "@aster-effect/iroh-docs/DocumentId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Leases from "@aster-effect/registry/Leases"
import * as Publication from "@aster-effect/registry/Publication"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Publishes the contracts of services in the server's registry document and lets consumers read it. A server works without:
 * what goes wrong is logged, and the document is what was written of it; undefined when there is none.
 *
 * @since 0.1.0
 */
export const publish = Effect.fnUntraced(function* (
  docs: Docs["Service"],
  blobs: Blobs["Service"],
  services: ReadonlyArray<Service.Any>
): Effect.fn.Return<DocumentId | undefined> {
  const opened = Effect.gen(function* () {
    const document = yield* docs.named("aster/registry")
    yield* document.startSync()
    return { document, author: yield* docs.authors.default }
  })
  const registry = yield* Effect.catchCause(opened, (cause) =>
    Effect.as(Effect.logWarning("The contracts are not published: there is no registry document", cause), undefined)
  )
  if (registry === undefined) return undefined
  yield* Effect.forEach(
    services,
    (service) =>
      Effect.catchCause(Publication.publish({ ...registry, blobs }, service), (cause) =>
        Effect.logWarning(`The contract of ${service.name} v${service.version} is not published`, cause)
      ),
    { discard: true }
  )
  return registry.document.id
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
export const lease = Effect.fnUntraced(function* (options: {
  readonly docs: Docs["Service"]
  readonly blobs: Blobs["Service"]
  readonly node: IrohNode["Service"]
  readonly services: ReadonlyArray<Service.Any>
  readonly ticket: string
}): Effect.fn.Return<Leased, never, Scope.Scope> {
  const { blobs, docs, node, services, ticket } = options
  const scope = yield* Effect.scope
  let leases: ReadonlyArray<Leases.HeldLease> | undefined
  let draining = false
  const joining = Effect.gen(function* () {
    const document = yield* docs.join(ticket)
    const author = yield* docs.authors.default
    const held = yield* Effect.forEach(services, (service) =>
      Effect.gen(function* () {
        yield* Publication.publish({ document, author, blobs }, service)
        return yield* Leases.hold({
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
      })
    )
    leases = held
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

/** As release 0.1.2 spells it in leases. */
const spelled = (mode: string): string => (mode === "xlang" ? "fory-xlang" : mode)
