/**
 * The manifest a project keeps of its contracts, compared with what is about to be served.
 *
 * @since 0.1.0
 */
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import * as Manifest from "@aster-effect/core/contract/Manifest"
import { ManifestError } from "@aster-effect/core/contract/ManifestError"
import type * as Service from "@aster-effect/core/service/Service"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The manifest records another contract for a service of this name and version: consumers built against it would not
 * understand this server.
 *
 * @since 0.1.0
 */
export class ContractMismatch extends Schema.TaggedError<ContractMismatch>()("ContractMismatch", {
  file: Schema.String,
  service: Schema.String,
  version: Schema.Int,
  recorded: Schema.String,
  actual: Schema.String
}) {
  override get message(): string {
    return (
      `${this.file} records contract ${this.recorded} for ${this.service} v${this.version}, but the service's contract ` +
      `is ${this.actual}: give it a new version, or generate the manifest anew`
    )
  }
}

/** The manifest is there but cannot be read. @since 0.1.0 */
export class ManifestUnreadable extends Schema.TaggedError<ManifestUnreadable>()("ManifestUnreadable", {
  file: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.file} is not a contract manifest (${this.detail}): repair it, generate it anew, or remove it`
  }
}

const MAX_BYTES = 16 * 1024 * 1024

/**
 * Compares services with the manifest in `file`: one, or an array of them. Without the file, and for services it does
 * not mention, there is nothing to compare.
 *
 * @since 0.1.0
 */
export const check = Effect.fnUntraced(function* (
  file: string,
  services: ReadonlyArray<Service.Any>
): Effect.fn.Return<void, ContractMismatch | ManifestUnreadable> {
  const text = yield* BoundedFile.read(file, MAX_BYTES).pipe(
    Effect.map((content) => content.text),
    Effect.catchIf(
      ({ code }) => code === "ENOENT",
      () => Effect.succeed(undefined)
    ),
    Effect.mapError(({ message }) => new ManifestUnreadable({ file, detail: message }))
  )
  if (text === undefined) return
  const manifests = yield* Effect.try({
    try: () => Manifest.parseList(text),
    catch: (error) =>
      new ManifestUnreadable({ file, detail: error instanceof ManifestError ? error.message : String(error) })
  })
  for (const { contract, name, version } of services) {
    const recorded = manifests.find((manifest) => manifest.service === name && manifest.version === version)
    if (recorded === undefined || recorded.contractId === contract.contractId) continue
    const ids = { recorded: recorded.contractId, actual: contract.contractId }
    return yield* new ContractMismatch({ file, service: name, version, ...ids })
  }
})
