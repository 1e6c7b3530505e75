/**
 * Schemas that know how they travel.
 *
 * Every schema of this module is an ordinary Effect schema with a wire type attached. Messages are built from them, so
 * that one definition yields the TypeScript type, the constructor, the Fory XLANG bytes, the JSON form and the contract
 * id:
 *
 * ```ts
 * class TaskRequest extends Wire.Class<TaskRequest>("tasks/TaskRequest")({
 *   task_id: Wire.String,
 *   payload: Wire.String,
 *   labels: Wire.List(Wire.String),
 *   parent: Wire.Optional(Wire.String)
 * }) {}
 * ```
 *
 * Field names travel exactly as spelled. Checks, brands and transformations (`Wire.String.check(...)`,
 * `Wire.String.pipe(Schema.decodeTo(...))`) are welcome: what is below them travels, and they run on top of the decoded
 * value.
 *
 * `Wire.String.annotate({ description: "..." })` describes a field, and `deprecated` says that it is to be used no longer;
 * both stand in the manifest and in generated clients, and are no part of the contract.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { isPlainObject } from "./internal/jsonAny.ts"
import { copyValue } from "./internal/copyValue.ts"
import { initialize, initializerOf, takingFinished } from "./internal/messageClass.ts"
import {
  fieldsOf,
  isPlain,
  memo,
  resolve,
  type WireAnnotation,
  WireTypeError,
  wireTypeOf
} from "./internal/schemaWireType.ts"
import type { Checked, CheckedFields, HasWireForm } from "./WireForm.ts"
import type { EnumType, ScalarName, StructType, TypeName, WireType } from "./WireType.ts"

export { isPlain, resolve, type WireAnnotation, WireTypeError }

declare module "effect/Schema" {
  namespace Annotations {
    interface Augment {
      readonly wireType?: WireAnnotation | undefined
      readonly wireDefault?: { readonly value: unknown } | undefined
      /** On a field: it is to be used no longer, and why or what to use instead. No part of the contract. */
      readonly deprecated?: string | true | undefined
    }
  }
}

const annotate = <S extends Schema.Top>(schema: S, type: () => WireType): S["Rebuild"] =>
  schema.annotate({ wireType: { type, checks: schema.ast.checks } })

const scalar = <S extends Schema.Top>(schema: S, name: ScalarName): S["Rebuild"] => {
  const type: WireType = { _tag: "Scalar", scalar: name }
  return annotate(schema, () => type)
}

const integer = (name: ScalarName, minimum: number, maximum: number) =>
  scalar(Schema.Int.check(Schema.isBetween({ minimum, maximum })), name)

const bigInteger = (name: ScalarName, minimum: bigint, maximum: bigint) =>
  scalar(Schema.BigInt.check(Schema.isBetweenBigInt({ minimum, maximum })), name)

/** `bool`. @since 0.1.0 */
export interface Bool extends Schema.Boolean, HasWireForm {
  readonly Rebuild: Bool
}
export const Bool: Bool = scalar(Schema.Boolean, "bool")

/**
 * Python `int` as a JavaScript number: safe integers (±(2^53-1)). A peer that sends a larger one gets INVALID_ARGUMENT;
 * use `Int64` where such values occur. Same bytes and same contract as `Int64`.
 *
 * @since 0.1.0
 */
export interface Int extends Schema.Int, HasWireForm {
  readonly Rebuild: Int
}
export const Int: Int = scalar(Schema.Int, "int")

/** Python `int` as a bigint, 64 bits signed. @since 0.1.0 */
export interface Int64 extends Schema.BigInt, HasWireForm {
  readonly Rebuild: Int64
}
export const Int64: Int64 = bigInteger("int64", -(2n ** 63n), 2n ** 63n - 1n)

/** `pyfory.int8`. @since 0.1.0 */
export interface Int8 extends Schema.Int, HasWireForm {
  readonly Rebuild: Int8
}
export const Int8: Int8 = integer("int8", -128, 127)

/** `pyfory.int16`. @since 0.1.0 */
export interface Int16 extends Schema.Int, HasWireForm {
  readonly Rebuild: Int16
}
export const Int16: Int16 = integer("int16", -32_768, 32_767)

/** `pyfory.int32`. @since 0.1.0 */
export interface Int32 extends Schema.Int, HasWireForm {
  readonly Rebuild: Int32
}
export const Int32: Int32 = integer("int32", -2_147_483_648, 2_147_483_647)

/** `pyfory.uint8`. @since 0.1.0 */
export interface Uint8 extends Schema.Int, HasWireForm {
  readonly Rebuild: Uint8
}
export const Uint8: Uint8 = integer("uint8", 0, 255)

