/**
 * How a manifest describes a field of a message, so that tools can build and show messages without knowing their
 * classes.
 *
 * @since 0.1.0
 */
import { isJsonArray, isJsonObject, type JsonValue, ManifestObject } from "./internal/manifestObject.ts"
import { type PythonJson, PythonFloat } from "./internal/pythonJson.ts"
import { simpleName } from "./internal/qualifiedName.ts"
import type { Documentation, EnumType, Field, ScalarName, TypeName, WireType } from "../message/WireType.ts"

export type { JsonValue }

/** @since 0.1.0 */
export interface JsonObject {
  readonly [key: string]: JsonValue
}

const kinds = ["string", "int", "float", "bool", "bytes", "list", "map", "ref", "enum"] as const
const defaultKinds = ["none", "value", "empty_list", "empty_map", "factory", "null"] as const

/** Types that have no kind of their own (sets, widths, dates, any) are `string`. @since 0.1.0 */
export type FieldKind = (typeof kinds)[number]

/**
 * `value`: the default is shown, as text when it has no JSON form; `factory`: there is one that cannot be shown.
 *
 * @since 0.1.0
 */
export type DefaultKind = (typeof defaultKinds)[number]

/**
 * A field of a message. The optional members depend on the kind: `refName` and `wireTag` with `ref`, `refName` and
 * `enumValues` with `enum`, the `item...` members with `list`, the `key...` and `value...` members with `map`.
 *
 * @since 0.1.0
 */
export interface ManifestField {
  readonly name: string
  readonly kind: FieldKind
  readonly nullable: boolean
  /** A value has to be given: there is no default. */
  readonly required: boolean
  readonly defaultValue: JsonValue
  readonly defaultKind: DefaultKind
  /** Simple name of the class or enum. */
  readonly refName?: string | undefined
  /** Full tag text of the class, empty without one. */
  readonly wireTag?: string | undefined
  readonly enumValues?: ReadonlyArray<JsonValue> | undefined
  readonly itemKind?: FieldKind | undefined
  readonly itemRef?: string | undefined
  readonly itemWireTag?: string | undefined
  readonly itemNullable?: boolean | undefined
  readonly keyKind?: FieldKind | undefined
  readonly valueKind?: FieldKind | undefined
  readonly valueRef?: string | undefined
  readonly valueNullable?: boolean | undefined
  readonly description?: string | undefined
  readonly deprecated?: boolean | undefined
  /** Why it is deprecated, or what to use instead. */
  readonly deprecation?: string | undefined
  readonly properties: { readonly [key: string]: JsonValue }
}

/** What a manifest says for people about a service, a method or a field. @since 0.1.0 */
export interface ManifestDocumentation {
  readonly description?: string | undefined
  readonly deprecated?: boolean | undefined
  readonly deprecation?: string | undefined
}

/** The documentation of what was declared, without the members that say nothing. @since 0.1.0 */
export const documentationOf = ({ deprecated, description }: Documentation): ManifestDocumentation =>
  withoutUndefined({
    description: description === "" ? undefined : description,
    deprecated: deprecated === undefined ? undefined : true,
    deprecation: typeof deprecated === "string" && deprecated !== "" ? deprecated : undefined
  })

/** The members of the JSON form that there are. @since 0.1.0 */
export const documentationMembers = (
  documentation: ManifestDocumentation
): ReadonlyArray<readonly [string, PythonJson]> => {
  const members: ReadonlyArray<readonly [string, PythonJson | undefined]> = [
    ["description", documentation.description],
    ["deprecated", documentation.deprecated],
    ["deprecation", documentation.deprecation]
  ]
  return members.filter((member): member is readonly [string, PythonJson] => member[1] !== undefined)
}

/** @since 0.1.0 */
export const documentationFromJson = (json: ManifestObject): ManifestDocumentation =>
  withoutUndefined({
    description: json.string("description", "") === "" ? undefined : json.string("description"),
    deprecated: json.optionalBoolean("deprecated"),
    deprecation: json.optionalString("deprecation")
  })

