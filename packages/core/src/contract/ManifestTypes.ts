/**
 * Wire types in manifests.
 *
 * The fields of a manifest name kinds that tools of every language know, and say less than what travels: a width, a date
 * and a set are a `string` there, and the fields of nested classes are missing. Manifests of ours therefore also hold the
 * types themselves, under `wire_types` of each method, a key that release 0.1.2 passes over:
 *
 * ```
 * {"request": {"message": "tasks.TaskRequest"}, "response": "int32",
 *  "classes": {"tasks.TaskRequest": {"tag": "tasks/TaskRequest", "fields": [{"name": "ids", "type": {"list": "int64"}}]}},
 *  "enums": {"tasks.Color": {"tag": "tasks/Color", "members": [["RED", "red"]]}}}
 * ```
 *
 * Classes and enumerations stand with the first method that reaches them, by qualified name; `tag` is that of an untagged
 * class when `untagged` is true.
 *
 * @since 0.1.0
 */
import * as Json from "../message/Json.ts"
import * as JsonText from "../message/JsonText.ts"
import type { EnumType, Field, ScalarName, StructType, TypeName, WireType } from "../message/WireType.ts"
import { isJsonArray, isJsonObject, type JsonValue, ManifestObject } from "./internal/manifestObject.ts"
import { ManifestError } from "./ManifestError.ts"
import type { JsonObject } from "./ManifestField.ts"

const scalars: { readonly [Name in ScalarName]: true } = {
  bool: true,
  int: true,
  int64: true,
  int8: true,
  int16: true,
  int32: true,
  uint8: true,
  uint16: true,
  uint32: true,
  uint64: true,
  float32: true,
  float64: true,
  string: true,
  bytes: true,
  timestamp: true,
  date: true
}

const isScalar = (text: string): text is ScalarName => Object.hasOwn(scalars, text)

const untyped = { Any: "any", AnyRecord: "any_record", AnyList: "any_list" } as const

/** Writes the types of one manifest's methods, in their order. @since 0.1.0 */
export class Encoder {
  readonly #known = new Set<string>()

  /** The `wire_types` of a method. */
  method(request: WireType, response: WireType): JsonObject {
    const classes: { [name: string]: JsonValue } = {}
    const enums: { [name: string]: JsonValue } = {}
    const pending: Array<StructType> = []
    const textOf = (type: WireType): JsonValue => {
      switch (type._tag) {
        case "Scalar":
          return type.scalar
        case "List":
          return { list: textOf(type.element) }
        case "Set":
          return { set: textOf(type.element) }
        case "Map":
          return type.form === "record"
            ? { record: textOf(type.value) }
            : { map: [textOf(type.key), textOf(type.value)] }
        case "Optional":
          return { optional: textOf(type.of) }
        case "Enum":
          if (this.#isNew(type.name)) {
            const members = type.members.map(({ name, value }) => [name, value])
            enums[type.name.qualifiedName] = { ...nameJson(type.name), members }
          }
          return { enum: type.name.qualifiedName }
        case "Struct":
          if (this.#isNew(type.name)) pending.push(type)
          return { message: type.name.qualifiedName }
        default:
          return untyped[type._tag]
      }
    }
    const types = { request: textOf(request), response: textOf(response) }
    // The list grows while fields are looked at.
    for (const type of pending) {
      const fields = type.fields().map((field) => fieldJson(field, textOf(field.type)))
      classes[type.name.qualifiedName] = { ...nameJson(type.name), fields }
    }
    return { ...types, classes, enums }
  }

  #isNew({ qualifiedName }: TypeName): boolean {
    if (this.#known.has(qualifiedName)) return false
    this.#known.add(qualifiedName)
    return true
  }
}

const nameJson = ({ name, namespace, tag }: TypeName): JsonObject =>
  tag === undefined ? { tag: namespace === "" ? name : `${namespace}/${name}`, untagged: true } : { tag }

const fieldJson = ({ defaultValue, deprecated, description, name, type }: Field, typeJson: JsonValue): JsonObject => {
  const fallback = defaultValue === undefined ? undefined : defaultJson(type, defaultValue.value)
  return {
    name,
    type: typeJson,
    ...(fallback === undefined ? undefined : { default: fallback }),
    ...(description === undefined ? undefined : { description }),
    ...(deprecated === undefined ? undefined : { deprecated })
  }
}

/** The default in JSON, undefined where it has no JSON form. */
const defaultJson = (type: WireType, value: unknown): JsonValue | undefined => {
  try {
    return JsonText.parse(Json.compile(type).encode(value), true) as JsonValue
  } catch {
    return undefined
  }
}

/** Most classes and enumerations of one manifest, and most fields and members of one of them. */
const MAX_TYPES = 10_000
const MAX_PARTS = 10_000

/** A method's messages. @since 0.1.0 */
export interface MethodTypes {
  readonly request: WireType
  readonly response: WireType
}

/**
 * The messages of methods from their `wire_types`, in the same order.
 *
 * Throws a `ManifestError` with the path of what is wrong.
 *
 * @since 0.1.0
 */
export const decode = (
  methods: ReadonlyArray<{ readonly name: string; readonly wireTypes: JsonValue }>
): ReadonlyArray<MethodTypes> => {
  const decoder = new Decoder()
  const objects = methods.map(({ name, wireTypes }) => {
    const types = new ManifestObject(wireTypes, `${name}.wire_types`)
    decoder.add(types, "classes", (json, path, qualifiedName) => decoder.struct(json, path, qualifiedName))
    decoder.add(types, "enums", (json, path, qualifiedName) => enumeration(json, path, qualifiedName))
    return types
  })
  const messages = objects.map((types, i) => {
    const path = `${methods[i]!.name}.wire_types`
    return {
      request: decoder.type(types.get("request") ?? null, `${path}.request`),
      response: decoder.type(types.get("response") ?? null, `${path}.response`)
    }
  })
  decoder.checkFields()
  return messages
}

class Decoder {
  readonly #named = new Map<string, StructType | EnumType>()