/** `pyfory.uint16`. @since 0.1.0 */
export interface Uint16 extends Schema.Int, HasWireForm {
  readonly Rebuild: Uint16
}
export const Uint16: Uint16 = integer("uint16", 0, 65_535)

/** `pyfory.uint32`. @since 0.1.0 */
export interface Uint32 extends Schema.Int, HasWireForm {
  readonly Rebuild: Uint32
}
export const Uint32: Uint32 = integer("uint32", 0, 4_294_967_295)

/** `pyfory.uint64` as a bigint. @since 0.1.0 */
export interface Uint64 extends Schema.BigInt, HasWireForm {
  readonly Rebuild: Uint64
}
export const Uint64: Uint64 = bigInteger("uint64", 0n, 2n ** 64n - 1n)

/** `pyfory.float32`; values are rounded to single precision when they travel. @since 0.1.0 */
export interface Float32 extends Schema.Number, HasWireForm {
  readonly Rebuild: Float32
}
export const Float32: Float32 = scalar(Schema.Number, "float32")

/** Python `float`. NaN and infinities travel in XLANG; JSON has no form for them. @since 0.1.0 */
export interface Float64 extends Schema.Number, HasWireForm {
  readonly Rebuild: Float64
}
export const Float64: Float64 = scalar(Schema.Number, "float64")

/** `str`. Unpaired surrogates cannot travel. @since 0.1.0 */
export interface String extends Schema.String, HasWireForm {
  readonly Rebuild: String
}
export const String: String = scalar(Schema.String, "string")

/**
 * `bytes`. In JSON, where the reference has no form for bytes, standard base64. What is decoded is the message's own to
 * change, but may be a view of larger memory, as Node's buffers are: mind `byteOffset` where its `buffer` is used.
 *
 * @since 0.1.0
 */
export interface Bytes extends Schema.Uint8Array, HasWireForm {
  readonly Rebuild: Bytes
}
export const Bytes: Bytes = scalar(Schema.Uint8Array, "bytes")

/**
 * `datetime` as a valid `Date` (milliseconds; finer digits of a peer are rounded). In JSON an ISO 8601 string with a
 * zone.
 *
 * @since 0.1.0
 */
export interface Timestamp extends Schema.Date, HasWireForm {
  readonly Rebuild: Timestamp
}
export const Timestamp: Timestamp = scalar(
  Schema.Date.check(Schema.makeFilter((value) => !Number.isNaN(value.getTime()) || "expected a valid Date")),
  "timestamp"
)

const MILLISECONDS_PER_DAY = 86_400_000

/**
 * `datetime.date` as a `Date` at midnight UTC: `new Date("2024-02-29")`, `new Date(Date.UTC(2024, 1, 29))`. Any other time
 * of day is refused, since local midnight is the day before in half of the world. In JSON `YYYY-MM-DD`.
 *
 * @since 0.1.0
 */
export interface Date extends Schema.Date, HasWireForm {
  readonly Rebuild: Date
}
export const Date: Date = scalar(
  Schema.Date.check(
    Schema.makeFilter(
      (value) => value.getTime() % MILLISECONDS_PER_DAY === 0 || "expected a Date at midnight UTC, as Date.UTC makes it"
    )
  ),
  "date"
)

/**
 * A value of any type, written with its runtime type. What arrives is the same in XLANG and in JSON: booleans, text,
 * numbers (a bigint only for integers beyond 2^53), arrays, plain objects for maps with string keys, and null. XLANG
 * also carries byte strings, `Date`s, `Set`s, messages of the service, and maps with other keys as `Map`s; JSON has no
 * form for them here, except that messages become plain objects.
 *
 * @since 0.1.0
 */
export interface Any extends Schema.Unknown, HasWireForm {
  readonly Rebuild: Any
}
export const Any: Any = annotate(Schema.Unknown, () => ({ _tag: "Any" }))

/**
 * A bare `dict`: a plain object whose values are of any type. A `dict` with keys that are not strings takes `Any`.
 *
 * @since 0.1.0
 */
export interface AnyRecord extends Schema.declare<{ readonly [key: string]: unknown }>, HasWireForm {
  readonly Rebuild: AnyRecord
}
export const AnyRecord: AnyRecord = annotate(
  Schema.declare<{ readonly [key: string]: unknown }>(isPlainObject, { expected: "a plain object" }),
  () => ({ _tag: "AnyRecord" })
)

/** A bare `list`: an array whose elements are of any type. @since 0.1.0 */
export interface AnyList extends Schema.declare<ReadonlyArray<unknown>>, HasWireForm {
  readonly Rebuild: AnyList
}
export const AnyList: AnyList = annotate(
  Schema.declare<ReadonlyArray<unknown>>(globalThis.Array.isArray, { expected: "an array" }),
  () => ({ _tag: "AnyList" })
)