/**
 * The tag text of a class. With XLANG among its modes, declaring a Python service tags its untagged classes with their
 * qualified name; otherwise they have none.
 *
 * @since 0.1.0
 */
export const wireTagOf = (name: TypeName, xlang: boolean): string => name.tag ?? (xlang ? name.qualifiedName : "")

/**
 * The description of a declared field.
 *
 * A Python `Optional` field without a default would be required; ours may be left out, so it shows the default null.
 *
 * @param xlang whether the service has XLANG among its modes
 * @since 0.1.0
 */
export const fromField = (field: Field, xlang: boolean): ManifestField => {
  const fallback = defaultOf(field)
  return withoutUndefined({
    name: field.name,
    nullable: field.type._tag === "Optional",
    required: fallback.kind === "none",
    defaultValue: fallback.value,
    defaultKind: fallback.kind,
    ...typeMembers(withoutOptional(field.type), xlang),
    ...documentationOf(field),
    properties: {}
  })
}

const withoutOptional = (type: WireType): Exclude<WireType, { readonly _tag: "Optional" }> => {
  let inner = type
  while (inner._tag === "Optional") inner = inner.of
  return inner
}

/** The scalars a manifest knows; all others are shown as strings. */
const scalarKinds: { readonly [Name in ScalarName]?: FieldKind } = {
  bool: "bool",
  int: "int",
  int64: "int",
  float64: "float",
  string: "string",
  bytes: "bytes"
}

const kindOf = (type: WireType): FieldKind => {
  const inner = withoutOptional(type)
  switch (inner._tag) {
    case "Scalar":
      return scalarKinds[inner.scalar] ?? "string"
    case "List":
    case "AnyList":
      return "list"
    case "Map":
    case "AnyRecord":
      return "map"
    case "Struct":
      return "ref"
    case "Enum":
      return "enum"
    default:
      return "string"
  }
}

const refNameOf = (type: WireType): string | undefined => {
  const inner = withoutOptional(type)
  return inner._tag === "Struct" || inner._tag === "Enum" ? simpleName(inner.name.qualifiedName) : undefined
}

const typeMembers = (type: WireType, xlang: boolean): Pick<ManifestField, "kind"> & Partial<ManifestField> => {
  const kind = kindOf(type)
  switch (type._tag) {
    case "Struct":
      return { kind, refName: simpleName(type.name.qualifiedName), wireTag: wireTagOf(type.name, xlang) }
    case "Enum":
      return {
        kind,
        refName: simpleName(type.name.qualifiedName),
        enumValues: type.members.map((member) => member.value)
      }
    case "List": {
      const item = withoutOptional(type.element)
      const tag = item._tag === "Struct" ? wireTagOf(item.name, xlang) : ""
      return {
        kind,
        itemKind: kindOf(item),
        itemRef: refNameOf(item),
        itemWireTag: tag === "" ? undefined : tag,
        itemNullable: type.element._tag === "Optional"
      }
    }
    case "Map":
      return {
        kind,
        keyKind: kindOf(type.key),
        valueKind: kindOf(type.value),
        valueRef: refNameOf(type.value),
        valueNullable: type.value._tag === "Optional"
      }
    // What the reference shows for a bare list and a bare dict.
    case "AnyList":
      return { kind, itemKind: "string", itemNullable: false }
    case "AnyRecord":
      return { kind, keyKind: "string", valueKind: "string", valueNullable: false }
    default:
      return { kind }
  }
}

interface Default {
  readonly kind: DefaultKind
  readonly value: JsonValue
}

const NONE: Default = { kind: "none", value: null }
const FACTORY: Default = { kind: "factory", value: null }

const shown = (value: JsonValue): Default => ({ kind: "value", value })

