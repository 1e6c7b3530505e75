/**
 * The contract manifest: what a service offers, for tools and dynamic clients that have no types of it (contract
 * identity, manifest JSON). Published beside the contract as `manifest.json`; nothing in it is an input of the contract
 * id.
 *
 * @since 0.1.0
 */
import { CodecError } from "../message/CodecError.ts"
import * as Contract from "./Contract.ts"
import { compareCodePoints } from "./internal/codePoints.ts"
import { isJsonArray, type JsonValue, ManifestObject } from "./internal/manifestObject.ts"
import { pythonJson } from "./internal/pythonJson.ts"
import { simpleName } from "./internal/qualifiedName.ts"
import * as JsonText from "../message/JsonText.ts"
import {
  HEX_ID_LENGTH,
  MAX_MANIFEST_FIELDS_PER_METHOD,
  MAX_MANIFEST_METHODS,
  MAX_MANIFEST_TYPE_HASHES
} from "../Limits.ts"
import { ManifestError } from "./ManifestError.ts"
import * as ManifestField from "./ManifestField.ts"
import * as ManifestTypes from "./ManifestTypes.ts"
import type {
  MethodDescription,
  Pattern,
  Scope,
  ScalarName,
  ServiceDescription,
  WireType
} from "../message/WireType.ts"

/** @since 0.1.0 */
export interface Manifest {
  /** Version of the field schema: 1. */
  readonly v: number
  readonly service: string
  readonly version: number
  /** 64 lower-case hex digits. */
  readonly contractId: string
  readonly canonicalEncoding: string
  readonly typeCount: number
  /** 64 lower-case hex digits each, ascending. */
  readonly typeHashes: ReadonlyArray<string>
  readonly methodCount: number
  /** Sorted by name in code point order. */
  readonly methods: ReadonlyArray<ManifestMethod>
  readonly serializationModes: ReadonlyArray<string>
  readonly scoped: Scope
  /** What the service is for, if anybody said so. Release 0.1.2 has no such key. */
  readonly description?: string | undefined
  readonly deprecated: boolean
  /** Why it is deprecated, or what to use instead. Release 0.1.2 has no such key. */
  readonly deprecation?: string | undefined
  readonly semver: string | null
  readonly vcsRevision: string | null
  readonly vcsTag: string | null
  readonly vcsUrl: string | null
  readonly changelog: string | null
  /** Empty when a server published it. */
  readonly publishedBy: string
  /** Unix time in milliseconds, 0 when a server published it. */
  readonly publishedAtEpochMs: number
}

/** @since 0.1.0 */
export interface ManifestMethod {
  readonly name: string
  readonly pattern: Pattern
  /** Simple class name of the request, empty when it is not known. */
  readonly requestType: string
  readonly responseType: string
  /** Full tag text of the request's class (`chat/Node`), empty without one. */
  readonly requestWireTag: string
  readonly responseWireTag: string
  /** Default time limit in seconds, null for none. */
  readonly timeout: number | null
  readonly idempotent: boolean
  readonly description?: string | undefined
  readonly deprecated?: boolean | undefined
  readonly deprecation?: string | undefined
  /** Fields of the request. */
  readonly fields: ReadonlyArray<ManifestField.ManifestField>
  readonly responseFields: ReadonlyArray<ManifestField.ManifestField>
  /** What exactly travels, if the manifest says so; `ManifestTypes` reads it. */
  readonly wireTypes?: ManifestField.JsonValue | undefined
}

/** @since 0.1.0 */
export interface ManifestOptions {
  /** Say exactly what travels, beside the fields that release 0.1.2 knows. Default false. */
  readonly wireTypes?: boolean | undefined
}

const CANONICAL_ENCODING = "fory-xlang/0.15"

/**
 * The manifest a server publishes for a service.
 *
 * @param contract the service's contract, when it is at hand
 * @since 0.1.0
 */
export const fromDescription = (
  service: ServiceDescription,
  contract: Contract.Contract = Contract.fromDescription(service),
  options?: ManifestOptions
): Manifest => {
  const modes = contract.contract.serialization_modes
  const xlang = modes.includes("xlang")
  const types = options?.wireTypes === true ? new ManifestTypes.Encoder() : undefined
  return {
    v: 1,
    service: service.name,
    version: service.version,
    contractId: contract.contractId,
    canonicalEncoding: CANONICAL_ENCODING,
    typeCount: contract.types.length,
    typeHashes: contract.types.map((type) => type.hash).sort(),
    methodCount: service.methods.length,
    methods: service.methods
      .toSorted((a, b) => compareCodePoints(a.name, b.name))
      .map((method) => ({
        ...methodOf(method, xlang),
        ...(types === undefined ? undefined : { wireTypes: types.method(method.request, method.response) })
      })),
    serializationModes: modes,
    scoped: service.scope,
    ...withDeprecated(ManifestField.documentationOf(service)),
    semver: null,
    vcsRevision: null,
    vcsTag: null,
    vcsUrl: null,
    changelog: null,
    publishedBy: "",
    publishedAtEpochMs: 0
  }
}

