import type { Manifest, ManifestMethod } from "@aster-effect/core/contract/Manifest"
import type { ManifestField } from "@aster-effect/core/contract/ManifestField"

/** A manifest and, where the service itself is at hand, the names of its types by hash. */
export interface Described {
  readonly manifest: Manifest
  readonly typeNames: ReadonlyMap<string, string>
}

const typeText = (field: ManifestField): string => {
  const { itemKind, itemRef, keyKind, kind, nullable, refName, valueKind, valueRef } = field
  const inner =
    itemKind !== undefined
      ? `<${itemRef ?? itemKind}>`
      : keyKind !== undefined
        ? `<${keyKind}, ${valueRef ?? valueKind ?? "any"}>`
        : ""
  return `${inner === "" ? (refName ?? kind) : `${kind}${inner}`}${nullable ? "?" : ""}`
}

const fieldText = (field: ManifestField): string =>
  `${field.name}: ${typeText(field)}${field.required ? "" : ` = ${JSON.stringify(field.defaultValue)}`}`

const messageText = (type: string, fields: ReadonlyArray<ManifestField>): string =>
  fields.length === 0 ? type : `${type} { ${fields.map(fieldText).join(", ")} }`

const methodLines = (method: ManifestMethod): ReadonlyArray<string> => [
  `    ${[
    method.name,
    `(${method.pattern})`,
    ...(method.timeout === null ? [] : [`timeout ${method.timeout} s`]),
    ...(method.idempotent ? ["idempotent"] : [])
  ].join("  ")}`,
  `      request:  ${messageText(method.requestType, method.fields)}`,
  `      response: ${messageText(method.responseType, method.responseFields)}`
]

/** A contract for reading: id, methods, types. */
export const contractLines = ({ manifest, typeNames }: Described): ReadonlyArray<string> => [
  `${manifest.service} v${manifest.version}`,
  `  contract id: ${manifest.contractId}`,
  `  scope:       ${manifest.scoped}`,
  `  modes:       ${manifest.serializationModes.join(", ")}`,
  ...(manifest.semver === null ? [] : [`  release:     ${manifest.semver}`]),
  ...(manifest.vcsRevision === null ? [] : [`  revision:    ${manifest.vcsRevision}`]),
  `  methods:     ${manifest.methods.length}`,
  ...manifest.methods.flatMap(methodLines),
  `  types:       ${manifest.typeHashes.length}`,
  ...manifest.typeHashes.map((hash) => `    ${hash}${typeNames.has(hash) ? `  ${typeNames.get(hash)}` : ""}`)
]