const defaultOf = (field: Field): Default => {
  if (field.defaultValue === undefined) return field.type._tag === "Optional" ? shown(null) : NONE
  const { value } = field.defaultValue
  if (value === null || value === undefined) return shown(null)
  const type = withoutOptional(field.type)
  switch (type._tag) {
    case "List":
    case "AnyList":
      return Array.isArray(value) && value.length === 0 ? { kind: "empty_list", value: null } : FACTORY
    case "Map":
    case "AnyRecord":
      return isEmptyMap(value) ? { kind: "empty_map", value: null } : FACTORY
    case "Enum":
      return shown(memberText(type, value))
    case "Scalar":
      if (value instanceof Uint8Array) return shown(bytesText(value))
      if (value instanceof Date) return shown(dateText(value, type.scalar))
      return scalarDefault(value)
    default:
      return scalarDefault(value)
  }
}

const isEmptyMap = (value: unknown): boolean =>
  value instanceof Map
    ? value.size === 0
    : typeof value === "object" && value !== null && Object.keys(value).length === 0

const scalarDefault = (value: unknown): Default => {
  switch (typeof value) {
    case "boolean":
    case "string":
      return shown(value)
    case "bigint":
      return shown(BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? Number(value) : value)
    case "number":
      // Python would write NaN, which is no JSON.
      return shown(Number.isFinite(value) ? value : Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf")
    default:
      return FACTORY
  }
}

/** Python's text of an enum member. */
const memberText = (type: EnumType, value: unknown): string => {
  const member = type.members.find((member) => member.value === value)
  return `${simpleName(type.name.qualifiedName)}.${member === undefined ? String(value) : member.name}`
}

/** Python's text of bytes: `b'...'`, in double quotes when that saves escaping. */
const bytesText = (bytes: Uint8Array): string => {
  const quote = bytes.includes(0x27) && !bytes.includes(0x22) ? '"' : "'"
  const escapes: { readonly [character: string]: string } = { "\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\" }
  const characters = Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte)
    if (character === quote) return `\\${character}`
    const plain = byte >= 0x20 && byte < 0x7f ? character : `\\x${byte.toString(16).padStart(2, "0")}`
    return escapes[character] ?? plain
  })
  return `b${quote}${characters.join("")}${quote}`
}

/** Python's text of a date, or of a datetime in UTC. */
const dateText = (date: Date, scalar: ScalarName): string => {
  if (Number.isNaN(date.getTime())) return "invalid"
  const [day = "", time = ""] = date.toISOString().split("T")
  if (scalar === "date") return day
  const fraction = date.getUTCMilliseconds() === 0 ? "" : `${time.slice(8, 12)}000`
  return `${day} ${time.slice(0, 8)}${fraction}+00:00`
}

const withoutUndefined = <A extends object>(members: A): A => {
  for (const [key, value] of Object.entries(members)) if (value === undefined) Reflect.deleteProperty(members, key)
  return members
}

/** The JSON form, with its keys in the reference's order, for the writer of `Manifest`. @since 0.1.0 */
export const toPythonJson = (field: ManifestField): PythonJson => {
  const value = (json: JsonValue): PythonJson =>
    field.kind === "float" && typeof json === "number" ? new PythonFloat(json) : jsonValue(json)
  const members: ReadonlyArray<readonly [string, PythonJson | undefined]> = [
    ["name", field.name],
    ["kind", field.kind],
    ["nullable", field.nullable],
    ["required", field.required],
    ["default_value", value(field.defaultValue)],
    ["default_kind", field.defaultKind],
    ["ref_name", field.refName],
    ["wire_tag", field.wireTag],
    ["enum_values", field.enumValues?.map(jsonValue)],
    ["item_kind", field.itemKind],
    ["item_ref", field.itemRef],
    ["item_wire_tag", field.itemWireTag],
    ["item_nullable", field.itemNullable],
    ["key_kind", field.keyKind],
    ["value_kind", field.valueKind],
    ["value_ref", field.valueRef],
    ["value_nullable", field.valueNullable],
    ...documentationMembers(field),
    ["properties", jsonValue(field.properties)]
  ]
  return { members: members.filter((member): member is [string, PythonJson] => member[1] !== undefined) }
}

