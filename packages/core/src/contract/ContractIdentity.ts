/**
 * Contract identity: the canonical bytes of contract structures and the hashes made of them.
 *
 * ```
 * contract id = hex(BLAKE3-256(canonical bytes of the ServiceContract))
 * type hash   = hex(BLAKE3-256(canonical bytes of the TypeDef))
 * ```
 *
 * This is the door for tools that hold a contract in its JSON form. `Contract` makes that form from a service.
 *
 * @since 0.1.0
 */
import { blake3 } from "@noble/hashes/blake3.js"
import { bytesToHex } from "@noble/hashes/utils.js"
import { ContractError } from "./ContractError.ts"
import { CanonicalReader } from "./internal/canonicalReader.ts"
import { CanonicalWriter } from "./internal/canonicalWriter.ts"
import { compareCodePoints } from "./internal/codePoints.ts"
import {
  JsonStructure,
  readBoolean,
  readChoice,
  readFloat64,
  readHex,
  readInt32,
  readList,
  readString
} from "./internal/jsonStructure.ts"
import { parseJsonText } from "./internal/jsonText.ts"

/** Who may call, as the contract records it. Published contracts of release 0.1.2 never hold one. @since 0.1.0 */
export interface CapabilityRequirementJson {
  readonly kind: "role" | "any_of" | "all_of"
  readonly roles: ReadonlyArray<string>
}

/** One method of a `ServiceContractJson`. Types are 64 hex digits; the timeout is in seconds, 0 for none. @since 0.1.0 */
export interface MethodDefJson {
  readonly name: string
  readonly pattern: "unary" | "server_stream" | "client_stream" | "bidi_stream"
  readonly request_type: string
  readonly response_type: string
  readonly idempotent: boolean
  readonly default_timeout: number
  readonly requires?: CapabilityRequirementJson | null | undefined
}

/** A service contract in JSON. Keys are those of the specification. @since 0.1.0 */
export interface ServiceContractJson {
  readonly name: string
  readonly version: number
  readonly methods: ReadonlyArray<MethodDefJson>
  readonly serialization_modes: ReadonlyArray<string>
  readonly scoped: "shared" | "session"
  readonly requires?: CapabilityRequirementJson | null | undefined
}

/** @since 0.1.0 */
export type TypeKind = "primitive" | "ref" | "self_ref" | "any"

/**
 * One field of a `TypeDefJson`. For a list or set the type is that of the elements, for a map that of the values; unused
 * texts are empty. References are 64 hex digits.
 *
 * @since 0.1.0
 */
export interface FieldDefJson {
  readonly id: number
  readonly name: string
  readonly type_kind: TypeKind
  readonly type_primitive: string
  readonly type_ref: string
  readonly self_ref_name: string
  readonly optional: boolean
  readonly ref_tracked: boolean
  readonly container: "none" | "list" | "set" | "map"
  readonly container_key_kind: TypeKind
  readonly container_key_primitive: string
  readonly container_key_ref: string
}

/** @since 0.1.0 */
export interface EnumValueDefJson {
  readonly name: string
  readonly value: number
}

/** @since 0.1.0 */
export interface UnionVariantDefJson {
  readonly name: string
  readonly id: number
  readonly type_ref: string
}

/** A type in JSON. @since 0.1.0 */
export interface TypeDefJson {
  readonly kind: "message" | "enum" | "union"
  readonly package: string
  readonly name: string
  readonly fields: ReadonlyArray<FieldDefJson>
  readonly enum_values: ReadonlyArray<EnumValueDefJson>
  readonly union_variants: ReadonlyArray<UnionVariantDefJson>
}

/** The structures that have canonical bytes of their own. @since 0.1.0 */
export type StructureName = "ServiceContract" | "TypeDef" | "MethodDef"

/** In the order of their numbers. */
const TYPE_KINDS = ["primitive", "ref", "self_ref", "any"] as const
const CONTAINERS = ["none", "list", "set", "map"] as const
const TYPE_DEF_KINDS = ["message", "enum", "union"] as const

