/**
 * The contract types of a manifest's messages, found by their hashes.
 *
 * The kinds of a manifest are coarser than the contract: `string` may also be a set, a date or a bare union. There are few
 * alternatives for a field, and the manifest holds the hash of every type, which only the right ones have.
 */
import type { FieldDefJson, TypeDefJson } from "../ContractIdentity.ts"
import * as ContractIdentity from "../ContractIdentity.ts"
import type { FieldKind, ManifestField } from "../ManifestField.ts"

/** A message class as a manifest shows it. */
export interface MessageClass {
  /** The wire tag as the manifest has it: that of the class, or its qualified name. */
  readonly tag: string
  readonly fields: ReadonlyArray<ManifestField>
}

/** The types by wire tag, and why there is none for the tags that are left. */
export interface Inferred {
  readonly types: ReadonlyMap<string, { readonly hash: string; readonly def: TypeDefJson }>
  readonly problems: ReadonlyMap<string, string>
}

/** Most types that are tried for one class. */
const MAX_ATTEMPTS = 20_000

type FieldType = Omit<FieldDefJson, "id" | "name">

const NONE = { type_primitive: "", type_ref: "", self_ref_name: "", ref_tracked: false } as const
const NO_KEY = { container_key_kind: "primitive", container_key_primitive: "", container_key_ref: "" } as const

const any: FieldType = { ...NONE, ...NO_KEY, type_kind: "any", optional: false, container: "none" }
const primitive = (name: string): FieldType => ({ ...any, type_kind: "primitive", type_primitive: name })
const ref = (hash: string): FieldType => ({ ...any, type_kind: "ref", type_ref: hash })

const primitives: { readonly [kind in FieldKind]?: string } = {
  string: "string",
  int: "int64",
  float: "float64",
  bool: "bool",
  bytes: "binary"
}

/** What an element, key or value of a kind may be. */
const elements = (
  kind: FieldKind | undefined,
  nullable: boolean,
  hash: string | undefined
): ReadonlyArray<FieldType> => {
  if (nullable || kind === undefined) return [any]
  if (kind === "ref") return hash === undefined ? [any] : [ref(hash)]
  const name = primitives[kind]
  if (name === undefined) return [any]
  return kind === "string" ? [primitive(name), any] : [primitive(name)]
}

const sets = ["string", "int64", "float64", "bool", "binary"].map((name) => primitive(name))

const alternatives = (field: ManifestField, hashOf: (tag: string) => string | undefined): ReadonlyArray<FieldType> => {
  const { kind } = field
  switch (kind) {
    case "string":
      return [
        primitive("string"),
        any,
        primitive("binary"),
        ...[...sets, any].map((element): FieldType => ({ ...element, container: "set" }))
      ]
    case "ref": {
      const hash = hashOf(field.wireTag ?? "")
      return hash === undefined ? [] : [ref(hash)]
    }
    case "enum":
      return [any]
    case "list": {
      const hash = hashOf(field.itemWireTag ?? "")
      if (field.itemKind === "ref" && hash === undefined) return []
      const lists = elements(field.itemKind, field.itemNullable === true, hash).map((element): FieldType => ({
        ...element,
        container: "list"
      }))
      return field.itemKind === "string" ? [...lists, any] : lists
    }
    case "map": {
      // A manifest does not say which class the values of a map are, only its simple name.
      if (field.valueKind === "ref") return []
      const maps = elements(field.keyKind, false, undefined).flatMap((key) =>
        elements(field.valueKind, field.valueNullable === true, undefined).map((value): FieldType => ({
          ...value,
          container: "map",
          container_key_kind: key.type_kind,
          container_key_primitive: key.type_primitive
        }))
      )
      return field.keyKind === "string" && field.valueKind === "string" ? [...maps, any] : maps
    }
    default:
      return [primitive(primitives[kind]!)]
  }
}

/** What package and name a tag stands for: one pair where it is the tag of a class, else every way to split a path. */
const namesOf = (tag: string): ReadonlyArray<readonly [packageName: string, name: string]> => {
  const slash = tag.lastIndexOf("/")
  if (slash > 0) return [[tag.slice(0, slash), tag.slice(slash + 1)]]
  const parts = tag.split(".")
  return parts.slice(1).map((_, i) => [parts.slice(0, i + 1).join("."), parts.slice(i + 1).join(".")] as const)
}

export const inferTypes = (classes: ReadonlyArray<MessageClass>, typeHashes: ReadonlyArray<string>): Inferred => {
  const known = new Set(typeHashes)
  const types = new Map<string, { readonly hash: string; readonly def: TypeDefJson }>()
  const problems = new Map<string, string>()
  // A class can be told once those it refers to are.
  for (let found = true; found;) {
    found = false
    for (const message of classes) {
      if (types.has(message.tag)) continue
      const result = infer(message, known, (tag) => types.get(tag)?.hash)
      if (typeof result === "string") {
        problems.set(message.tag, result)
        continue
      }
      types.set(message.tag, result)
      problems.delete(message.tag)
      found = true
    }
  }
  return { types, problems }
}

const infer = (
  { fields, tag }: MessageClass,
  known: ReadonlySet<string>,
  hashOf: (tag: string) => string | undefined
): { readonly hash: string; readonly def: TypeDefJson } | string => {
  const names = namesOf(tag)
  if (names.length === 0) return `${tag}: the manifest does not say which package or module the class is of`
  const choices = fields.map((field) => alternatives(field, hashOf))
  const lacking = fields.find((_, i) => choices[i]!.length === 0)
  if (lacking !== undefined) {
    const of = lacking.refName ?? lacking.itemRef ?? lacking.valueRef ?? "its class"
    return `${tag}.${lacking.name}: the manifest does not list the fields of ${of}`
  }
  let attempts = 0
  for (const picks of combinations(choices.map(({ length }) => length))) {
    for (const [packageName, name] of names) {
      if (++attempts > MAX_ATTEMPTS) return `${tag}: its fields could be of too many types`
      const def: TypeDefJson = {
        kind: "message",
        package: packageName,
        name,
        fields: fields.map((field, i) => ({
          id: i + 1,
          name: field.name,
          ...choices[i]![picks[i]!]!,
          optional: field.nullable
        })),
        enum_values: [],
        union_variants: []
      }
      const hash = ContractIdentity.typeHash(def)
      if (known.has(hash)) return { hash, def }
    }
  }
  return `${tag}: no types of its fields have a hash that the manifest lists`
}

/** All picks of one alternative for each field, those with the fewest others than the first ones before the rest. */
function* combinations(lengths: ReadonlyArray<number>): Generator<ReadonlyArray<number>> {
  for (let others = 0; others <= lengths.length; others++) yield* withOthers(lengths, others)
}

function* withOthers(lengths: ReadonlyArray<number>, others: number): Generator<ReadonlyArray<number>> {
  const [length, ...rest] = lengths
  if (length === undefined) {
    if (others === 0) yield []
    return
  }
  if (others <= rest.length) for (const picks of withOthers(rest, others)) yield [0, ...picks]
  if (others === 0) return
  for (let pick = 1; pick < length; pick++) for (const picks of withOthers(rest, others - 1)) yield [pick, ...picks]
}
