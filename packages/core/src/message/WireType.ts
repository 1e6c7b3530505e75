/**
 * What travels: the shape of a value on the wire, as plain data.
 *
 * One description drives everything that depends on a type: its Fory XLANG bytes, its JSON form, its place in the
 * contract identity and its entry in the manifest. Schemas carry it as an annotation (see `Wire`); nothing walks a
 * schema per message.
 *
 * @since 0.1.0
 */

/**
 * The scalars and how Aster 0.1.2 spells them in Python:
 *
 * - `int` (`int`, read as a JavaScript number, safe integers only) and `int64` (`int`, read as a bigint) have the same
 *   bytes and the same contract primitive;
 * - `int8` to `uint64` and `float32` are the pyfory width annotations;
 * - `timestamp` is `datetime` and `date` is `datetime.date`.
 *
 * @since 0.1.0
 */
export type ScalarName =
  | "bool"
  | "int"
  | "int64"
  | "int8"
  | "int16"
  | "int32"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "float32"
  | "float64"
  | "string"
  | "bytes"
  | "timestamp"
  | "date"

/** @since 0.1.0 */
export interface ScalarType {
  readonly _tag: "Scalar"
  readonly scalar: ScalarName
}

/** @since 0.1.0 */
export interface ListType {
  readonly _tag: "List"
  readonly element: WireType
}

/** A set; its wire order is the iteration order. @since 0.1.0 */
export interface SetType {
  readonly _tag: "Set"
  readonly element: WireType
}

/**
 * A map. `form` says which JavaScript value carries it: a `ReadonlyMap`, or a plain object with string keys.
 *
 * @since 0.1.0
 */
export interface MapType {
  readonly _tag: "Map"
  readonly form: "map" | "record"
  readonly key: WireType
  readonly value: WireType
}

/** A value that may be null (`Optional[T]`). @since 0.1.0 */
export interface OptionalType {
  readonly _tag: "Optional"
  readonly of: WireType
}

/**
 * An enumeration. The ordinal of a member (its place in `members`) travels in XLANG, its value in JSON.
 *
 * @since 0.1.0
 */
export interface EnumType {
  readonly _tag: "Enum"
  readonly name: TypeName
  readonly members: ReadonlyArray<{ readonly name: string; readonly value: string | number }>
}

/** A message class. `fields` are in declaration order, which is part of the contract. @since 0.1.0 */
export interface StructType {
  readonly _tag: "Struct"
  readonly name: TypeName
  /** Lazy, so that types may refer to themselves and to each other. */
  readonly fields: () => ReadonlyArray<Field>
  /** Prototype of decoded values; plain objects when absent. */
  readonly prototype: object | undefined
  /**
   * Gets every decoded object and answers the one to take: what the constructor of a class does beyond holding the
   * fields. Absent where it does nothing.
   */
  readonly initialize?: ((value: object) => object) | undefined
}

/** A value of any type, written with its runtime type. @since 0.1.0 */
export interface AnyType {
  readonly _tag: "Any"
}

/** A plain object of values of any type: a bare `dict`. @since 0.1.0 */
export interface AnyRecordType {
  readonly _tag: "AnyRecord"
}

/** An array of values of any type: a bare `list`. @since 0.1.0 */
export interface AnyListType {
  readonly _tag: "AnyList"
}

/** @since 0.1.0 */
export type WireType =
  | ScalarType
  | ListType
  | SetType
  | MapType
  | OptionalType
  | EnumType
  | StructType
  | AnyType
  | AnyRecordType
  | AnyListType

/**
 * How a named type is known on the wire and in contracts.
 *
 * - `tag`: the wire tag as declared (`billing/v2/Invoice`), absent for an untagged class;
 * - `namespace`, `name`: the tag split at its last `/`; for an untagged class its module and qualified class name;
 * - `qualifiedName`: module and class name in dotted form (`billing.models.Invoice`). It orders the type graph and
 *   names recursive references in the contract, so it has to equal the reference's when ids of recursive types are to be
 *   equal.
 *
 * @since 0.1.0
 */
export interface TypeName {
  readonly tag: string | undefined
  readonly namespace: string
  readonly name: string
  readonly qualifiedName: string
}

/**
 * Words for people and agents about a service, a method or a field. No part of the contract.
 *
 * @since 0.1.0
 */
export interface Documentation {
  /** What it is for. */
  readonly description?: string | undefined
  /** It is to be used no longer: why, or what to use instead. */
  readonly deprecated?: string | true | undefined
}

/** @since 0.1.0 */
export interface Field extends Documentation {
  readonly name: string
  readonly type: WireType
  /**
   * What a missing JSON key becomes, anew each time it is asked for. Absent: the key is required, unless the type is
   * optional.
   */
  readonly defaultValue?: { readonly value: unknown } | undefined
}

/** @since 0.1.0 */
export type Pattern = "unary" | "server_stream" | "client_stream" | "bidi_stream"

/** `session`: one instance per session stream. @since 0.1.0 */
export type Scope = "shared" | "session"

/** @since 0.1.0 */
export type SerializationMode = "xlang" | "native" | "row" | "json"

/** @since 0.1.0 */
export interface MethodDescription extends Documentation {
  readonly name: string
  readonly pattern: Pattern
  readonly request: WireType
  readonly response: WireType
  /** Declared default time limit in seconds, 0 for none. */
  readonly timeoutSeconds: number
  readonly idempotent: boolean
}

/** Everything about a service that its contract depends on, and its documentation. @since 0.1.0 */
export interface ServiceDescription extends Documentation {
  readonly name: string
  readonly version: number
  readonly scope: Scope
  readonly serializationModes: ReadonlyArray<SerializationMode>
  /** The contract is that of a Python service whose annotations stayed text; see `Contract.ContractOptions`. Default false. */
  readonly postponedAnnotations?: boolean | undefined
  readonly methods: ReadonlyArray<MethodDescription>
}
