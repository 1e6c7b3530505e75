import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Credential from "@aster-effect/trust/Credential"
import { Gates } from "@aster-effect/trust/Gates"
import * as InstanceIdentity from "@aster-effect/trust/InstanceIdentity"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as AdmissionRequest from "../AdmissionRequest.ts"

/** Why what a peer presents is worth nothing. */
export type VerificationFailure = Credential.Denial | "Malformed" | "NoRoot" | "InstanceIdentity"

/** The credential of a request, when it is one that this peer may use here; nothing is used up and nothing recorded. */
export const verifyRequest = Effect.fnUntraced(function* <C extends Credential.Credential>(
  request: AdmissionRequest.AdmissionRequest,
  peer: EndpointId,
  parse: (json: string) => Result.Result<C, Credential.MalformedCredential>
): Effect.fn.Return<Result.Result<C, VerificationFailure>, never, Gates> {
  const { root } = yield* Gates
  if (root === undefined) return Result.fail("NoRoot")
  const parsed = AdmissionRequest.credentialOf(request, parse)
  if (Result.isFailure(parsed)) return Result.fail("Malformed")
  const credential = parsed.success
  const denial = Credential.check(credential, { root, peer, nowMillis: yield* Clock.currentTimeMillis })
  if (denial !== undefined) return Result.fail(denial)
  const proven = yield* InstanceIdentity.verify(credential.attributes, request.iidToken, peer)
  return proven ? Result.succeed(credential) : Result.fail("InstanceIdentity")
})