const withDeprecated = (documentation: ManifestField.ManifestDocumentation) => ({
  ...documentation,
  deprecated: documentation.deprecated ?? false
})

const methodOf = (method: MethodDescription, xlang: boolean): ManifestMethod => ({
  name: method.name,
  pattern: method.pattern,
  requestType: typeLabel(method.request),
  responseType: typeLabel(method.response),
  requestWireTag: method.request._tag === "Struct" ? ManifestField.wireTagOf(method.request.name, xlang) : "",
  responseWireTag: method.response._tag === "Struct" ? ManifestField.wireTagOf(method.response.name, xlang) : "",
  timeout: method.timeoutSeconds === 0 ? null : method.timeoutSeconds,
  idempotent: method.idempotent,
  ...ManifestField.documentationOf(method),
  fields: fieldsOf(method.request, xlang),
  responseFields: fieldsOf(method.response, xlang)
})

const fieldsOf = (type: WireType, xlang: boolean): ReadonlyArray<ManifestField.ManifestField> =>
  type._tag === "Struct" ? type.fields().map((field) => ManifestField.fromField(field, xlang)) : []

/** Scalars whose Python class has another name. */
const scalarLabels: { readonly [Name in ScalarName]?: string } = {
  int64: "int",
  float64: "float",
  string: "str",
  timestamp: "datetime"
}

/** The name of a message's Python type. */
const typeLabel = (type: WireType): string => {
  switch (type._tag) {
    case "Struct":
    case "Enum":
      return simpleName(type.name.qualifiedName)
    case "Scalar":
      return scalarLabels[type.scalar] ?? type.scalar
    case "Map":
    case "AnyRecord":
      return "dict"
    case "AnyList":
      return "list"
    case "List":
    case "Set":
      return type._tag.toLowerCase()
    default:
      return type._tag
  }
}

/**
 * The text of a manifest, exactly as the reference writes it: two spaces per level, ASCII only, no newline at the end.
 *
 * @since 0.1.0
 */
export const encode = (manifest: Manifest): string =>
  pythonJson(
    {
      members: [
        ["v", manifest.v],
        ["service", manifest.service],
        ["version", manifest.version],
        ["contract_id", manifest.contractId],
        ["canonical_encoding", manifest.canonicalEncoding],
        ["type_count", manifest.typeCount],
        ["type_hashes", manifest.typeHashes],
        ["method_count", manifest.methodCount],
        [
          "methods",
          manifest.methods.map((method) => ({
            members: [
              ["name", method.name],
              ["pattern", method.pattern],
              ["request_type", method.requestType],
              ["response_type", method.responseType],
              ["request_wire_tag", method.requestWireTag],
              ["response_wire_tag", method.responseWireTag],
              ["timeout", method.timeout],
              ["idempotent", method.idempotent],
              ...ManifestField.documentationMembers(method),
              ["fields", method.fields.map(ManifestField.toPythonJson)],
              ["response_fields", method.responseFields.map(ManifestField.toPythonJson)],
              ...(method.wireTypes === undefined
                ? []
                : ([["wire_types", ManifestField.jsonValue(method.wireTypes)]] as const))
            ]
          }))
        ],
        ["serialization_modes", manifest.serializationModes],
        ["scoped", manifest.scoped],
        ...ManifestField.documentationMembers(manifest),
        ["semver", manifest.semver],
        ["vcs_revision", manifest.vcsRevision],
        ["vcs_tag", manifest.vcsTag],
        ["vcs_url", manifest.vcsUrl],
        ["changelog", manifest.changelog],
        ["published_by", manifest.publishedBy],
        ["published_at_epoch_ms", manifest.publishedAtEpochMs]
      ]
    },
    2
  )

/** Largest manifest that is read, in bytes. */
const MAX_MANIFEST_BYTES = 16_777_216

/** Most modes that are used; the protocol has four. */
const MAX_MODES = 100

const knownKeys: ReadonlySet<string> = new Set([
  "v",
  "service",
  "version",
  "contract_id",
  "canonical_encoding",
  "type_count",
  "type_hashes",
  "method_count",
  "methods",
  "serialization_modes",
  "scoped",
  "description",
  "deprecated",
  "deprecation",
  "semver",
  "vcs_revision",
  "vcs_tag",
  "vcs_url",
  "changelog",
  "published_by",
  "published_at_epoch_ms"
])

/**
 * Reads a manifest from a peer or a file, UTF-8 bytes or text.
 *
 * As in the reference every key may be missing, an unknown key at the top is an error, and long lists are cut (10,000
 * methods, 100,000 type hashes, 1,000 fields of a message). Fields of the older form without `kind` are brought up to
 * date, and modes given as numbers become names.
 *
 * Throws a `ManifestError` with the path of what is wrong. At most 16 MiB are read, nested at most 50 deep.
 *
 * @since 0.1.0
 */
