/**
 * Messages in both encodings, compiled once per service.
 *
 * @since 0.1.0
 */
import { Fory, ForyError, Type, type Writer } from "@aster-effect/fory"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { CodecError } from "./CodecError.ts"
import * as Json from "./Json.ts"
import * as Wire from "./Wire.ts"
import type { ScalarName, StructType, WireType } from "./WireType.ts"

/** How the messages of a call are encoded. @since 0.1.0 */
export type Encoding = "xlang" | "json"

/**
 * One message type. All functions throw `CodecError`.
 *
 * @since 0.1.0
 */
export interface MessageCodec<A> {
  /** Appends the message. */
  readonly write: (writer: Writer, value: A, encoding: Encoding) => void
  /** Reads a message from bytes that nobody writes to any more: long byte strings may be views of them. */
  readonly read: (bytes: Uint8Array, encoding: Encoding) => A
}

/**
 * The codecs of a service's message types. They share one registry, so that an untyped field may hold any message of
 * the service.
 *
 * @throws Wire.WireTypeError, ForyError for types that cannot be encoded
 * @since 0.1.0
 */
export const compileAll = <const S extends ReadonlyArray<Schema.Constraint>>(
  schemas: S
): { readonly [K in keyof S]: MessageCodec<S[K]["Type"]> } => {
  const types = new ForyTypes()
  const wireTypes = schemas.map((schema, i) => Wire.resolve(schema, `message ${i}`))
  const foryTypes = wireTypes.map((type, i) => types.of(type, Wire.isPlain(schemas[i]!)))
  const fory = Fory.make({ types: types.named(), strictNulls: true, plainMaps: true, views: true })
  return schemas.map((schema, i) => {
    const plain = Wire.isPlain(schema)
    const xlang = fory.codec(foryTypes[i]!)
    const json = Json.compile(wireTypes[i]!, { prototypes: plain, messages: types.messages() })
    return make(xlang, json, plain ? undefined : schema)
  }) as never
}

/**
 * The codecs of the requests and responses of a service's methods, request and response of each in turn. They are compiled
 * once for all servers and clients of the same definition.
 *
 * @throws Wire.WireTypeError, ForyError for types that cannot be encoded
 * @since 0.1.0
 */
export const ofMethods = (methods: Methods): ReadonlyArray<MessageCodec<unknown>> => {
  const known = compiled.get(methods)
  if (known !== undefined) return known
  const codecs: ReadonlyArray<MessageCodec<unknown>> = compileAll(
    methods.flatMap(({ request, response }) => [request, response])
  )
  compiled.set(methods, codecs)
  return codecs
}

type Methods = ReadonlyArray<{ readonly request: Schema.Constraint; readonly response: Schema.Constraint }>

const compiled = new WeakMap<Methods, ReadonlyArray<MessageCodec<unknown>>>()

interface XlangCodec {
  readonly write: (writer: Writer, value: never) => void
  readonly decode: (bytes: Uint8Array) => unknown
}

const make = (
  xlang: XlangCodec,
  json: Json.JsonCodec,
  schema: Schema.Constraint | undefined
): MessageCodec<unknown> => {
  const write = (writer: Writer, value: unknown, encoding: Encoding): void => {
    if (encoding === "json") return json.write(writer, value)
    const start = writer.position
    try {
      xlang.write(writer, value as never)
    } catch (error) {
      writer.position = start
      throw fromFory(error, "a value cannot be read: one of its getters threw")
    }
  }
  const read = (bytes: Uint8Array, encoding: Encoding): unknown => {
    if (encoding === "json") return json.decode(bytes)
    try {
      return xlang.decode(bytes)
    } catch (error) {
      throw fromFory(error, "the constructor of a message class threw")
    }
  }
  if (schema === undefined) return { write, read }
  const codec = schema as Schema.Codec<unknown, unknown>
  const decode = Schema.decodeUnknownResult(codec)
  const encode = Schema.encodeUnknownResult(codec)
  return {
    write: (writer, value, encoding) => write(writer, valid(encode, value), encoding),
    read: (bytes, encoding) => valid(decode, read(bytes, encoding))
  }
}

