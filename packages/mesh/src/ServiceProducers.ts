/**
 * Which producers serve a service, as the members of a mesh say: for clients that choose one of several.
 *
 * @since 0.1.0
 */
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { Producer } from "@aster-effect/transport/Producers"
import type { Member } from "./Member.ts"

/** A service that is looked for. @since 0.1.0 */
export interface Wanted {
  readonly service: string
  /** Default: any. */
  readonly version?: number | undefined
  /** 64 hex digits. Default: any. */
  readonly contractId?: string | undefined
}

/**
 * Those members that say that they serve a service and are `ready`, `degraded` or `draining`; not those whose clock is wrong.
 * Where one says nothing about its address, it is its id alone.
 *
 * @since 0.1.0
 */
export const of = (members: ReadonlyArray<Member>, wanted: Wanted): ReadonlyArray<Producer> =>
  members.flatMap(({ endpointId, isolated, leases }) => {
    if (isolated) return []
    const lease = leases.find(
      ({ contractId, service, version }) =>
        service === wanted.service &&
        version === (wanted.version ?? version) &&
        contractId === (wanted.contractId ?? contractId)
    )
    return lease === undefined || !isKnown(lease.health)
      ? []
      : [{ address: lease.address ?? NodeAddr.make(endpointId), health: lease.health }]
  })

const isKnown = (health: string): health is NonNullable<Producer["health"]> =>
  health === "ready" || health === "degraded" || health === "draining"

/** Whether two lists say the same. @since 0.1.0 */
export const isSame = (a: ReadonlyArray<Producer>, b: ReadonlyArray<Producer>): boolean =>
  JSON.stringify(a) === JSON.stringify(b)
