/** Attacks on a deployment, as docs/security.md lists them, and what has to come of them on every transport. */
import { attacksOnCapacity } from "./attacks/Capacity.ts"
import { attacksOnConsumers } from "./attacks/Consumers.ts"
import { attacksOnCredentials } from "./attacks/Credentials.ts"
import { attacksOnGates } from "./attacks/Gates.ts"
import { attacksOnRoles } from "./attacks/Roles.ts"
import type { Transport } from "./Scenarios.ts"

export const attacks = <R>(transport: Transport<R>): void => {
  attacksOnCredentials(transport)
  attacksOnCapacity(transport)
  attacksOnRoles(transport)
  attacksOnGates(transport)
  attacksOnConsumers(transport)
}
