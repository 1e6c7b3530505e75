import type { Manifest, ManifestMethod } from "@aster-effect/core/contract/Manifest"
import { ManifestError } from "@aster-effect/core/contract/ManifestError"
import type { JsonValue, ManifestDocumentation, ManifestField } from "@aster-effect/core/contract/ManifestField"
import type { MethodTypes } from "@aster-effect/core/contract/ManifestTypes"
import * as ManifestTypes from "@aster-effect/core/contract/ManifestTypes"
import type { WireType } from "@aster-effect/core/message/WireType"

/** A manifest and, where the service itself is at hand, the names of its types by hash. */
export interface Described {
  readonly manifest: Manifest
  readonly typeNames: ReadonlyMap<string, string>
}

/** What a manifest of release 0.1.2 says of a field's type. */
const kindText = (field: ManifestField): string => {
  const { itemKind, itemRef, keyKind, kind, nullable, refName, valueKind, valueRef } = field
  const inner =
    itemKind !== undefined
      ? `<${itemRef ?? itemKind}>`
      : keyKind !== undefined
        ? `<${keyKind}, ${valueRef ?? valueKind ?? "any"}>`
        : ""
  return `${inner === "" ? (refName ?? kind) : `${kind}${inner}`}${nullable ? "?" : ""}`
}

const scalarTexts: { readonly [scalar: string]: string } = { float64: "float" }

/** What exactly travels. */
const wireText = (type: WireType): string => {
  switch (type._tag) {
    case "Scalar":
      return scalarTexts[type.scalar] ?? type.scalar
    case "List":
      return `list<${wireText(type.element)}>`
    case "Set":
      return `set<${wireText(type.element)}>`
    case "Map":
      return `map<${wireText(type.key)}, ${wireText(type.value)}>`
    case "Optional":
      return `${wireText(type.of)}?`
    case "Enum":
    case "Struct":
      return type.name.name
    case "AnyRecord":
      return "map<string, any>"
    case "AnyList":
      return "list<any>"
    case "Any":
      return "any"
  }
}

const notes = ({ deprecated, deprecation, description }: ManifestDocumentation): ReadonlyArray<string> => [
  ...(description === undefined ? [] : [description]),
  ...(deprecated === true ? [`deprecated${deprecation === undefined ? "" : `: ${deprecation}`}`] : [])
]

const fieldText = (field: ManifestField, type: WireType | undefined): string =>
  `${field.name}: ${type === undefined ? kindText(field) : wireText(type)}${field.required ? "" : ` = ${shown(field.defaultValue)}`}`

const shown = (value: JsonValue): string => (typeof value === "bigint" ? String(value) : JSON.stringify(value))

const messageText = (label: string, fields: ReadonlyArray<ManifestField>, type: WireType | undefined): string => {
  if (fields.length === 0) return type === undefined || type._tag === "Struct" ? label : wireText(type)
  const types = type?._tag === "Struct" ? new Map(type.fields().map((field) => [field.name, field.type])) : undefined
  return `${label} { ${fields.map((field) => fieldText(field, types?.get(field.name))).join(", ")} }`
}

const methodLines = (method: ManifestMethod, types: MethodTypes | undefined): ReadonlyArray<string> => [
  `    ${[
    method.name,
    `(${method.pattern})`,
    ...(method.timeout === null ? [] : [`timeout ${method.timeout} s`]),
    ...(method.idempotent ? ["idempotent"] : [])
  ].join("  ")}`,
  ...notes(method).map((note) => `      ${note}`),
  `      request:  ${messageText(method.requestType, method.fields, types?.request)}`,
  `      response: ${messageText(method.responseType, method.responseFields, types?.response)}`,
  ...[...method.fields, ...method.responseFields].flatMap((field) =>
    notes(field).map((note) => `        ${field.name}: ${note}`)
  )
]

/** What travels in each method, where the manifest says so. */
export const typesOf = ({ methods }: Manifest): ReadonlyArray<MethodTypes> | undefined => {
  const typed = methods.flatMap(({ name, wireTypes }) => (wireTypes === undefined ? [] : [{ name, wireTypes }]))
  if (typed.length < methods.length) return undefined
  try {
    return ManifestTypes.decode(typed)
  } catch (error) {
    // The rest of the manifest can be shown all the same.
    if (error instanceof ManifestError) return undefined
    throw error
  }
}

/** What a service is for, and its methods. */
export const serviceLines = (manifest: Manifest): ReadonlyArray<string> => {
  const types = typesOf(manifest)
  return [
    `${manifest.service} v${manifest.version}${manifest.scoped === "session" ? "  session" : ""}`,
    ...notes(manifest).map((note) => `  ${note}`),
    ...manifest.methods.flatMap((method, i) => methodLines(method, types?.[i]))
  ]
}

/** One method with its messages. */
export const linesOfMethod = (manifest: Manifest, name: string): ReadonlyArray<string> => {
  const at = manifest.methods.findIndex((method) => method.name === name)
  const method = manifest.methods[at]
  return method === undefined ? [] : methodLines(method, typesOf(manifest)?.[at]).map((line) => line.slice(4))
}

/** A contract for reading: id, methods, types. */
export const contractLines = ({ manifest, typeNames }: Described): ReadonlyArray<string> => {
  const types = typesOf(manifest)
  return [
    `${manifest.service} v${manifest.version}`,
    ...notes(manifest).map((note) => `  ${note}`),
    `  contract id: ${manifest.contractId}`,
    `  scope:       ${manifest.scoped}`,
    `  modes:       ${manifest.serializationModes.join(", ")}`,
    ...(manifest.semver === null ? [] : [`  release:     ${manifest.semver}`]),
    ...(manifest.vcsRevision === null ? [] : [`  revision:    ${manifest.vcsRevision}`]),
    `  methods:     ${manifest.methods.length}`,
    ...manifest.methods.flatMap((method, i) => methodLines(method, types?.[i])),
    `  types:       ${manifest.typeHashes.length}`,
    ...manifest.typeHashes.map((hash) => `    ${hash}${typeNames.has(hash) ? `  ${typeNames.get(hash)}` : ""}`)
  ]
}
