/**
 * Producers that a client may call, as a list, a registry or a mesh knows them.
 *
 * @since 0.1.0
 */
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** One producer, as its source knows it. Only what it proves itself when it is dialled counts for trust. @since 0.1.0 */
export interface Producer {
  readonly address: NodeAddr.NodeAddr
  /** `ready` ones are called first, `degraded` ones when no other is left, `draining` ones get no new calls. Default `ready`. */
  readonly health?: "ready" | "degraded" | "draining" | undefined
  /** How much it has to do, from 0, idle, to 1. Default: not known. */
  readonly load?: number | undefined
}

/**
 * Where producers are learnt from. Who is left out of a later list gets no new calls, and calls that run there end as they
 * would. At most {@link MAX_PRODUCERS} of a list count; of several with one endpoint id, the first.
 *
 * @since 0.1.0
 */
export interface Producers {
  /** Whom it knows now. */
  readonly get: Effect.Effect<ReadonlyArray<Producer>>
  /** Whom it knows now, at once, and again after each change. */
  readonly changes: Stream.Stream<ReadonlyArray<Producer>>
}

/** Most producers of a list that count. @since 0.1.0 */
export const MAX_PRODUCERS = 1024

/**
 * Producers that are known beforehand: tickets, base64 node addresses, or endpoint ids of 64 hex digits.
 *
 * @throws TicketError for what is no address
 * @since 0.1.0
 */
export const fromList = (addresses: ReadonlyArray<string | NodeAddr.NodeAddr>): Producers => {
  const producers = addresses.map((address): Producer => ({
    address: typeof address === "string" ? NodeAddr.parse(address) : address
  }))
  return { get: Effect.succeed(producers), changes: Stream.concat(Stream.succeed(producers), Stream.never) }
}