const valid = (transform: (value: unknown) => Result.Result<unknown, Schema.SchemaError>, value: unknown): unknown => {
  let result: Result.Result<unknown, Schema.SchemaError>
  try {
    result = transform(value)
  } catch {
    throw new CodecError({ reason: "Invalid", detail: "a check or transformation of the schema threw" })
  }
  if (Result.isSuccess(result)) return result.success
  throw new CodecError({ reason: "Invalid", detail: result.failure.message })
}

/** @param otherwise what it means that code of the message classes threw, whose words may not leave this process */
const fromFory = (error: unknown, otherwise: string): CodecError => {
  if (!(error instanceof ForyError)) return new CodecError({ reason: "Invalid", detail: otherwise })
  const reason =
    error.code === "SchemaMismatch" ? "SchemaMismatch" : error.code === "LimitExceeded" ? "TooLarge" : "Malformed"
  return new CodecError({ reason, detail: error.message })
}

const scalars: { readonly [K in ScalarName]: Type.Type } = {
  bool: Type.bool,
  int: Type.int,
  int64: Type.int64,
  int8: Type.int8,
  int16: Type.int16,
  int32: Type.int32,
  uint8: Type.uint8,
  uint16: Type.uint16,
  uint32: Type.uint32,
  uint64: Type.uint64,
  float32: Type.float32,
  float64: Type.float64,
  string: Type.string,
  bytes: Type.bytes,
  timestamp: Type.timestamp,
  date: Type.date
}

/** Wire types as Fory descriptors; a struct becomes one descriptor however often it occurs. */
class ForyTypes {
  readonly #structs = new Map<StructType, Type.Type>()
  readonly #bare = new Map<StructType, Type.Type>()
  readonly #enums = new Map<WireType, Type.Type>()

  /** @param prototypes whether decoded structs are instances of their classes */
  of(type: WireType, prototypes: boolean): Type.Type {
    switch (type._tag) {
      case "Scalar":
        return scalars[type.scalar]
      case "List":
        return Type.list(this.of(type.element, prototypes))
      case "Set":
        return Type.set(this.of(type.element, prototypes))
      case "Map":
        return type.form === "record"
          ? Type.record(this.of(type.value, prototypes))
          : Type.map(this.of(type.key, prototypes), this.of(type.value, prototypes))
      case "Optional":
        return Type.optional(this.of(type.of, prototypes))
      case "Any":
        return Type.any
      case "AnyRecord":
        return Type.anyRecord
      case "AnyList":
        return Type.anyList
      case "Enum": {
        const known = this.#enums.get(type)
        if (known !== undefined) return known
        const made = Type.enumeration({
          namespace: type.name.namespace,
          name: type.name.name,
          values: type.members.map((member) => member.value)
        })
        this.#enums.set(type, made)
        return made
      }
      case "Struct": {
        const structs = prototypes ? this.#structs : this.#bare
        const known = structs.get(type)
        if (known !== undefined) return known
        const made = Type.struct({
          namespace: type.name.namespace,
          name: type.name.name,
          fields: () =>
            Object.fromEntries(type.fields().map((field) => [field.name, this.of(field.type, prototypes)] as const)),
          prototype: prototypes ? type.prototype : undefined,
          initialize: prototypes ? type.initialize : undefined
        })
        structs.set(type, made)
        for (const field of type.fields()) this.of(field.type, prototypes)
        return made
      }
    }
  }

  /** The message classes. */
  messages(): ReadonlyArray<StructType> {
    return [...this.#structs.keys(), ...this.#bare.keys()]
  }

  /** Structs and enums to register. What arrives in an untyped field is an instance of its class. */
  named(): ReadonlyArray<Type.Type> {
    for (const type of this.#bare.keys()) this.of(type, true)
    return [...this.#structs.values(), ...this.#enums.values()]
  }
}
