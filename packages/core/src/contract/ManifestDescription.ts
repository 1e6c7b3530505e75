/**
 * Services from their manifests: the description that `Service.make` would make, with the same contract id.
 *
 * @since 0.1.0
 */
import * as Json from "../message/Json.ts"
import type { Field, MethodDescription, ServiceDescription, StructType, WireType } from "../message/WireType.ts"
import * as Contract from "./Contract.ts"
import type { FieldDefJson, TypeDefJson, TypeKind } from "./ContractIdentity.ts"
import { inferTypes, type MessageClass } from "./internal/inferTypes.ts"
import type { Manifest, ManifestMethod } from "./Manifest.ts"
import { ManifestError } from "./ManifestError.ts"
import type { ManifestField } from "./ManifestField.ts"
import * as ManifestTypes from "./ManifestTypes.ts"

/** @since 0.1.0 */
export interface Described {
  readonly description: ServiceDescription
  /**
   * Fields whose type the contract does not tell, such as dates and widths: they are `Any` here. JSON calls work; over
   * XLANG the producer refuses them unless they are what `Any` is.
   */
  readonly untold: ReadonlyArray<string>
}

/**
 * The service that a manifest is of.
 *
 * A manifest with wire types tells everything. For others `types` are the published types by hash; without them they are
 * looked for among the messages that the manifest lists. Throws a `ManifestError` that says what is missing, or that the
 * result does not have the contract id of the manifest.
 *
 * @since 0.1.0
 */
export const describe = (manifest: Manifest, types?: ReadonlyMap<string, TypeDefJson>): Described => {
  const exact = exactMethods(manifest)
  const found = exact === undefined ? guessed(manifest, types) : { methods: exact, untold: [], problems: [] }
  const description = (postponedAnnotations: boolean): ServiceDescription => ({
    name: manifest.service,
    version: manifest.version,
    scope: manifest.scoped,
    serializationModes: manifest.serializationModes.filter(isMode),
    postponedAnnotations,
    description: manifest.description,
    deprecated: deprecatedOf(manifest),
    methods: found.methods
  })
  for (const postponed of [false, true]) {
    const candidate = description(postponed)
    if (Contract.fromDescription(candidate).contractId === manifest.contractId) {
      return { description: candidate, untold: found.untold }
    }
  }
  const why = found.problems.length === 0 ? "its types give another contract id" : found.problems.join("; ")
  throw new ManifestError("", `the service ${manifest.service} cannot be told from its manifest: ${why}`)
}

const modes = ["xlang", "native", "row", "json"] as const

const isMode = (mode: string): mode is (typeof modes)[number] => modes.some((known) => known === mode)

const deprecatedOf = ({
  deprecated,
  deprecation
}: {
  readonly deprecated?: boolean | undefined
  readonly deprecation?: string | undefined
}): string | true | undefined => (deprecated === true ? (deprecation ?? true) : undefined)

const methodWith = (method: ManifestMethod, messages: ManifestTypes.MethodTypes): MethodDescription => ({
  name: method.name,
  pattern: method.pattern,
  ...messages,
  timeoutSeconds: method.timeout ?? 0,
  idempotent: method.idempotent,
  description: method.description,
  deprecated: deprecatedOf(method)
})

const exactMethods = ({ methods }: Manifest): ReadonlyArray<MethodDescription> | undefined => {
  const typed = methods.flatMap(({ name, wireTypes }) => (wireTypes === undefined ? [] : [{ name, wireTypes }]))
  if (typed.length < methods.length) return undefined
  return ManifestTypes.decode(typed).map((messages, i) => methodWith(methods[i]!, messages))
}

interface Guessed {
  readonly methods: ReadonlyArray<MethodDescription>
  readonly untold: ReadonlyArray<string>
  readonly problems: ReadonlyArray<string>
}

const guessed = (manifest: Manifest, published: ReadonlyMap<string, TypeDefJson> | undefined): Guessed => {
  const messages = manifest.methods.flatMap((method) => [
    { tag: method.requestWireTag || method.requestType, fields: method.fields },
    { tag: method.responseWireTag || method.responseType, fields: method.responseFields }
  ])
  const classes = [...new Map(messages.filter(isClass).map((message) => [message.tag, message])).values()]
  const inferred = published === undefined ? inferTypes(classes, manifest.typeHashes) : undefined
  const types = published ?? new Map([...inferred!.types.values()].map(({ def, hash }) => [hash, def]))
  const guess = new Guess(types, classes)
  const methods = manifest.methods.map((method) =>
    methodWith(method, {
      request: guess.message(method.requestWireTag, method.requestType, method.fields),
      response: guess.message(method.responseWireTag, method.responseType, method.responseFields)
    })
  )
  return { methods, untold: guess.untold(), problems: [...(inferred?.problems.values() ?? [])] }
}

