/** What consumers are told of the services when they are admitted. */
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as Role from "@aster-effect/admission/Role"
import * as MessageDigest from "@aster-effect/core/contract/MessageDigest"
import type { ServiceSummary } from "@aster-effect/core/contract/ServiceSummary"
import { MAX_ADMISSION_PAYLOAD_SIZE } from "@aster-effect/core/Limits"
import type * as Service from "@aster-effect/core/service/Service"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Effect from "effect/Effect"

/** The services as they are offered at an address. */
export const summariesOf = (
  offered: ReadonlyArray<Service.Any>
): ((at: NodeAddr.NodeAddr) => ReadonlyArray<ServiceSummary>) => {
  const messageDigests = digestsOf(offered)
  return (at) =>
    offered.map((service, i) => ({
      name: service.name,
      version: service.version,
      contractId: service.contract.contractId,
      channels: { rpc: NodeAddr.toBase64(at) },
      pattern: service.scope,
      // As release 0.1.2 has it, an empty list means XLANG, and JSON is always accepted.
      serializationModes: service.description.serializationModes.includes("xlang") ? [] : ["json"],
      messageDigests: messageDigests?.[i]
    }))
}

/** In open mode nothing but a role keeps anybody from calling. */
export const warnOfOpenServices = (services: ReadonlyArray<Service.Any>): Effect.Effect<void> =>
  Effect.forEach(
    services.filter((service) => !service.public && !Role.isGuarded(service)),
    ({ name, version }) =>
      Effect.logWarning(
        `everybody may call ${name} v${version}: every consumer is admitted and it requires no role; admit enrolled ` +
          "consumers only, require a role, or declare the service public"
      ),
    { discard: true }
  )

/** Most of an admission reply that digests of messages may take, in bytes. */
const MAX_DIGEST_SIZE = 16_384

/** What travels in the methods of each service, unless it takes too much room beside what consumers need. */
const digestsOf = (services: ReadonlyArray<Service.Any>) => {
  const digests = services.map(({ description }) => MessageDigest.ofService(description))
  return JSON.stringify(digests).length <= MAX_DIGEST_SIZE ? digests : undefined
}

/** Consumers of the last release read no more. */
export const warnIfTooLarge = Effect.fnUntraced(function* (offer: ConsumerAdmission.Offer) {
  const reply = { ...ConsumerAdmission.denied("0".repeat(64)), ...offer, admitted: true }
  const size = ConsumerAdmission.encodeReply(reply).length
  if (size <= MAX_ADMISSION_PAYLOAD_SIZE) return
  yield* Effect.logWarning(
    `the list of services takes ${size} bytes; consumers of release 0.1.2 read at most ${MAX_ADMISSION_PAYLOAD_SIZE}`
  )
})
