/**
 * The question that every incoming connection is put before it is served.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { EndpointId } from "./EndpointId.ts"

/**
 * Asked by the `Router` about every incoming connection before any stream of it is accepted (Aster admission, Gate 0).
 * The id is the one that the handshake has proven. Protocols by which peers get admitted in the first place are for the
 * gate to let through. By default everybody is admitted.
 *
 * @since 0.1.0
 */
export const ConnectionGate = Context.Reference<{
  readonly admit: (remoteId: EndpointId, alpn: string) => Effect.Effect<boolean>
}>("@aster-effect/iroh/ConnectionGate", { defaultValue: () => ({ admit: () => Effect.succeed(true) }) })
