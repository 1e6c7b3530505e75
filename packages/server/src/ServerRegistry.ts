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
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

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

/**
 * Publishes the contracts in a registry that producers share, and holds a lease there for each service until the scope
 * closes. Answers how to say that the server drains; a registry that cannot be joined is logged, and is not fatal.
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
}): Effect.fn.Return<Effect.Effect<void>, never, Scope.Scope> {
  const { blobs, docs, node, services, ticket } = options
  const joined = Effect.gen(function* () {
    const document = yield* docs.join(ticket)
    const author = yield* docs.authors.default
    return yield* Effect.forEach(services, (service) =>
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
  })
  const leases = yield* Effect.catchCause(joined, (cause) =>
    Effect.as(Effect.logWarning("The registry was not joined: nobody finds this server there", cause), [])
  )
  return Effect.ignore(
    Effect.forEach(leases, ({ setHealth }) => setHealth("draining"), { discard: true }),
    { log: true }
  )
})

/** As release 0.1.2 spells it in leases. */
const spelled = (mode: string): string => (mode === "xlang" ? "fory-xlang" : mode)