/** `list[T]` as a readonly array. @since 0.1.0 */
export interface List<S extends Schema.Constraint> extends Schema.$Array<S>, HasWireForm {
  readonly Rebuild: List<S>
}
export const List = <S extends Schema.Constraint>(element: S & Checked<S>): List<S> =>
  annotate(
    Schema.Array(element),
    memo(() => ({ _tag: "List", element: wireTypeOf(element) }))
  )

/** `set[T]` as a `ReadonlySet`. @since 0.1.0 */
export interface Set<S extends Schema.Constraint> extends Schema.$ReadonlySet<S>, HasWireForm {
  readonly Rebuild: Set<S>
}
export const Set = <S extends Schema.Constraint>(element: S & Checked<S>): Set<S> =>
  annotate(
    Schema.ReadonlySet(element),
    memo(() => ({ _tag: "Set", element: wireTypeOf(element) }))
  )

/** `dict[K, V]` as a `ReadonlyMap`. JSON needs string, integer or boolean keys. @since 0.1.0 */
export interface Map<K extends Schema.Constraint, V extends Schema.Constraint>
  extends Schema.$ReadonlyMap<K, V>, HasWireForm {
  readonly Rebuild: Map<K, V>
}
export const Map = <K extends Schema.Constraint, V extends Schema.Constraint>(
  key: K & Checked<K>,
  value: V & Checked<V>
): Map<K, V> =>
  annotate(
    Schema.ReadonlyMap(key, value),
    memo(() => ({ _tag: "Map", form: "map", key: wireTypeOf(key), value: wireTypeOf(value) }))
  )

/** `dict[str, V]` as a plain object. @since 0.1.0 */
export interface Record<V extends Schema.Constraint> extends Schema.$Record<Schema.String, V>, HasWireForm {
  readonly Rebuild: Record<V>
}
export const Record = <V extends Schema.Constraint>(value: V & Checked<V>): Record<V> =>
  annotate(
    Schema.Record(Schema.String, value),
    memo(() => ({
      _tag: "Map",
      form: "record",
      key: { _tag: "Scalar", scalar: "string" },
      value: wireTypeOf(value)
    }))
  )

/** `Optional[T]`: the value or null. Constructors take an absent property for null. @since 0.1.0 */
export interface Optional<S extends Schema.Constraint>
  extends Schema.withConstructorDefault<Schema.NullOr<S>>, HasWireForm {
  readonly Rebuild: Optional<S>
}
export const Optional = <S extends Schema.Constraint>(schema: S & Checked<S>): Optional<S> =>
  annotate(
    Schema.NullOr(schema),
    memo(() => ({ _tag: "Optional", of: wireTypeOf(schema) }))
  ).pipe(Schema.withConstructorDefault(Effect.succeed(null)))

/**
 * A field default, as in a Python dataclass: constructors and JSON requests may leave the field out. Every message gets
 * a copy of its own. It is not part of the contract.
 *
 * @since 0.1.0
 */
export const withDefault = <S extends Schema.Top & Schema.WithoutConstructorDefault>(
  value: S["~type.make.in"] & S["Type"]
): ((schema: S) => Schema.withConstructorDefault<S>) => {
  const original = copyValue(value, initialize)
  const fallback = {
    get value() {
      return copyValue(original, initialize)
    }
  }
  return (schema) =>
    Schema.withConstructorDefault<S>(Effect.sync(() => fallback.value))(
      schema.rebuild(schema.annotate({ wireDefault: fallback }).ast) as S
    )
}

/**
 * An enumeration, registered under its tag (`module/Name` for a Python enum). Values are the member values: those that
 * JSON shows. The order of the members is their ordinal in XLANG.
 *
 * @since 0.1.0
 */
export interface Enum<V extends string | number> extends Schema.Literals<ReadonlyArray<V>>, HasWireForm {
  readonly Rebuild: Enum<V>
}
export const Enum = <const V extends string | number>(
  tag: string,
  members: { readonly [member: string]: V },
  options?: NameOptions
): Enum<V> => {
  const entries = Object.entries(members)
  const problem = enumProblem(Object.values(members))
  if (problem !== undefined) throw new WireTypeError({ path: tag, reason: problem })
  const type: EnumType = {
    _tag: "Enum",
    name: typeName(tag, options),
    members: entries.map(([name, value]) => ({ name, value }))
  }
  return annotate(Schema.Literals(Object.values(members)), () => type)
}

