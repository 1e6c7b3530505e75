/**
 * Type descriptors: plain data that says how a value lies on the wire. They are discriminated by `kind`; `Value` and
 * `Input` read the TypeScript types off them. Compile them with `Fory.make(...).codec(type)`.
 *
 * Integer names follow pyfory: `int32`, `int64`, `uint32`, `uint64` and `int` are the variable-width forms, `fixed*`
 * the fixed-width ones. A Python `int` is `Type.int` (or `Type.int64` when 53 bits are not enough), a Python `float`
 * is `Type.float64`.
 *
 * @since 0.1.0
 */
import { ForyError } from "./ForyError.ts"

/** Carries the TypeScript types of a descriptor: what decoding returns and what encoding takes. Never set. */
interface Typed<out Value, in Input> {
  readonly "~value"?: Value
  readonly "~input"?: (input: Input) => void
}

/** Kinds without parameters. */
export type ScalarKind =
  | "bool"
  | "int8"
  | "int16"
  | "fixedInt32"
  | "int32"
  | "fixedInt64"
  | "int64"
  | "int"
  | "taggedInt64"
  | "uint8"
  | "uint16"
  | "fixedUint32"
  | "uint32"
  | "fixedUint64"
  | "uint64"
  | "taggedUint64"
  | "float32"
  | "float64"
  | "string"
  | "bytes"
  | "timestamp"
  | "timestampNanos"
  | "date"
  | "boolArray"
  | "int8Array"
  | "int16Array"
  | "int32Array"
  | "int64Array"
  | "uint8Array"
  | "uint16Array"
  | "uint32Array"
  | "uint64Array"
  | "float32Array"
  | "float64Array"

/** A value without parts. */
export interface Scalar<out Value = unknown, in Input = never> extends Typed<Value, Input> {
  readonly kind: ScalarKind
}

/** A null or a value. */
export interface Optional<out Value = unknown, in Input = never> extends Typed<Value, Input> {
  readonly kind: "optional"
  readonly of: Type
}

/** An ordered list. */
export interface List<out Value = unknown, in Input = never> extends Typed<Value, Input> {
  readonly kind: "list"
  readonly element: Type
}

/** A set. */
export interface SetOf<out Value = unknown, in Input = never> extends Typed<Value, Input> {
  readonly kind: "set"
  readonly element: Type
}

/** A map as a JavaScript `Map`. */
export interface MapOf<out Value = unknown, in Input = never> extends Typed<Value, Input> {
  readonly kind: "map"
  readonly key: Type
  readonly value: Type
}

/** A map with string keys as a plain object. */
export interface RecordOf<out Value = unknown, in Input = never> extends Typed<Value, Input> {
  readonly kind: "record"
  readonly value: Type
}

/** An enum registered by name; on the wire it is the ordinal in `values`. */
export interface Enumeration<out Value = unknown, in Input = never> extends Typed<Value, Input> {
  readonly kind: "enumeration"
  readonly namespace: string
  readonly name: string
  readonly values: ReadonlyArray<string | number>
}

/** Fields of a struct; the names are used on the wire exactly as spelled here. */
export interface Fields {
  readonly [name: string]: Type
}

/** A struct registered by name. `fields` is a function for types that mention themselves. */
export interface Struct<out Value = unknown, in Input = never> extends Typed<Value, Input> {
  readonly kind: "struct"
  readonly namespace: string
  readonly name: string
  readonly fields: () => Fields
  readonly prototype: object | undefined
  readonly initialize: ((value: object) => object) | undefined
}

/** A value of any type, or any map with string keys, or any list, written with its type in front. */
export interface Any<out Value = unknown, in Input = never> extends Typed<Value, Input> {
  readonly kind: "any" | "anyRecord" | "anyList"
}

/** Every descriptor. `Type<V, I>` decodes to `V` and encodes `I`; recursive types have to be annotated with it. */
export type Type<Value = unknown, Input = never> =
  | Scalar<Value, Input>
  | Optional<Value, Input>
  | List<Value, Input>
  | SetOf<Value, Input>
  | MapOf<Value, Input>
  | RecordOf<Value, Input>
  | Enumeration<Value, Input>
  | Struct<Value, Input>
  | Any<Value, Input>

/** What decoding a `T` returns. */
export type Value<T extends Type> = T extends Typed<infer V, never> ? V : never

/** What encoding a `T` takes: like `Value`, but optional parts may be undefined or left out. */
export type Input<T extends Type> = T extends Typed<unknown, infer I> ? I : never

type StructValue<F extends Fields> = { readonly [K in keyof F]: Value<F[K]> }
type OptionalKeys<F extends Fields> = { [K in keyof F]: undefined extends Input<F[K]> ? K : never }[keyof F]
type StructInput<F extends Fields> = { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: Input<F[K]> } & {
  readonly [K in OptionalKeys<F>]?: Input<F[K]>
}

