/**
 * The registry document of a server: what it serves, for tools that have no definitions of it.
 *
 * @since 0.1.0
 */
import type * as Service from "@aster-effect/core/service/Service"
import type { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { Docs } from "@aster-effect/iroh-docs/Docs"
import type { DocumentId } from "@aster-effect/iroh-docs/DocumentId"
import * as Publication from "@aster-effect/registry/Publication"
import * as Effect from "effect/Effect"

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
