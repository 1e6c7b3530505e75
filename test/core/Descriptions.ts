/** From the vectors' services to service descriptions. */
import type { Field, ScalarName, ServiceDescription, StructType, WireType } from "@aster-effect/core/message/WireType"
import type { DefaultValue, ServiceVector, TypeExpression } from "./Vectors.ts"
import { unhex } from "./Reference.ts"

const scalar = (name: ScalarName): WireType => ({ _tag: "Scalar", scalar: name })

const any: WireType = { _tag: "Any" }

/** Types that have a wire type of their own, by their spelling. */
const plain: { readonly [expression: string]: WireType } = {
  string: scalar("string"),
  int: scalar("int"),
  float: scalar("float64"),
  bool: scalar("bool"),
  bytes: scalar("bytes"),
  any,
  bare_list: { _tag: "AnyList" },
  bare_set: any,
  bare_dict: { _tag: "AnyRecord" }
}

/**
 * The description of a vector's service. Annotations without a wire type become `Any`, as they do in the contract:
 * tuples, unions, bare containers, and `X | None` on anything but a typing generic. `None` as a field's type has none at
 * all (its contract entry is the primitive `null`), so `null` takes its place.
 */
export const describeService = (vector: ServiceVector, options?: { readonly null?: WireType }): ServiceDescription => {
  const structs = new Map<string, StructType>()
  const enums = new Map((vector.enums ?? []).map(({ members, name }) => [name, members]))

  const typeOf = (expression: TypeExpression): WireType => {
    if (expression === "none") {
      if (options?.null === undefined) throw new Error("None has no wire type")
      return options.null
    }
    if (typeof expression === "string") return plain[expression]!
    if ("list" in expression) return { _tag: "List", element: typeOf(expression.list) }
    if ("set" in expression) return { _tag: "Set", element: typeOf(expression.set) }
    if ("map" in expression) {
      return { _tag: "Map", form: "map", key: typeOf(expression.map[0]), value: typeOf(expression.map[1]) }
    }
    if ("optional" in expression) {
      const union = typeof expression.optional === "object" && "union" in expression.optional
      return union ? any : { _tag: "Optional", of: typeOf(expression.optional) }
    }
    if ("pep604" in expression) {
      const of = typeOf(expression.pep604)
      return of._tag === "List" || of._tag === "Set" || of._tag === "Map" ? { _tag: "Optional", of } : any
    }
    if ("enum" in expression) {
      return {
        _tag: "Enum",
        name: {
          tag: undefined,
          namespace: vector.module,
          name: expression.enum,
          qualifiedName: `${vector.module}.${expression.enum}`
        },
        members: Object.entries(enums.get(expression.enum)!).map(([name, value]) => ({ name, value }))
      }
    }
    if ("ref" in expression) return structs.get(expression.ref)!
    if ("scalar" in expression) return scalar(expression.scalar)
    return any
  }

  for (const { fields, fqn, wire_type: tag } of vector.types) {
    const className = fqn.slice(vector.module.length + 1)
    const slash = tag?.lastIndexOf("/") ?? -1
    structs.set(fqn, {
      _tag: "Struct",
      name: {
        tag,
        namespace: tag === undefined ? vector.module : tag.slice(0, Math.max(0, slash)),
        name: tag === undefined ? className : tag.slice(slash + 1),
        qualifiedName: fqn
      },
      fields: () =>
        fields.map((field): Field => {
          const type = typeOf(field.type)
          // The older vectors give every field a default and name only those that are not the type's empty value.
          const value: DefaultValue | undefined =
            vector.expected.manifest_json !== undefined && vector.id.startsWith("py-")
              ? field.default
              : { json: field.py_default === undefined ? undefined : pythonLiteral(field.py_default) }
          return value === undefined
            ? { name: field.name, type }
            : { name: field.name, type, defaultValue: { value: defaultValue(value, type) } }
        }),
      prototype: undefined
    })
  }

  const { service } = vector
  return {
    name: service.name,
    version: service.version,
    scope: service.scoped ?? "shared",
    serializationModes: service.serialization ?? [],
    methods: service.methods.map((method) => ({
      name: method.name,
      pattern: method.pattern,
      request: typeOf(method.request),
      response: typeOf(method.response),
      timeoutSeconds: method.timeout ?? 0,
      idempotent: method.idempotent ?? false
    }))
  }
}

const pythonLiteral = (text: string): unknown => JSON.parse(text.replace(/^[TF]/, (letter) => letter.toLowerCase()))

const defaultValue = (value: DefaultValue, type: WireType): unknown => {
  if ("bytes" in value) return unhex(value.bytes)
  if ("date" in value) return new Date(value.date)
  if ("filled" in value) return value.filled === "map" ? new Map([[1, 1]]) : value.filled === "list" ? [1] : {}
  if ("empty" in value || value.json === undefined) return emptyValue(type)
  return value.json
}

const emptyValue = (type: WireType): unknown => {
  switch (type._tag) {
    case "List":
    case "AnyList":
      return []
    case "AnyRecord":
      return {}
    case "Set":
      return new Set()
    case "Map":
      return type.form === "map" ? new Map() : {}
    case "Scalar":
      return { string: "", bool: false, bytes: new Uint8Array(0) }[type.scalar as string] ?? 0
    default:
      return null
  }
}