/** What a prototype adds to the type of decoded structs: nothing, when there is none. */
type Instance<P extends object> = object extends P ? unknown : P

/** `boolean`. */
export const bool: Scalar<boolean, boolean> = { kind: "bool" }
/** Signed 8 bit integer. */
export const int8: Scalar<number, number> = { kind: "int8" }
/** Signed 16 bit integer. */
export const int16: Scalar<number, number> = { kind: "int16" }
/** Signed 32 bit integer, 1 to 5 bytes. */
export const int32: Scalar<number, number> = { kind: "int32" }
/** Signed 32 bit integer, always 4 bytes. */
export const fixedInt32: Scalar<number, number> = { kind: "fixedInt32" }
/** Safe integer (±2^53-1), 1 to 9 bytes: Python's `int`. A decoded value outside that range is an `OutOfRange` error. */
export const int: Scalar<number, number> = { kind: "int" }
/** Signed 64 bit integer as bigint, 1 to 9 bytes; the same bytes as `int`. */
export const int64: Scalar<bigint, bigint> = { kind: "int64" }
/** Signed 64 bit integer as bigint, always 8 bytes. */
export const fixedInt64: Scalar<bigint, bigint> = { kind: "fixedInt64" }
/** Signed 64 bit integer as bigint, 4 bytes from -2^30 to 2^30-1, else 9. */
export const taggedInt64: Scalar<bigint, bigint> = { kind: "taggedInt64" }
/** Unsigned 8 bit integer. */
export const uint8: Scalar<number, number> = { kind: "uint8" }
/** Unsigned 16 bit integer. */
export const uint16: Scalar<number, number> = { kind: "uint16" }
/** Unsigned 32 bit integer, 1 to 5 bytes. */
export const uint32: Scalar<number, number> = { kind: "uint32" }
/** Unsigned 32 bit integer, always 4 bytes. */
export const fixedUint32: Scalar<number, number> = { kind: "fixedUint32" }
/** Unsigned 64 bit integer as bigint, 1 to 9 bytes. */
export const uint64: Scalar<bigint, bigint> = { kind: "uint64" }
/** Unsigned 64 bit integer as bigint, always 8 bytes. */
export const fixedUint64: Scalar<bigint, bigint> = { kind: "fixedUint64" }
/** Unsigned 64 bit integer as bigint, 4 bytes up to 2^31-1, else 9. */
export const taggedUint64: Scalar<bigint, bigint> = { kind: "taggedUint64" }
/** IEEE 754 binary32; encoding rounds to the nearest representable number. */
export const float32: Scalar<number, number> = { kind: "float32" }
/** IEEE 754 binary64: Python's `float`. */
export const float64: Scalar<number, number> = { kind: "float64" }
/** Text without unpaired surrogates. */
export const string: Scalar<string, string> = { kind: "string" }
/** Byte string, at most 64 MiB by default. Decoding copies. */
export const bytes: Scalar<Uint8Array, Uint8Array> = { kind: "bytes" }
/**
 * Instant as a `Date`, to the millisecond; decoding rounds to the nearest millisecond, which also undoes the microsecond
 * that pyfory often loses when it encodes.
 */
export const timestamp: Scalar<Date, Date> = { kind: "timestamp" }
/** Instant as nanoseconds since the Unix epoch; the same bytes as `timestamp`, nothing lost. */
export const timestampNanos: Scalar<bigint, bigint> = { kind: "timestampNanos" }
/** Calendar day as the `Date` of its midnight in UTC. Encoding refuses a `Date` with a time of day. */
export const date: Scalar<Date, Date> = { kind: "date" }
/** Packed list of booleans. */
export const boolArray: Scalar<ReadonlyArray<boolean>, ReadonlyArray<boolean>> = { kind: "boolArray" }
/** Packed signed 8 bit integers. */
export const int8Array: Scalar<Int8Array, Int8Array> = { kind: "int8Array" }
/** Packed signed 16 bit integers. */
export const int16Array: Scalar<Int16Array, Int16Array> = { kind: "int16Array" }
/** Packed signed 32 bit integers. */
export const int32Array: Scalar<Int32Array, Int32Array> = { kind: "int32Array" }
/** Packed signed 64 bit integers. */
export const int64Array: Scalar<BigInt64Array, BigInt64Array> = { kind: "int64Array" }
/** Packed unsigned 8 bit integers; on the wire another type than `bytes`. */
export const uint8Array: Scalar<Uint8Array, Uint8Array> = { kind: "uint8Array" }
/** Packed unsigned 16 bit integers. */
export const uint16Array: Scalar<Uint16Array, Uint16Array> = { kind: "uint16Array" }
/** Packed unsigned 32 bit integers. */
export const uint32Array: Scalar<Uint32Array, Uint32Array> = { kind: "uint32Array" }
/** Packed unsigned 64 bit integers. */
export const uint64Array: Scalar<BigUint64Array, BigUint64Array> = { kind: "uint64Array" }
/** Packed IEEE 754 binary32 numbers. */
export const float32Array: Scalar<Float32Array, Float32Array> = { kind: "float32Array" }
/** Packed IEEE 754 binary64 numbers. */
export const float64Array: Scalar<Float64Array, Float64Array> = { kind: "float64Array" }