/** Messages that are no classes have no fields and the name of a Python type. */
const plainMessages: { readonly [label: string]: WireType } = {
  str: { _tag: "Scalar", scalar: "string" },
  int: { _tag: "Scalar", scalar: "int" },
  float: { _tag: "Scalar", scalar: "float64" },
  bool: { _tag: "Scalar", scalar: "bool" },
  bytes: { _tag: "Scalar", scalar: "bytes" },
  dict: { _tag: "AnyRecord" },
  list: { _tag: "AnyList" },
  Any: { _tag: "Any" },
  "": { _tag: "Any" }
}

const isClass = ({ fields, tag }: MessageClass): boolean => fields.length > 0 || !Object.hasOwn(plainMessages, tag)

const scalarOf: { readonly [primitive: string]: WireType } = {
  string: { _tag: "Scalar", scalar: "string" },
  int64: { _tag: "Scalar", scalar: "int" },
  float64: { _tag: "Scalar", scalar: "float64" },
  bool: { _tag: "Scalar", scalar: "bool" },
  binary: { _tag: "Scalar", scalar: "bytes" }
}

const ANY: WireType = { _tag: "Any" }

/** The classes of one manifest, put together from contract types and the fields that the manifest lists. */
class Guess {
  readonly #types: ReadonlyMap<string, TypeDefJson>
  readonly #classes: ReadonlyArray<MessageClass>
  readonly #byHash = new Map<string, StructType>()
  readonly #unpublished = new Map<string, StructType>()
  readonly #untold = new Set<string>()

  constructor(types: ReadonlyMap<string, TypeDefJson>, classes: ReadonlyArray<MessageClass>) {
    this.#types = types
    this.#classes = classes
  }

  untold(): ReadonlyArray<string> {
    return [...this.#untold]
  }

  message(wireTag: string, label: string, fields: ReadonlyArray<ManifestField>): WireType {
    const tag = wireTag || label
    if (!isClass({ tag, fields })) return plainMessages[tag]!
    for (const [hash, def] of this.#types) {
      if (matches(def, tag) && sameNames(def.fields, fields)) return this.#classOf(hash)
    }
    // A response that stayed text: its class is not among the published types, and does not count in the contract.
    return this.#unpublished.get(tag) ?? this.#fromFields(tag, fields)
  }

  #classOf(hash: string): StructType {
    const known = this.#byHash.get(hash)
    if (known !== undefined) return known
    const def = this.#types.get(hash)
    if (def === undefined) {
      const why = /[^0]/.test(hash)
        ? `the type ${hash} is not among them`
        : "contracts do not tell which classes refer to each other"
      throw new ManifestError("", `the service cannot be told from its published types: ${why}`)
    }
    const shown = this.#classes.find(({ fields, tag }) => matches(def, tag) && sameNames(def.fields, fields))
    // A class that refers to itself does so under its qualified name.
    const self = def.fields.find((field) => field.self_ref_name !== "")?.self_ref_name
    const bare = shown !== undefined && !shown.tag.includes("/") && shown.tag === def.name
    const struct: StructType = {
      _tag: "Struct",
      name: {
        tag: bare ? def.name : `${def.package}/${def.name}`,
        namespace: bare ? "" : def.package,
        name: def.name,
        qualifiedName: self ?? `${def.package}.${def.name}`
      },
      fields: once(() =>
        def.fields.toSorted((a, b) => a.id - b.id).map((field, i) => this.#field(struct, field, shown?.fields[i]))
      ),
      prototype: undefined
    }
    this.#byHash.set(hash, struct)
    struct.fields()
    return struct
  }

  #field(owner: StructType, def: FieldDefJson, shown: ManifestField | undefined): Field {
    const of = (kind: TypeKind, primitive: string, hash: string): WireType => {
      if (kind === "ref") return this.#classOf(hash)
      return kind === "self_ref" ? owner : kind === "primitive" ? (scalarOf[primitive] ?? ANY) : ANY
    }
    const value = of(def.type_kind, def.type_primitive, def.type_ref)
    const path = `${owner.name.name}.${def.name}`
    const type = ((): WireType => {
      switch (def.container) {
        case "list":
          return { _tag: "List", element: value }
        case "set":
          return { _tag: "Set", element: value }
        case "map": {
          const key = of(def.container_key_kind, def.container_key_primitive, def.container_key_ref)
          const text = key._tag === "Scalar" && key.scalar === "string"
          return { _tag: "Map", form: text ? "record" : "map", key, value }
        }
        default:
          return value === ANY ? this.#anyField(owner, path, shown) : value
      }
    })()
    return fieldWith(def.name, def.optional ? { _tag: "Optional", of: type } : type, shown)
  }

