import type { Identity, Resolved } from "@aster-effect/config/AsterConfig"
import { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import type { IdentityEntry } from "@aster-effect/config/IdentityFile"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Effect from "effect/Effect"
import type { AnchorConflict } from "../GatePolicy.ts"

/** A credential is valid while its expiry is strictly later than the current whole second. */
export const isExpired = (peer: IdentityEntry, nowMillis: number): boolean =>
  peer.expiresAt <= Math.floor(nowMillis / 1000)

/** An entry is only good for the node whose key is in use. */
export const checkEndpoint = Effect.fnUntraced(function* (
  { secretKey, source }: Pick<Resolved, "secretKey" | "source">,
  identity: Pick<Identity, "label">,
  peer: IdentityEntry
): Effect.fn.Return<void, AsterConfigError> {
  const name = peer.name === undefined ? "its entry" : `entry "${peer.name}"`
  if (secretKey === undefined) {
    const detail = `${name} cannot be used without the node's key; add secret_key (base64 of 32 bytes)`
    const origin = { file: identity.label, table: "[node]", key: "secret_key" }
    return yield* new AsterConfigError({ reason: "InvalidValue", origin, detail })
  }
  const own = SecretKey.toEndpointId(secretKey)
  if (peer.endpointId !== undefined && peer.endpointId !== own) {
    const detail = `${name} was issued to ${peer.endpointId}, and the secret key from ${source("secretKey").label} is ${own}`
    const origin = { file: identity.label, table: "[[peers]]", key: "endpoint_id" }
    return yield* new AsterConfigError({ reason: "EndpointMismatch", origin, detail })
  }
})

/** The identity file and the settings name different root keys. */
export const conflictError = ({ configured, identity }: AnchorConflict): AsterConfigError =>
  new AsterConfigError({
    reason: "Conflict",
    origin: { file: identity.source, table: "[[peers]]", key: "root_pubkey" },
    detail: `${identity.key} differs from ${configured.key} (${configured.source}); remove one of the two root keys`
  })