/**
 * A value whose type travels with it. Encoding goes by the JavaScript value: safe integers and bigints become 64 bit
 * integers, other numbers float64, `Uint8Array` a byte string, `Date` a timestamp, arrays lists, plain objects maps
 * with string keys, instances of a registered struct's prototype that struct; null and undefined become null. Wrap a
 * value in `typed` to choose its type. Decoding returns a bigint only for integers that a number cannot hold, a `Map`
 * for every map (see `plainMaps`), and structs and enums only of types the registry knows.
 */
export const any: Any<unknown, unknown> = { kind: "any" }

/** A plain object of values of any type: a bare `dict` in Python. The same bytes as `any`, for maps with string keys. */
export const anyRecord: Any<{ readonly [key: string]: unknown }, { readonly [key: string]: unknown }> = {
  kind: "anyRecord"
}

/** An array of values of any type: a bare `list` in Python. The same bytes as `any`, for lists. */
export const anyList: Any<ReadonlyArray<unknown>, ReadonlyArray<unknown>> = { kind: "anyList" }

/** `type` or null; undefined and a missing field are encoded as null. */
export const optional = <T extends Type>(type: T): Optional<Value<T> | null, Input<T> | null | undefined> => {
  if (type.kind === "optional") throw new ForyError("InvalidDefinition", "optional(optional(...)) is one optional")
  return { kind: "optional", of: type }
}

/** List of `element`. */
export const list = <T extends Type>(element: T): List<ReadonlyArray<Value<T>>, ReadonlyArray<Input<T>>> => ({
  kind: "list",
  element
})

/** Set of `element`. */
export const set = <T extends Type>(element: T): SetOf<ReadonlySet<Value<T>>, ReadonlySet<Input<T>>> => ({
  kind: "set",
  element
})

/** Map from `key` to `value`, entries in insertion order. */
export const map = <K extends Type, V extends Type>(
  key: K,
  value: V
): MapOf<ReadonlyMap<Value<K>, Value<V>>, ReadonlyMap<Input<K>, Input<V>>> => ({ kind: "map", key, value })

/** Map with string keys as a plain object; integer-like keys come first, as in every JavaScript object. */
export const record = <V extends Type>(
  value: V
): RecordOf<{ readonly [key: string]: Value<V> }, { readonly [key: string]: Input<V> }> => ({ kind: "record", value })

/** Enum: `values` in the order of definition, the same on every peer. */
export const enumeration = <const V extends string | number>(options: {
  readonly namespace: string
  readonly name: string
  readonly values: ReadonlyArray<V>
}): Enumeration<V, V> => ({ kind: "enumeration", ...options })

/**
 * Struct: both peers need the same names, field names, kinds and optionality. With `prototype`, decoded values are
 * created with it (so `instanceof` holds) without calling its constructor.
 */
export const struct = <F extends Fields, P extends object = object>(options: {
  readonly namespace: string
  readonly name: string
  readonly fields: F | (() => F)
  readonly prototype?: P | undefined
  /** Gets every decoded object and answers the one to take: for what a constructor does. Only with `prototype`. */
  readonly initialize?: ((value: object) => object) | undefined
}): Struct<StructValue<F> & NoInfer<Instance<P>>, StructInput<F>> => {
  const { fields } = options
  return {
    kind: "struct",
    namespace: options.namespace,
    name: options.name,
    fields: typeof fields === "function" ? fields : () => fields,
    prototype: options.prototype,
    initialize: options.initialize
  }
}

/** A value together with the type it is to be written as; only for `any` positions. */
export class TypedValue {
  readonly type: Type
  readonly value: unknown

  constructor(type: Type, value: unknown) {
    this.type = type
    this.value = value
  }
}

/** `value` for an `any` position, to be written as `type`: structs without a prototype, enums, narrow integers. */
export const typed = <T extends Type>(type: T, value: Input<T>): TypedValue => {
  if (type.kind === "any" || type.kind === "anyRecord" || type.kind === "anyList" || type.kind === "optional")
    throw new ForyError("InvalidDefinition", `typed(${type.kind}) says nothing: give the value itself`)
  return new TypedValue(type, value)
}
