/**
 * From a service to its contract, as release 0.1.2 derives it from Python (contract identity, sections 6 and 7).
 *
 * What 0.1.2 makes of each wire type, in a field and inside a list, set or map:
 *
 * | wire type | field | element, key or value |
 * |---|---|---|
 * | `bool`, `string`, `float64` | primitive of that name | the same |
 * | `int`, `int64` | primitive `int64` | the same |
 * | `bytes` | primitive `binary` | the same |
 * | `int8` to `uint64`, `float32` (`pyfory.int8`, ...) | any | any |
 * | `timestamp` (`datetime`), `date` | any | any |
 * | enum | any; its members are not part of the contract | any |
 * | message class | reference | reference |
 * | list, set, map | container of its elements | any |
 * | optional | as the type inside, with `optional` set | any |
 * | any, bare dict, bare list | any | any |
 *
 * So an enum, a width, and everything below a nested container can change without the id changing. Checked against the
 * published Python package, pyfory 0.16 included: its width annotations are type variables, which the contract code does
 * not know.
 *
 * @since 0.1.0
 */
import { utf8ToBytes } from "@noble/hashes/utils.js"
import { ContractError } from "./ContractError.ts"
import type { FieldDefJson, MethodDefJson, ServiceContractJson, TypeDefJson, TypeKind } from "./ContractIdentity.ts"
import * as ContractIdentity from "./ContractIdentity.ts"
import { compareCodePoints } from "./internal/codePoints.ts"
import { modulePath, simpleName } from "./internal/qualifiedName.ts"
import { collect, order, type OrderedType } from "./internal/typeGraph.ts"
import type { MethodDescription, ScalarName, ServiceDescription, TypeName, WireType } from "../message/WireType.ts"

/** A class of a contract. @since 0.1.0 */
export interface ContractType {
  /** The qualified name of the class (`billing.models.Invoice`). */
  readonly name: string
  /** 64 lower-case hex digits. */
  readonly hash: string
  readonly canonical: Uint8Array
  readonly def: TypeDefJson
}

/** The contract of a service. @since 0.1.0 */
export interface Contract {
  /** The JSON form, with methods in canonical order. */
  readonly contract: ServiceContractJson
  /** 64 lower-case hex digits. */
  readonly contractId: string
  /** The bytes whose hash is the id; published as `contract.bin`. */
  readonly canonicalBytes: Uint8Array
  /**
   * The classes to publish with the contract, in publication order: those that messages mention, and every class these
   * reach. A class that is only mentioned inside a list, map or optional message is published, but the id does not
   * depend on it.
   */
  readonly types: ReadonlyArray<ContractType>
}

/** @since 0.1.0 */
export interface ContractOptions {
  /**
   * The Python service to match was declared under `from __future__ import annotations`, which changes its id: only
   * request messages are looked at, and a response has a hash only when it is a class of the same simple name as one
   * that a request reaches, in a method that answers once. Default: what the description says.
   */
  readonly postponedAnnotations?: boolean | undefined
}

const UNKNOWN_TYPE = "0".repeat(64)

/** The scalars the contract knows; all others are any. */
const primitives: { readonly [Name in ScalarName]?: string } = {
  bool: "bool",
  int: "int64",
  int64: "int64",
  float64: "float64",
  string: "string",
  bytes: "binary"
}

/**
 * The contract of a service.
 *
 * Throws a `ContractError` whose path names the class and field, the method, or the service property at fault: a name
 * that is empty or not Unicode text, a version outside 32 bits, a time limit that is not a number of seconds, a method
 * or field declared twice, two classes of one qualified name, types nested deeper than 64.
 *
 * @since 0.1.0
 */
export const fromDescription = (service: ServiceDescription, options?: ContractOptions): Contract => {
  requireService(service)
  const postponed = options?.postponedAnnotations ?? service.postponedAnnotations ?? false
  const roots = service.methods.flatMap((method) => {
    const path = `${service.name}.${method.name}`
    const request = { type: method.request, path: `${path} request` }
    return postponed ? [request] : [request, { type: method.response, path: `${path} response` }]
  })
  const hashes = new Map<string, string>()
  const types = order(collect(roots)).map((ordered) => {
    const type = contractType(ordered, hashes)
    hashes.set(type.name, type.hash)
    return type
  })
  // A response that was kept as text is only looked for among the classes that requests reach as such.
  const candidates = postponed
    ? order(collect(roots.filter(({ type }) => type._tag === "Struct"))).map(({ key }) => key)
    : undefined
  const contract: ServiceContractJson = {
    name: service.name,
    version: service.version,
    methods: service.methods
      .map((method) => methodDef(method, hashes, candidates))
      .sort((a, b) => compareCodePoints(a.name.normalize("NFC"), b.name.normalize("NFC"))),
    serialization_modes: service.serializationModes.length === 0 ? ["xlang"] : [...service.serializationModes],
    scoped: service.scope,
    requires: null
  }
  const canonicalBytes = ContractIdentity.canonicalBytes("ServiceContract", contract)
  return { contract, contractId: ContractIdentity.hash(canonicalBytes), canonicalBytes, types }
}

