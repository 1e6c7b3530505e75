/**
 * Who calls, for handlers and middleware of an `RpcGroup` that is served over iroh.
 *
 * @since 0.1.0
 */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Context from "effect/Context"

/**
 * The peer behind a call, as the handshake has proven it.
 *
 * @since 0.1.0
 */
export interface Peer {
  readonly id: EndpointId
  /** What it was admitted with; empty where nobody asked. */
  readonly attributes: ReadonlyMap<string, string>
}

/**
 * `const caller = yield* Caller` in a handler: undefined when the call came over something else than iroh, so that a group
 * can be served over several transports.
 *
 * @since 0.1.0
 */
export const Caller = Context.Reference<Peer | undefined>("@aster-effect/effect-rpc/Caller", {
  defaultValue: () => undefined
})
