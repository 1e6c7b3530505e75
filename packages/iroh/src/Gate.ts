/**
 * Who may come in.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { EndpointId } from "./EndpointId.ts"

/**
 * Asked by the `Router` about every incoming connection before any stream of it is accepted (Aster Gate 0). The id is
 * the one that the handshake has proven. Protocols by which peers get admitted in the first place are for the gate to
 * let through. By default everybody is admitted.
 */
export const Gate = Context.Reference<{
  readonly admit: (remoteId: EndpointId, alpn: string) => Effect.Effect<boolean>
}>("@aster-effect/iroh/Gate", { defaultValue: () => ({ admit: () => Effect.succeed(true) }) })