const readTypeKind = readChoice(TYPE_KINDS)
const readContainer = readChoice(CONTAINERS)
const readTypeDefKind = readChoice(TYPE_DEF_KINDS)
const readPattern = readChoice(["unary", "server_stream", "client_stream", "bidi_stream"])
const readCapabilityKind = readChoice(["role", "any_of", "all_of"])
const readStrings = readList(readString)

const SESSION = 1
const readScopeSpelling = readChoice(["shared", "session", "stream"])
/** `stream` is an older spelling of `session`. */
const readScope = (value: unknown, path: string): number => Math.min(readScopeSpelling(value, path), SESSION)

type Write = (writer: CanonicalWriter) => void

const readCapability = (value: unknown, path: string): Write => {
  const json = new JsonStructure(value, path)
  const kind = json.required("kind", readCapabilityKind)
  const roles = json.required("roles", readStrings).map((role) => role.normalize("NFC"))
  roles.sort(compareCodePoints)
  return (writer) => {
    writer.unsigned(kind)
    writer.list(roles, (role) => writer.string(role))
  }
}

const readMethodDef = (value: unknown, path: string): { readonly sortKey: string; readonly write: Write } => {
  const json = new JsonStructure(value, path)
  const name = json.required("name", readString)
  const pattern = json.required("pattern", readPattern)
  const requestType = json.required("request_type", readHex)
  const responseType = json.required("response_type", readHex)
  const idempotent = json.required("idempotent", readBoolean)
  const defaultTimeout = json.required("default_timeout", readFloat64)
  const requires = json.nullable("requires", readCapability)
  return {
    sortKey: name.normalize("NFC"),
    write: (writer) => {
      writer.string(name)
      writer.unsigned(pattern)
      writer.bytes(requestType)
      writer.bytes(responseType)
      writer.boolean(idempotent)
      writer.float64(defaultTimeout)
      writer.optional(requires, (write) => write(writer))
    }
  }
}

const readServiceContract = (value: unknown): Write => {
  const json = new JsonStructure(value, "")
  const name = json.required("name", readString)
  const version = json.required("version", readInt32)
  const methods = json
    .optional("methods", [], readList(readMethodDef))
    .toSorted((a, b) => compareCodePoints(a.sortKey, b.sortKey))
  const modes = json.optional("serialization_modes", [], readStrings)
  const scope = json.optional("scoped", 0, readScope)
  const requires = json.nullable("requires", readCapability)
  return (writer) => {
    writer.string(name)
    writer.int32(version)
    writer.list(methods, (method) => method.write(writer))
    writer.list(modes, (mode) => writer.string(mode))
    writer.unsigned(scope)
    writer.optional(requires, (write) => write(writer))
  }
}

/** A part of a type that is ordered by a number. */
interface Numbered {
  readonly number: number
  readonly write: Write
}

const readFieldDef = (value: unknown, path: string): Numbered => {
  const json = new JsonStructure(value, path)
  const id = json.required("id", readInt32)
  const name = json.required("name", readString)
  const typeKind = json.required("type_kind", readTypeKind)
  const typePrimitive = json.required("type_primitive", readString)
  const typeRef = json.required("type_ref", readHex)
  const selfRefName = json.required("self_ref_name", readString)
  const optional = json.required("optional", readBoolean)
  const refTracked = json.required("ref_tracked", readBoolean)
  const container = json.required("container", readContainer)
  const keyKind = json.required("container_key_kind", readTypeKind)
  const keyPrimitive = json.required("container_key_primitive", readString)
  const keyRef = json.required("container_key_ref", readHex)
  return {
    number: id,
    write: (writer) => {
      writer.int32(id)
      writer.string(name)
      writer.unsigned(typeKind)
      writer.string(typePrimitive)
      writer.bytes(typeRef)
      writer.string(selfRefName)
      writer.boolean(optional)
      writer.boolean(refTracked)
      writer.unsigned(container)
      writer.unsigned(keyKind)
      writer.string(keyPrimitive)
      writer.bytes(keyRef)
    }
  }
}

const readEnumValueDef = (value: unknown, path: string): Numbered => {
  const json = new JsonStructure(value, path)
  const name = json.required("name", readString)
  const number = json.required("value", readInt32)
  return {
    number,
    write: (writer) => {
      writer.string(name)
      writer.int32(number)
    }
  }
}