  add(
    types: ManifestObject,
    key: "classes" | "enums",
    read: (json: JsonValue, path: string, qualifiedName: string) => StructType | EnumType
  ): void {
    const named = types.get(key) ?? {}
    if (!isJsonObject(named)) throw types.fail(key, "an object")
    for (const [qualifiedName, json] of Object.entries(named)) {
      if (this.#named.size >= MAX_TYPES) throw types.fail(key, `at most ${MAX_TYPES} types`)
      this.#named.set(`${key} ${qualifiedName}`, read(json, types.pathOf(`${key}.${qualifiedName}`), qualifiedName))
    }
  }

  type(json: JsonValue, path: string): WireType {
    if (typeof json === "string") {
      if (isScalar(json)) return { _tag: "Scalar", scalar: json }
      if (json === "any") return { _tag: "Any" }
      if (json === "any_record") return { _tag: "AnyRecord" }
      if (json === "any_list") return { _tag: "AnyList" }
    }
    if (!isJsonObject(json)) throw new ManifestError(path, "expected a wire type")
    const [[kind, of] = ["", null], more] = Object.entries(json)
    const at = `${path}.${kind}`
    if (more === undefined) {
      switch (kind) {
        case "list":
          return { _tag: "List", element: this.type(of, at) }
        case "set":
          return { _tag: "Set", element: this.type(of, at) }
        case "record": {
          const value = this.type(of, at)
          return { _tag: "Map", form: "record", key: { _tag: "Scalar", scalar: "string" }, value }
        }
        case "map":
          if (Array.isArray(of) && of.length === 2) {
            const [key, value] = (of as ReadonlyArray<JsonValue>).map((part, i) => this.type(part, `${at}[${i}]`))
            return { _tag: "Map", form: "map", key: key!, value: value! }
          }
          break
        case "optional": {
          const inner = this.type(of, at)
          return inner._tag === "Optional" ? inner : { _tag: "Optional", of: inner }
        }
        case "message":
        case "enum": {
          const found = this.#named.get(`${kind === "enum" ? "enums" : "classes"} ${String(of)}`)
          if (found !== undefined) return found
          break
        }
      }
    }
    throw new ManifestError(path, "expected a wire type")
  }

  struct(json: JsonValue, path: string, qualifiedName: string): StructType {
    const object = new ManifestObject(json, path)
    let fields: ReadonlyArray<Field> | undefined
    return {
      _tag: "Struct",
      name: nameFrom(object, qualifiedName),
      fields: () => (fields ??= object.list("fields", MAX_PARTS, (field, at) => this.#field(field, at))),
      prototype: undefined
    }
  }

  #field(json: JsonValue, path: string): Field {
    const object = new ManifestObject(json, path)
    const type = this.type(object.get("type") ?? null, `${path}.type`)
    const fallback = object.get("default")
    const description = object.string("description", "")
    const deprecated = object.get("deprecated")
    return {
      name: object.string("name"),
      type,
      ...(fallback === undefined ? undefined : { defaultValue: laterDefault(type, fallback, path) }),
      ...(description === "" ? undefined : { description }),
      ...(deprecated === undefined ? undefined : { deprecated: deprecated === true || object.string("deprecated") })
    }
  }

  /** Fields are looked up when they are asked for; what is wrong with them is to be known before. */
  checkFields(): void {
    const structs = [...this.#named.values()].filter((type) => type._tag === "Struct")
    for (const type of structs) type.fields()
    for (const type of structs) for (const { defaultValue } of type.fields()) void defaultValue?.value
  }
}

const nameFrom = (object: ManifestObject, qualifiedName: string): TypeName => {
  const tag = object.string("tag")
  const slash = tag.lastIndexOf("/")
  if (slash === tag.length - 1 || !tag.isWellFormed()) throw object.fail("tag", "the tag of a type")
  return {
    tag: object.boolean("untagged", false) ? undefined : tag,
    namespace: slash < 0 ? "" : tag.slice(0, slash),
    name: tag.slice(slash + 1),
    qualifiedName
  }
}

const enumeration = (json: JsonValue, path: string, qualifiedName: string): EnumType => {
  const object = new ManifestObject(json, path)
  const members = object.list("members", MAX_PARTS, (member, at): EnumType["members"][number] => {
    const [memberName, value] = isJsonArray(member) ? member : []
    if (typeof memberName !== "string" || (typeof value !== "string" && typeof value !== "number")) {
      throw new ManifestError(at, "expected a name and a text or number")
    }
    return { name: memberName, value }
  })
  if (members.length === 0) throw object.fail("members", "at least one member")
  return { _tag: "Enum", name: nameFrom(object, qualifiedName), members }
}

/** Read when it is asked for: its type may be that of the class whose fields are being read. */
const laterDefault = (type: WireType, json: JsonValue, path: string): { readonly value: unknown } => ({
  get value() {
    return defaultFrom(type, json, path)
  }
})

const defaultFrom = (type: WireType, json: JsonValue, path: string): unknown => {
  try {
    const text = JSON.stringify(json, (_, value: unknown) =>
      typeof value === "bigint" ? (JSON as unknown as RawJson).rawJSON(String(value)) : value
    )
    return Json.compile(type).decode(new TextEncoder().encode(text))
  } catch (cause) {
    throw new ManifestError(`${path}.default`, "expected a value of the field's type", { cause })
  }
}

/** `JSON.rawJSON` is newer than the library's type declarations. */
interface RawJson {
  readonly rawJSON: (text: string) => unknown
}
