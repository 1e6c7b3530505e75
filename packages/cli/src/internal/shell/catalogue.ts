import type { AsterClient } from "@aster-effect/client/AsterClient"
import type { Manifest, ManifestMethod } from "@aster-effect/core/contract/Manifest"
import type { ServiceSummary } from "@aster-effect/core/contract/ServiceSummary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { type CliFailure, refused } from "../../CliFailure.ts"
import { typesOf } from "../contractText.ts"
import { notPublished } from "../published.ts"
import { fieldOf, type RequestField } from "./request.ts"

/** What a producer offers, and what is known of it. */
export interface Catalogue {
  /** By name; of several versions the newest, which is the one that is called. */
  readonly services: ReadonlyMap<string, ServiceSummary>
  /** Waits until the contracts that the producer has published are read; why one is not known is its failure. */
  readonly contract: (service: string) => Effect.Effect<Manifest, CliFailure>
  /** The contracts that have been read so far, by the service's name. */
  readonly known: ReadonlyMap<string, Manifest>
}

/** Contracts begin to be read at once, in the background. */
export const make = Effect.fnUntraced(function* (
  aster: AsterClient["Service"],
  timeoutSeconds: number
): Effect.fn.Return<Catalogue, never, Scope.Scope> {
  const services = new Map<string, ServiceSummary>()
  for (const summary of aster.services.toSorted((a, b) => a.version - b.version)) services.set(summary.name, summary)
  const known = new Map<string, Manifest>()
  const problems = new Map<string, CliFailure>()
  const read = Effect.gen(function* () {
    for (const { name, version } of services.values()) {
      const contract = yield* Effect.result(aster.contract(name, version))
      if (Result.isSuccess(contract)) known.set(name, contract.success.manifest)
      else problems.set(name, notPublished(contract.failure))
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: timeoutSeconds * 1000,
      orElse: () => refused(`the contracts could not be read within ${timeoutSeconds} s`)
    })
  )
  const reading = yield* Effect.forkScoped(read)
  return {
    services,
    known,
    contract: (service) =>
      Effect.gen(function* () {
        // One that is there already is worth no less for what became of the others.
        const all = yield* Effect.result(Fiber.join(reading))
        const manifest = known.get(service)
        if (manifest !== undefined) return manifest
        if (Result.isFailure(all)) return yield* all.failure
        return yield* problems.get(service) ?? refused(`the producer does not offer ${service}`)
      })
  }
})

/** The fields of a method's request. */
export const fieldsOf = (manifest: Manifest, method: ManifestMethod): ReadonlyArray<RequestField> => {
  const request = typesOf(manifest)?.[manifest.methods.indexOf(method)]?.request
  const types = request?._tag === "Struct" ? new Map(request.fields().map(({ name, type }) => [name, type])) : undefined
  return method.fields.map((field) => fieldOf(field, types?.get(field.name)))
}