export const parse = (input: Uint8Array | string): Manifest => fromJson(parseJson(input), "")

/**
 * Reads a file that holds one manifest or an array of them, as the offline generator writes it. Otherwise like `parse`.
 *
 * @since 0.1.0
 */
export const parseList = (input: Uint8Array | string): ReadonlyArray<Manifest> => {
  const json = parseJson(input)
  if (!isJsonArray(json)) return [fromJson(json, "")]
  return json.map((item, index) => fromJson(item, `[${index}]`))
}

const parseJson = (input: Uint8Array | string): JsonValue => {
  const tooLarge = new ManifestError("", `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`)
  if (input.length > MAX_MANIFEST_BYTES) throw tooLarge
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input
  if (bytes.length > MAX_MANIFEST_BYTES) throw tooLarge
  try {
    return JsonText.parse(bytes, true) as JsonValue
  } catch (cause) {
    throw cause instanceof CodecError ? new ManifestError("", cause.message, { cause }) : cause
  }
}

const fromJson = (json: JsonValue, path: string): Manifest => {
  const manifest = new ManifestObject(json, path)
  for (const key of Object.keys(manifest.json)) {
    if (!knownKeys.has(key)) throw manifest.fail(key, "no such key")
  }
  const contractId = manifest.string("contract_id", "")
  if (contractId !== "" && !isHash(contractId)) throw manifest.fail("contract_id", HASH)
  return {
    v: manifest.integer("v", 1),
    service: manifest.string("service", ""),
    version: manifest.integer("version", 1),
    contractId,
    canonicalEncoding: manifest.string("canonical_encoding", CANONICAL_ENCODING),
    typeCount: manifest.integer("type_count", 0),
    typeHashes: manifest.list("type_hashes", MAX_MANIFEST_TYPE_HASHES, readHash),
    methodCount: manifest.integer("method_count", 0),
    methods: manifest.list("methods", MAX_MANIFEST_METHODS, methodFromJson),
    serializationModes: manifest.list("serialization_modes", MAX_MODES, readMode),
    scoped: manifest.choice("scoped", ["shared", "session", "stream"], "shared") === "shared" ? "shared" : "session",
    ...withDeprecated(ManifestField.documentationFromJson(manifest)),
    semver: manifest.nullableString("semver"),
    vcsRevision: manifest.nullableString("vcs_revision"),
    vcsTag: manifest.nullableString("vcs_tag"),
    vcsUrl: manifest.nullableString("vcs_url"),
    changelog: manifest.nullableString("changelog"),
    publishedBy: manifest.string("published_by", ""),
    publishedAtEpochMs: manifest.integer("published_at_epoch_ms", 0)
  }
}

const HASH = `${HEX_ID_LENGTH} lower-case hex digits`

const isHash = (text: string): boolean => text.length === HEX_ID_LENGTH && /^[0-9a-f]+$/.test(text)

const readHash = (json: JsonValue, path: string): string => {
  if (typeof json !== "string" || !isHash(json)) throw new ManifestError(path, `expected ${HASH}`)
  return json
}

/** The numbers of the modes, which the offline generator writes instead of their names. */
const modeNames: ReadonlyArray<string> = ["xlang", "native", "row", "json"]

const readMode = (json: JsonValue, path: string): string => {
  const name = typeof json === "number" ? modeNames[json] : json
  if (typeof name !== "string") throw new ManifestError(path, "expected the name of a serialization mode")
  return name
}

const methodFromJson = (json: JsonValue, path: string): ManifestMethod => {
  const method = new ManifestObject(json, path)
  const wireTypes = method.get("wire_types")
  const timeout = method.get("timeout") ?? null
  if (timeout !== null && !(typeof timeout === "number" && Number.isFinite(timeout)))
    throw method.fail("timeout", "a number of seconds or null")
  return {
    name: method.string("name"),
    pattern: method.choice("pattern", ["unary", "server_stream", "client_stream", "bidi_stream"], "unary"),
    requestType: method.string("request_type", ""),
    responseType: method.string("response_type", ""),
    requestWireTag: method.string("request_wire_tag", ""),
    responseWireTag: method.string("response_wire_tag", ""),
    timeout,
    idempotent: method.boolean("idempotent", false),
    ...ManifestField.documentationFromJson(method),
    fields: method.list("fields", MAX_MANIFEST_FIELDS_PER_METHOD, ManifestField.fromJson),
    responseFields: method.list("response_fields", MAX_MANIFEST_FIELDS_PER_METHOD, ManifestField.fromJson),
    ...(wireTypes === undefined ? undefined : { wireTypes })
  }
}
