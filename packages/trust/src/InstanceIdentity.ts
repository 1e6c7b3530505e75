/**
 * Credentials tied to a cloud instance (Aster admission, instance identity): attributes name a provider, and the
 * presenter proves with a token of that provider that it runs where the credential says.
 *
 * No verifier is built in, so a credential that asks for one admits nobody until its provider's verifier is given. A
 * verifier has to check the token's signature against pinned keys of the provider, and should demand that the token was
 * made for this endpoint id. It must not ask the metadata service of its own machine.
 *
 * @since 0.1.0
 */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Attributes } from "./Credential.ts"

/** What the token has to prove; absent parts are not asked for. @since 0.1.0 */
export interface InstanceClaims {
  readonly endpointId: EndpointId
  readonly account: string | undefined
  readonly region: string | undefined
  readonly roleArn: string | undefined
}

/** Whether a token proves the claims. @since 0.1.0 */
export type Verifier = (token: string, claims: InstanceClaims) => Effect.Effect<boolean>

/** Verifiers by provider, in lower case. Default: none. @since 0.1.0 */
export const Verifiers = Context.Reference<ReadonlyMap<string, Verifier>>(
  "@aster-effect/trust/InstanceIdentity/Verifiers",
  { defaultValue: () => new Map() }
)

/**
 * Whether a credential with these attributes may be used with this token. True when it asks for no instance; false for
 * a provider without a verifier, and when the verifier fails or takes more than 10 seconds.
 *
 * @since 0.1.0
 */
export const verify = Effect.fnUntraced(function* (
  attributes: Attributes,
  token: string,
  endpointId: EndpointId
): Effect.fn.Return<boolean> {
  const provider = attributes.get("aster.iid_provider")
  if (provider === undefined) return true
  const verifier = (yield* Verifiers).get(provider.toLowerCase())
  if (verifier === undefined) return false
  const claims: InstanceClaims = {
    endpointId,
    account: attributes.get("aster.iid_account"),
    region: attributes.get("aster.iid_region"),
    roleArn: attributes.get("aster.iid_role_arn")
  }
  return yield* Effect.suspend(() => verifier(token, claims)).pipe(
    Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.succeed(false) }),
    Effect.catchDefect((defect) => Effect.as(Effect.logError("verifying an instance identity failed", defect), false))
  )
})