  /** What the contract calls any and the manifest may know better. */
  #anyField(owner: StructType, path: string, shown: ManifestField | undefined): WireType {
    if (shown?.kind === "map") return { _tag: "AnyRecord" }
    if (shown?.kind === "list") return { _tag: "AnyList" }
    const values = shown?.enumValues?.filter((value) => typeof value === "string" || typeof value === "number")
    if (shown?.kind === "enum" && values !== undefined && values.length > 0) {
      const namespace = owner.name.namespace
      const name = shown.refName ?? "Enum"
      return {
        _tag: "Enum",
        name: { tag: `${namespace}/${name}`, namespace, name, qualifiedName: `${namespace}.${name}` },
        members: values.map((value) => ({ name: String(value), value }))
      }
    }
    this.#untold.add(path)
    return ANY
  }

  #fromFields(tag: string, fields: ReadonlyArray<ManifestField>): StructType {
    const slash = tag.lastIndexOf("/")
    const dot = tag.lastIndexOf(".")
    const at = slash < 0 ? dot : slash
    const struct: StructType = {
      _tag: "Struct",
      name: {
        tag: at < 0 ? tag : `${tag.slice(0, at)}/${tag.slice(at + 1)}`,
        namespace: tag.slice(0, Math.max(at, 0)),
        name: tag.slice(at + 1),
        qualifiedName: tag.replaceAll("/", ".")
      },
      fields: once(() => fields.map((field) => fieldWith(field.name, this.#shownType(struct, field), field))),
      prototype: undefined
    }
    this.#unpublished.set(tag, struct)
    struct.fields()
    return struct
  }

  #shownType(owner: StructType, field: ManifestField): WireType {
    const path = `${owner.name.name}.${field.name}`
    const scalar = (kind: string | undefined): WireType =>
      (kind === undefined ? undefined : scalarOf[kind === "int" ? "int64" : kind === "float" ? "float64" : kind === "bytes" ? "binary" : kind]) ?? ANY // oxfmt-ignore
    const classOf = (tag: string | undefined): WireType => {
      const message = this.#classes.find((known) => known.tag === tag)
      if (message === undefined) this.#untold.add(path)
      return message === undefined ? ANY : this.message(message.tag, message.tag, message.fields)
    }
    const type = ((): WireType => {
      switch (field.kind) {
        case "ref":
          return classOf(field.wireTag)
        case "list":
          return {
            _tag: "List",
            element: field.itemKind === "ref" ? classOf(field.itemWireTag) : scalar(field.itemKind)
          }
        case "map": {
          const key = scalar(field.keyKind)
          const text = key._tag === "Scalar" && key.scalar === "string"
          return { _tag: "Map", form: text ? "record" : "map", key, value: scalar(field.valueKind) }
        }
        case "enum":
          return this.#anyField(owner, path, field)
        default:
          return scalar(field.kind)
      }
    })()
    return field.nullable ? { _tag: "Optional", of: type } : type
  }
}

const once = <A>(make: () => A): (() => A) => {
  let value: A | undefined
  return () => (value ??= make())
}

/** Whether a class of this tag, or of this qualified name, is what a contract type was made from. */
const matches = (def: TypeDefJson, tag: string): boolean =>
  tag === `${def.package}/${def.name}` || tag === `${def.package}.${def.name}` || tag === def.name

const sameNames = (def: ReadonlyArray<FieldDefJson>, fields: ReadonlyArray<ManifestField>): boolean =>
  def.length === fields.length && def.every(({ name }, i) => name === fields[i]!.name)

const fieldWith = (name: string, type: WireType, shown: ManifestField | undefined): Field => {
  const fallback = shown === undefined ? undefined : defaultOf(type, shown)
  return {
    name,
    type,
    ...(fallback === undefined ? undefined : { defaultValue: fallback }),
    ...(shown?.description === undefined ? undefined : { description: shown.description }),
    ...(shown?.deprecated === true ? { deprecated: shown.deprecation ?? true } : undefined)
  }
}

/** A default that the manifest shows in a form which is one of the type. */
const defaultOf = (type: WireType, shown: ManifestField): { readonly value: unknown } | undefined => {
  switch (type._tag) {
    case "List":
    case "AnyList":
      return shown.defaultKind === "empty_list" ? { value: [] } : undefined
    case "Map":
    case "AnyRecord":
      if (shown.defaultKind !== "empty_map") return undefined
      return { value: type._tag === "Map" && type.form === "map" ? new Map() : {} }
    case "Scalar":
    case "Enum":
      return shown.defaultKind === "value" ? shownValue(type, shown) : undefined
    default:
      return undefined
  }
}

const shownValue = (type: WireType, { defaultValue }: ManifestField): { readonly value: unknown } | undefined => {
  try {
    const text = JSON.stringify(defaultValue, bigintText)
    return { value: Json.compile(type).decode(new TextEncoder().encode(text)) }
  } catch {
    return undefined
  }
}

const bigintText = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value)
