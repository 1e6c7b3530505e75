/**
 * The protocol by which members of topics talk to each other.
 *
 * @since 0.1.0
 */
import type { Protocol } from "@aster-effect/iroh/Router"
import { ALPN as alpn } from "./internal/alpn.ts"
import { Gossip } from "./Gossip.ts"

/** The ALPN of the protocol, from version 0.90 of the reference on. */
export const ALPN: string = alpn

/** Lets peers come to the topics of this node; give it to a router. */
export const protocol: Protocol<Gossip> = {
  alpn,
  handler: (connection, draining) => Gossip.use((gossip) => gossip.accept(connection, draining))
}
