/** Which producer to call, as a registry says. */
import type { AuthorId } from "@aster-effect/iroh-docs/AuthorId"
import {
  type DocsStoreError,
  DocTicketError,
  type DocumentNotFound,
  type SyncFailed
} from "@aster-effect/iroh-docs/DocsError"
import * as DocTicket from "@aster-effect/iroh-docs/DocTicket"
import * as DownloadPolicy from "@aster-effect/iroh-docs/DownloadPolicy"
import type * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Lease from "@aster-effect/registry/Lease"
import * as RegistryProducers from "@aster-effect/registry/RegistryProducers"
import type * as Resolver from "@aster-effect/registry/Resolver"
import type { Producers } from "@aster-effect/transport/Producers"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { AsterClient } from "../AsterClient.ts"

/** Why a registry does not say whom to call. */
export type RegistryFailure = DocTicketError | DocsStoreError | DocumentNotFound | SyncFailed | Resolver.ServiceNotFound

export const parse = (ticket: string): Effect.Effect<DocTicket.DocTicket, DocTicketError> =>
  Effect.try({
    try: () => DocTicket.decode(ticket.trim()),
    catch: (error) => (error instanceof DocTicketError ? error : new DocTicketError({ problem: String(error) }))
  })

export interface LookupOptions<E, R> {
  readonly ticket: DocTicket.DocTicket
  readonly wanted: Resolver.Wanted
  readonly owner: AuthorId | undefined
  /** Connects to a node of the registry. */
  readonly connect: (node: NodeAddr.NodeAddr) => Effect.Effect<AsterClient["Service"], E, R | Scope.Scope>
}

/**
 * The producers of what is wanted, as a registry knows them, until the scope closes. The registry is read at the first of its
 * nodes that lets us in, and followed at all of them.
 */
export const follow = Effect.fnUntraced(function* <E, R>({
  connect,
  owner,
  ticket,
  wanted
}: LookupOptions<E, R>): Effect.fn.Return<Producers, E | RegistryFailure, R | Scope.Scope> {
  const scope = yield* Effect.scope
  const reader = yield* Effect.firstSuccessOf(ticket.nodes.map((node) => held(scope, connect(node))))
  const document = yield* reader.docs.import(ticket.capability)
  // Nothing that is larger is read here, and whoever may write there could fill the memory with it.
  yield* document.setDownloadPolicy({ ...DownloadPolicy.everything, maxSize: Lease.MAX_BYTES })
  yield* Effect.firstSuccessOf(ticket.nodes.map((node) => document.syncWith(node)))
  const producers = yield* RegistryProducers.make({ document, owner, wanted })
  yield* document.startSync(ticket.nodes)
  return producers
})

/** Runs in a scope of its own, which goes with the outer one if this succeeds, and at once if not. */
const held = <A, E, R>(outer: Scope.Scope, effect: Effect.Effect<A, E, R | Scope.Scope>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(outer)
    return yield* effect.pipe(
      Scope.provide(scope),
      Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
    )
  })