const requireService = (service: ServiceDescription): void => {
  const names = new Set<string>()
  for (const { name, timeoutSeconds } of service.methods) {
    const path = `${service.name}.${name}`
    if (name === "") throw new ContractError(path, "a method needs a name")
    if (names.has(name)) throw new ContractError(path, "the method is declared twice")
    names.add(name)
    if (!Number.isFinite(timeoutSeconds) || timeoutSeconds < 0) {
      throw new ContractError(path, "a time limit is a number of seconds from 0, which means none")
    }
  }
}

const contractType = ({ broken, key, node }: OrderedType, hashes: ReadonlyMap<string, string>): ContractType => {
  const def: TypeDefJson = {
    kind: "message",
    package: packageOf(node.type.name),
    name: node.type.name.name,
    fields: node.fields.map((field, index) => ({
      id: index + 1,
      name: field.name,
      ...fieldType(field.type, hashes, broken)
    })),
    enum_values: [],
    union_variants: []
  }
  const canonical = ContractIdentity.canonicalBytes("TypeDef", def)
  return { name: key, hash: ContractIdentity.hash(canonical), canonical, def }
}

/** The namespace of the tag or, without one, the module: what stands before the class in the qualified name. */
const packageOf = (name: TypeName): string => (name.namespace !== "" ? name.namespace : modulePath(name.qualifiedName))

const fieldType = (
  type: WireType,
  hashes: ReadonlyMap<string, string>,
  broken: ReadonlySet<string>
): Omit<FieldDefJson, "id" | "name"> => {
  const optional = type._tag === "Optional"
  let inner = type
  while (inner._tag === "Optional") inner = inner.of
  const container = inner._tag === "List" || inner._tag === "Set" || inner._tag === "Map" ? inner : undefined
  const key = container?._tag === "Map" ? elementType(container.key, hashes, broken) : NO_KEY
  const value = elementType(
    container === undefined ? inner : container._tag === "Map" ? container.value : container.element,
    hashes,
    broken
  )
  return {
    type_kind: value.kind,
    type_primitive: value.primitive,
    type_ref: value.ref,
    self_ref_name: value.selfRefName,
    optional,
    ref_tracked: false,
    container: container === undefined ? "none" : containerNames[container._tag],
    container_key_kind: key.kind,
    container_key_primitive: key.primitive,
    container_key_ref: key.ref
  }
}

const containerNames = { List: "list", Set: "set", Map: "map" } as const

interface ElementType {
  readonly kind: TypeKind
  readonly primitive: string
  readonly ref: string
  readonly selfRefName: string
}

const NO_KEY: ElementType = { kind: "primitive", primitive: "", ref: "", selfRefName: "" }
const ANY: ElementType = { kind: "any", primitive: "", ref: "", selfRefName: "" }

/** What an element, key or value is, or a field that is no container. Whatever has no name of its own is any. */
const elementType = (type: WireType, hashes: ReadonlyMap<string, string>, broken: ReadonlySet<string>): ElementType => {
  if (type._tag === "Scalar") {
    const primitive = primitives[type.scalar]
    return primitive === undefined ? ANY : { kind: "primitive", primitive, ref: "", selfRefName: "" }
  }
  if (type._tag !== "Struct") return ANY
  const name = type.name.qualifiedName
  return broken.has(name)
    ? { kind: "self_ref", primitive: "", ref: "", selfRefName: name }
    : // Members of a cycle are hashed from the root down, so the child of a tree edge has no hash yet.
      { kind: "ref", primitive: "", ref: hashes.get(name) ?? UNKNOWN_TYPE, selfRefName: "" }
}

const methodDef = (
  method: MethodDescription,
  hashes: ReadonlyMap<string, string>,
  candidates: ReadonlyArray<string> | undefined
): MethodDefJson => ({
  name: method.name,
  pattern: method.pattern,
  request_type: messageHash(method.request, hashes),
  response_type:
    candidates === undefined ? messageHash(method.response, hashes) : postponedHash(method, hashes, candidates),
  idempotent: method.idempotent,
  default_timeout: method.timeoutSeconds,
  requires: null
})

/** A class by its hash, a primitive by the hash of its name, anything else by zeros. */
const messageHash = (type: WireType, hashes: ReadonlyMap<string, string>): string => {
  if (type._tag === "Struct") return hashes.get(type.name.qualifiedName) ?? UNKNOWN_TYPE
  const primitive = type._tag === "Scalar" ? primitives[type.scalar] : undefined
  return primitive === undefined ? UNKNOWN_TYPE : ContractIdentity.hash(utf8ToBytes(primitive))
}

/** The response was kept as text: the first class of that simple name counts, in publication order. */
const postponedHash = (
  { pattern, response }: MethodDescription,
  hashes: ReadonlyMap<string, string>,
  candidates: ReadonlyArray<string>
): string => {
  if (response._tag !== "Struct" || pattern === "server_stream" || pattern === "bidi_stream") return UNKNOWN_TYPE
  const text = simpleName(response.name.qualifiedName)
  const found = candidates.find((name) => name === text || name.endsWith(`.${text}`))
  return found === undefined ? UNKNOWN_TYPE : hashes.get(found)!
}
