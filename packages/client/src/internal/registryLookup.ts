/** Which producer to call, as a registry says. */
import type { AuthorId } from "@aster-effect/iroh-docs/AuthorId"
import {
  type DocsStoreError,
  DocTicketError,
  type DocumentNotFound,
  type SyncFailed
} from "@aster-effect/iroh-docs/DocsError"
import * as DocTicket from "@aster-effect/iroh-docs/DocTicket"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { Lease } from "@aster-effect/registry/Lease"
import * as Resolver from "@aster-effect/registry/Resolver"
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
  readonly registry: DocTicket.DocTicket
  readonly wanted: Resolver.Wanted
  readonly owner: AuthorId | undefined
  readonly connect: (producer: NodeAddr.NodeAddr) => Effect.Effect<AsterClient["Service"], E, R | Scope.Scope>
}

/**
 * Reads the registry at the first of its nodes that lets us in, and connects to the first producer that does: those that
 * serve what is wanted are tried in the registry's order.
 */
export const connect = Effect.fnUntraced(function* <E, R>({
  connect,
  owner,
  registry,
  wanted
}: LookupOptions<E, R>): Effect.fn.Return<AsterClient["Service"], E | RegistryFailure, R | Scope.Scope> {
  const scope = yield* Effect.scope
  /** The first that succeeds; what failed leaves nothing open. */
  const firstOf = <A, E2, R2>(
    candidates: ReadonlyArray<A>,
    attempt: (candidate: A) => Effect.Effect<AsterClient["Service"], E2, R2 | Scope.Scope>
  ) => Effect.firstSuccessOf(candidates.map((candidate) => held(scope, attempt(candidate))))

  const reader = yield* firstOf(registry.nodes, connect)
  const document = yield* reader.docs.import(registry.capability)
  yield* firstOf(registry.nodes, (node) => Effect.as(document.syncWith(node), reader))
  const leases = yield* Resolver.make({ document, owner }).resolve({ strategy: "random", ...wanted })
  return yield* firstOf(leases, (lease) => connect(addressOf(lease)))
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

const addressOf = ({ directAddrs, endpointId, relayUrl }: Lease): NodeAddr.NodeAddr =>
  NodeAddr.make(EndpointId.parse(endpointId), directAddrs, relayUrl)