/** Any JSON, for the writer of `Manifest`. @since 0.1.0 */
export const jsonValue = (json: JsonValue): PythonJson => {
  if (isJsonObject(json)) return { members: Object.entries(json).map(([key, value]) => [key, jsonValue(value)]) }
  return isJsonArray(json) ? json.map(jsonValue) : json
}

/** Most values of an enum that are used. */
const MAX_ENUM_VALUES = 10_000

/**
 * A field from the JSON of a manifest. A field without `kind` is of the older form `{name, type, required, default}`
 * and is brought up to date.
 *
 * Throws a `ManifestError`. `path` stands in front of the path it names.
 *
 * @since 0.1.0
 */
export const fromJson = (json: JsonValue, path: string): ManifestField => {
  const field = new ManifestObject(json, path)
  if (field.get("kind") === undefined) return fromLegacyJson(field)
  const properties = field.get("properties") ?? {}
  if (!isJsonObject(properties)) throw field.fail("properties", "an object")
  const enumValues = field.list("enum_values", MAX_ENUM_VALUES, (value) => value)
  return withoutUndefined({
    name: field.string("name"),
    kind: field.choice("kind", kinds),
    nullable: field.boolean("nullable", false),
    required: field.boolean("required", false),
    defaultValue: field.get("default_value") ?? null,
    defaultKind: field.choice("default_kind", defaultKinds, "none"),
    refName: field.optionalString("ref_name"),
    wireTag: field.optionalString("wire_tag"),
    enumValues: field.get("enum_values") === undefined ? undefined : enumValues,
    itemKind: field.optionalChoice("item_kind", kinds),
    itemRef: field.optionalString("item_ref"),
    itemWireTag: field.optionalString("item_wire_tag"),
    itemNullable: field.optionalBoolean("item_nullable"),
    keyKind: field.optionalChoice("key_kind", kinds),
    valueKind: field.optionalChoice("value_kind", kinds),
    valueRef: field.optionalString("value_ref"),
    valueNullable: field.optionalBoolean("value_nullable"),
    ...documentationFromJson(field),
    properties
  })
}

/** Python type texts of the older form, in lower case. */
const legacyScalars: { readonly [text: string]: FieldKind } = {
  str: "string",
  string: "string",
  int: "int",
  integer: "int",
  float: "float",
  double: "float",
  bool: "bool",
  boolean: "bool",
  bytes: "bytes"
}

const fromLegacyJson = (field: ManifestObject): ManifestField => {
  const required = field.boolean("required", false)
  const defaultValue = field.get("default") ?? null
  const type = legacyType(field)
  const unset = required ? "none" : type.kind === "list" ? "empty_list" : type.kind === "map" ? "empty_map" : "none"
  return withoutUndefined({
    name: field.string("name", ""),
    required,
    defaultValue,
    defaultKind: defaultValue !== null ? "value" : !required && type.nullable ? "null" : unset,
    ...type,
    properties: {}
  })
}

const legacyType = (field: ManifestObject): Pick<ManifestField, "kind" | "nullable"> & Partial<ManifestField> => {
  const type = field.string("type", "string")
  const text = type.toLowerCase()
  const scalar = Object.hasOwn(legacyScalars, text) ? legacyScalars[text] : undefined
  if (scalar !== undefined) return { kind: scalar, nullable: false }
  if (text.startsWith("list")) {
    const itemRef = field.string("element_type", "")
    const itemWireTag = field.string("element_wire_tag", "")
    const known = itemRef !== "" || itemWireTag !== ""
    return {
      kind: "list",
      nullable: false,
      itemKind: known ? "ref" : "string",
      itemRef: known ? itemRef : undefined,
      itemWireTag: known ? itemWireTag : undefined,
      itemNullable: false
    }
  }
  if (text.startsWith("dict") || text.startsWith("map")) {
    return { kind: "map", nullable: false, keyKind: "string", valueKind: "string", valueNullable: false }
  }
  if (text.startsWith("optional")) return { kind: "string", nullable: true }
  return { kind: "ref", nullable: false, refName: type, wireTag: field.string("wire_tag", "") }
}