const readUnionVariantDef = (value: unknown, path: string): Numbered => {
  const json = new JsonStructure(value, path)
  const name = json.required("name", readString)
  const id = json.required("id", readInt32)
  const typeRef = json.required("type_ref", readHex)
  return {
    number: id,
    write: (writer) => {
      writer.string(name)
      writer.int32(id)
      writer.bytes(typeRef)
    }
  }
}

const readTypeDef = (value: unknown): Write => {
  const json = new JsonStructure(value, "")
  const kind = json.required("kind", readTypeDefKind)
  const packageName = json.required("package", readString)
  const name = json.required("name", readString)
  const parts = [
    json.optional("fields", [], readList(readFieldDef)),
    json.optional("enum_values", [], readList(readEnumValueDef)),
    json.optional("union_variants", [], readList(readUnionVariantDef))
  ].map((list) => list.toSorted((a, b) => a.number - b.number))
  return (writer) => {
    writer.unsigned(kind)
    writer.string(packageName)
    writer.string(name)
    for (const list of parts) writer.list(list, (part) => part.write(writer))
  }
}

const readers: Record<StructureName, (value: unknown) => Write> = {
  ServiceContract: readServiceContract,
  TypeDef: readTypeDef,
  MethodDef: (value) => readMethodDef(value, "").write
}

/**
 * The canonical bytes of a structure.
 *
 * `json` is the structure's JSON form, parsed, or as text (a string is always taken as text). Only text shows what
 * release 0.1.2 also refuses: repeated keys and integers spelled as `1.0`. Unknown keys are ignored; keys that may be
 * missing are those the specification lists; a hash that is not hex counts as no bytes, as in the release. Lists are
 * brought into canonical order.
 *
 * Throws a `ContractError` with the path of what is missing or wrong.
 *
 * @since 0.1.0
 */
export const canonicalBytes = (type: StructureName, json: unknown): Uint8Array => {
  const read = Object.hasOwn(readers, type) ? readers[type] : undefined
  if (read === undefined) {
    throw new ContractError("", `unknown structure ${type}: expected one of ${Object.keys(readers).join(", ")}`)
  }
  const writer = new CanonicalWriter()
  read(typeof json === "string" ? parseJsonText(json) : json)(writer)
  return writer.toBytes()
}

/**
 * The type that canonical bytes are of, such as those published as `types/<hash>.bin`.
 *
 * Throws a `ContractError` for anything else.
 *
 * @since 0.1.0
 */
export const typeFromBytes = (bytes: Uint8Array): TypeDefJson => {
  const reader = new CanonicalReader(bytes)
  const type: TypeDefJson = {
    kind: reader.choice(TYPE_DEF_KINDS),
    package: reader.string(),
    name: reader.string(),
    fields: reader.list(() => ({
      id: reader.int32(),
      name: reader.string(),
      type_kind: reader.choice(TYPE_KINDS),
      type_primitive: reader.string(),
      type_ref: reader.hex(),
      self_ref_name: reader.string(),
      optional: reader.boolean(),
      ref_tracked: reader.boolean(),
      container: reader.choice(CONTAINERS),
      container_key_kind: reader.choice(TYPE_KINDS),
      container_key_primitive: reader.string(),
      container_key_ref: reader.hex()
    })),
    enum_values: reader.list(() => ({ name: reader.string(), value: reader.int32() })),
    union_variants: reader.list(() => ({ name: reader.string(), id: reader.int32(), type_ref: reader.hex() }))
  }
  reader.end()
  return type
}

/** The BLAKE3-256 hash of some bytes as 64 lower-case hex digits. @since 0.1.0 */
export const hash = (bytes: Uint8Array): string => bytesToHex(blake3(bytes))

/** The id of a service contract given as JSON: 64 lower-case hex digits. Throws a `ContractError`. @since 0.1.0 */
export const contractId = (json: unknown): string => hash(canonicalBytes("ServiceContract", json))

/** The hash of a type given as JSON: 64 lower-case hex digits. Throws a `ContractError`. @since 0.1.0 */
export const typeHash = (json: unknown): string => hash(canonicalBytes("TypeDef", json))