const enumProblem = (values: ReadonlyArray<string | number>): string | undefined => {
  if (values.length === 0) return "an enumeration has at least one member"
  if (new globalThis.Set(values).size !== values.length) return "two members of the enumeration have the same value"
  return values.every((value) => (typeof value === "string" ? value.isWellFormed() : Number.isFinite(value)))
    ? undefined
    : "the values of an enumeration are numbers and Unicode text"
}

/** @since 0.1.0 */
export interface NameOptions {
  /**
   * Dotted module path and class name of the reference's class (`billing.models.Invoice`). It only matters for contract
   * ids of recursive types. Default: the tag with its separators turned into dots.
   */
  readonly qualifiedName?: string | undefined
  /** The class has no wire tag of its own: `tag` is its module and qualified class name. */
  readonly untagged?: boolean | undefined
}

/**
 * A message class. The tag is split at its last `/` into the namespace and the name it is registered under; fields are
 * in contract order and travel under exactly these names.
 *
 * What arrives is an instance of the class that stands in the service, whatever else extends it. Constructors of
 * messages run when one arrives, on the object that has its fields already, unless the class has no members of its own.
 *
 * @since 0.1.0
 */
export interface Class<Self, Fields extends Schema.Struct.Fields>
  extends Schema.Class<Self, Schema.Struct<Fields>, {}>, HasWireForm {
  readonly Rebuild: Annotated<Self, Fields>
}
export const Class =
  <Self = never>(tag: string, options?: NameOptions) =>
  <const Fields extends Schema.Struct.Fields>(
    fields: Fields & CheckedFields<Fields>
  ): [Self] extends [never] ? never : Class<Self, Fields> => {
    const name = typeName(tag, options)
    const wireFields = memo(() => fieldsOf(tag, fields), tag)
    const base = takingFinished(Schema.Class<any>(tag)(fields) as never)
    // A class of Effect's has one schema for itself and all that extend it. Here each has its own, whose values are
    // instances of that class and no other.
    const schemas = new WeakMap<object, SchemaAST.AST>()
    Object.defineProperty(base, "ast", {
      get(this: (new () => object) & { readonly prototype: object }) {
        let ast = schemas.get(this)
        if (ast === undefined) {
          const type: StructType = {
            _tag: "Struct",
            name,
            fields: wireFields,
            prototype: this.prototype,
            initialize: initializerOf(this, base)
          }
          const own = Schema.Class<any>(tag)(fields, { wireType: { type: () => type, checks: undefined } })
          ast = Object.getOwnPropertyDescriptor(own, "ast")!.get!.call(this) as SchemaAST.AST
          schemas.set(this, ast)
        }
        return ast
      }
    })
    return base as never
  }

/** A message class with annotations of its own: a schema, and no constructor. @since 0.1.0 */
export interface Annotated<Self, Fields extends Schema.Struct.Fields>
  extends
    Schema.decodeTo<
      Schema.declareConstructor<
        Self,
        Schema.Struct<Fields>["Encoded"],
        readonly [Schema.Struct<Fields>],
        Schema.Struct<Fields>["Iso"]
      >,
      Schema.Struct<Fields>
    >,
    HasWireForm {
  readonly Rebuild: Annotated<Self, Fields>
}

/**
 * A message without a class: what arrives is a plain object. Takes the fields, or a struct with its checks. Names and
 * fields are as those of `Class`.
 *
 * @since 0.1.0
 */
export interface Struct<Fields extends Schema.Struct.Fields> extends Schema.Struct<Fields>, HasWireForm {
  readonly Rebuild: Struct<Fields>
}
export const Struct = <const Fields extends Schema.Struct.Fields>(
  tag: string,
  of: (Fields & CheckedFields<Fields>) | (Schema.Struct<Fields> & { readonly fields: CheckedFields<Fields> }),
  options?: NameOptions
): Struct<Fields> => {
  const struct = Schema.isSchema(of) ? (of as Schema.Struct<Fields>) : Schema.Struct(of as Fields)
  const name = typeName(tag, options)
  const type: StructType = {
    _tag: "Struct",
    name,
    fields: memo(() => fieldsOf(tag, struct.fields), tag),
    prototype: undefined
  }
  return struct.annotate({ wireType: { type: () => type, checks: undefined } })
}

const typeName = (tag: string, options: NameOptions | undefined): TypeName => {
  const slash = tag.lastIndexOf("/")
  if (slash === tag.length - 1 || !tag.isWellFormed()) {
    throw new WireTypeError({
      path: JSON.stringify(tag),
      reason: "a tag is Unicode text that ends with the type's name"
    })
  }
  return {
    tag: options?.untagged === true ? undefined : tag,
    namespace: slash < 0 ? "" : tag.slice(0, slash),
    name: tag.slice(slash + 1),
    qualifiedName: options?.qualifiedName ?? tag.replaceAll("/", ".")
  }
}
