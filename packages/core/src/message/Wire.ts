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
import { withoutWireForm } from "./internal/withoutWireForm.ts"
import type { Documentation, EnumType, Field, ScalarName, StructType, TypeName, WireType } from "./WireType.ts"

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

/** What a wire schema carries in its annotations. @since 0.1.0 */
export interface WireAnnotation {
  readonly type: () => WireType
  /** Checks that belong to the wire type itself; a schema that has others needs validation on top of decoding. */
  readonly checks: SchemaAST.Checks | undefined
}

/**
 * A schema without a wire form stands in a message. `path` names the field, `reason` says what to use instead.
 *
 * @since 0.1.0
 */
export class WireTypeError extends Schema.TaggedError<WireTypeError>()("WireTypeError", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.reason}`
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
export const Bool = scalar(Schema.Boolean, "bool")

/**
 * Python `int` as a JavaScript number: safe integers (±(2^53-1)). A peer that sends a larger one gets INVALID_ARGUMENT;
 * use `Int64` where such values occur. Same bytes and same contract as `Int64`.
 *
 * @since 0.1.0
 */
export const Int = scalar(Schema.Int, "int")

/** Python `int` as a bigint, 64 bits signed. @since 0.1.0 */
export const Int64 = bigInteger("int64", -(2n ** 63n), 2n ** 63n - 1n)

/** `pyfory.int8`. @since 0.1.0 */
export const Int8 = integer("int8", -128, 127)

/** `pyfory.int16`. @since 0.1.0 */
export const Int16 = integer("int16", -32_768, 32_767)

/** `pyfory.int32`. @since 0.1.0 */
export const Int32 = integer("int32", -2_147_483_648, 2_147_483_647)

/** `pyfory.uint8`. @since 0.1.0 */
export const Uint8 = integer("uint8", 0, 255)

/** `pyfory.uint16`. @since 0.1.0 */
export const Uint16 = integer("uint16", 0, 65_535)

/** `pyfory.uint32`. @since 0.1.0 */
export const Uint32 = integer("uint32", 0, 4_294_967_295)

/** `pyfory.uint64` as a bigint. @since 0.1.0 */
export const Uint64 = bigInteger("uint64", 0n, 2n ** 64n - 1n)

/** `pyfory.float32`; values are rounded to single precision when they travel. @since 0.1.0 */
export const Float32 = scalar(Schema.Number, "float32")

/** Python `float`. NaN and infinities travel in XLANG; JSON has no form for them. @since 0.1.0 */
export const Float64 = scalar(Schema.Number, "float64")

/** `str`. Unpaired surrogates cannot travel. @since 0.1.0 */
export const String = scalar(Schema.String, "string")

/** `bytes`. In JSON, where the reference has no form for bytes, standard base64. @since 0.1.0 */
export const Bytes = scalar(Schema.Uint8Array, "bytes")

/**
 * `datetime` as a valid `Date` (milliseconds; finer digits of a peer are rounded). In JSON an ISO 8601 string with a
 * zone.
 *
 * @since 0.1.0
 */
export const Timestamp = scalar(
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
export const Date = scalar(
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
export const Any = annotate(Schema.Unknown, () => ({ _tag: "Any" }))

/**
 * A bare `dict`: a plain object whose values are of any type. A `dict` with keys that are not strings takes `Any`.
 *
 * @since 0.1.0
 */
export const AnyRecord = annotate(
  Schema.declare<{ readonly [key: string]: unknown }>(isPlainObject, { expected: "a plain object" }),
  () => ({ _tag: "AnyRecord" })
)

/** A bare `list`: an array whose elements are of any type. @since 0.1.0 */
export const AnyList = annotate(
  Schema.declare<ReadonlyArray<unknown>>(globalThis.Array.isArray, { expected: "an array" }),
  () => ({ _tag: "AnyList" })
)

/** `list[T]` as a readonly array. @since 0.1.0 */
export const List = <S extends Schema.Constraint>(element: S): Schema.$Array<S> =>
  annotate(
    Schema.Array(element),
    memo(() => ({ _tag: "List", element: wireTypeOf(element) }))
  )

/** `set[T]` as a `ReadonlySet`. @since 0.1.0 */
export const Set = <S extends Schema.Constraint>(element: S): Schema.$ReadonlySet<S> =>
  annotate(
    Schema.ReadonlySet(element),
    memo(() => ({ _tag: "Set", element: wireTypeOf(element) }))
  )

/** `dict[K, V]` as a `ReadonlyMap`. JSON needs string, integer or boolean keys. @since 0.1.0 */
export const Map = <K extends Schema.Constraint, V extends Schema.Constraint>(
  key: K,
  value: V
): Schema.$ReadonlyMap<K, V> =>
  annotate(
    Schema.ReadonlyMap(key, value),
    memo(() => ({ _tag: "Map", form: "map", key: wireTypeOf(key), value: wireTypeOf(value) }))
  )

/** `dict[str, V]` as a plain object. @since 0.1.0 */
export const Record = <V extends Schema.Constraint>(value: V): Schema.$Record<Schema.String, V> =>
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
export const Optional = <S extends Schema.Constraint>(schema: S): Schema.withConstructorDefault<Schema.NullOr<S>> =>
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
export const Enum = <const V extends string | number>(
  tag: string,
  members: { readonly [member: string]: V },
  options?: NameOptions
): Schema.Literals<ReadonlyArray<V>> => {
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
export const Class =
  <Self = never>(tag: string, options?: NameOptions) =>
  <const Fields extends Schema.Struct.Fields>(
    fields: Fields
  ): [Self] extends [never] ? never : Schema.Class<Self, Schema.Struct<Fields>, {}> => {
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

/**
 * A message without a class: what arrives is a plain object. Takes the fields, or a struct with its checks. Names and
 * fields are as those of `Class`.
 *
 * @since 0.1.0
 */
export const Struct = <const Fields extends Schema.Struct.Fields>(
  tag: string,
  of: Fields | Schema.Struct<Fields>,
  options?: NameOptions
): Schema.Struct<Fields> => {
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

const fieldsOf = (owner: string, fields: Schema.Struct.Fields): ReadonlyArray<Field> =>
  Object.entries(fields).map(([name, schema]) => {
    const path = `${owner}.${name}`
    if (schema.ast.context?.isOptional === true) {
      const reason = "a field is always there: use Wire.Optional for null, or Wire.withDefault for what may be left out"
      throw new WireTypeError({ path, reason })
    }
    const fallback = annotationOf(schema.ast, "wireDefault")
    return {
      name,
      type: wireTypeOfAst(schema.ast, path),
      ...(fallback === undefined ? undefined : { defaultValue: travelling(schema, fallback) }),
      ...documentationOf(schema.ast)
    }
  })

/** What a key or its schema says about the field. Classes that are described are so wherever they stand. */
const documentationOf = (ast: SchemaAST.AST): Documentation => {
  const key: Annotations | undefined = ast.context?.annotations
  const description = key?.description ?? annotationOf(ast, "description")
  const deprecated = key?.deprecated ?? annotationOf(ast, "deprecated")
  return {
    ...(description === undefined ? undefined : { description }),
    ...(deprecated === undefined ? undefined : { deprecated })
  }
}

/** The default as it would travel. */
const travelling = (schema: Schema.Constraint, fallback: { readonly value: unknown }): { readonly value: unknown } => {
  if (isPlain(schema)) return fallback
  const encode = Schema.encodeUnknownSync(schema as Schema.Codec<unknown, unknown>)
  return {
    get value() {
      return encode(fallback.value)
    }
  }
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

/** @param path what is made, for the error when it needs itself */
const memo = <A>(make: () => A, path = ELEMENT): (() => A) => {
  let value: A | undefined
  let making = false
  return () => {
    if (value !== undefined) return value
    if (making) {
      throw new WireTypeError({ path, reason: "a type that contains itself needs a message class in between" })
    }
    making = true
    try {
      return (value = make())
    } finally {
      making = false
    }
  }
}

/** The wire type of a schema, with its nested types still to be looked at. */
const wireTypeOf = (schema: Schema.Constraint): WireType => wireTypeOfAst(schema.ast, ELEMENT)

/** Stands for the place of a list, set, map or optional in the paths of what is inside. */
const ELEMENT = "(element)"

/**
 * The wire type of a schema, every nested type included.
 *
 * @param path what the schema is, for the error
 * @throws WireTypeError naming the field when a part of the schema has no wire form
 * @since 0.1.0
 */
export const resolve = (schema: Schema.Constraint, path: string): WireType => {
  const type = wireTypeOfAst(schema.ast, path)
  const seen = new globalThis.Set<WireType>()
  const visit = (part: WireType): void => {
    if (seen.has(part)) return
    seen.add(part)
    switch (part._tag) {
      case "List":
      case "Set":
        return visit(part.element)
      case "Map":
        visit(part.key)
        return visit(part.value)
      case "Optional":
        return visit(part.of)
      case "Struct":
        return part.fields().forEach((field) => visit(field.type))
      default:
        return
    }
  }
  visit(type)
  return type
}

const wireTypeOfAst = (ast: SchemaAST.AST, path: string): WireType => {
  const annotation = annotationOf(ast, "wireType")
  // A class is annotated itself; anything else that has an encoding travels in its encoded form.
  if (
    ast.encoding !== undefined &&
    !(annotation !== undefined && ast._tag === "Declaration" && ast.encoding.length === 1)
  ) {
    return wireTypeOfAst(ast.encoding[ast.encoding.length - 1]!.to, path)
  }
  if (annotation !== undefined) return typeOf(annotation, path)
  if (ast._tag === "Suspend") return wireTypeOfAst(ast.thunk(), path)
  throw new WireTypeError({ path, reason: withoutWireForm(ast) })
}

/** Types inside do not know where they stand. */
const typeOf = (annotation: WireAnnotation, path: string): WireType => {
  try {
    return annotation.type()
  } catch (error) {
    if (!(error instanceof WireTypeError) || !error.path.startsWith(ELEMENT)) throw error
    throw new WireTypeError({ path: `${path}[]${error.path.slice(ELEMENT.length)}`, reason: error.reason })
  }
}

/**
 * Whether decoding the wire form alone yields valid values: no checks, brands with checks or transformations stand on
 * top of the wire types.
 *
 * @since 0.1.0
 */
export const isPlain = (schema: Schema.Constraint): boolean => plain(schema.ast, new globalThis.Set())

const plain = (ast: SchemaAST.AST, seen: globalThis.Set<SchemaAST.AST>): boolean => {
  if (seen.has(ast)) return true
  seen.add(ast)
  if (ast._tag === "Suspend") return plain(ast.thunk(), seen)
  const annotation = annotationOf(ast, "wireType")
  if (annotation === undefined || annotation.checks?.length !== ast.checks?.length) return false
  switch (ast._tag) {
    case "Declaration":
      return (
        (ast.encoding === undefined || ast.encoding.length === 1) &&
        ast.typeParameters.every((child) => plainPart(child, seen))
      )
    default:
      return ast.encoding === undefined && children(ast).every((child) => plainPart(child, seen))
  }
}

/** The struct below a class and the null of an optional are not annotated themselves. */
const plainPart = (ast: SchemaAST.AST, seen: globalThis.Set<SchemaAST.AST>): boolean =>
  ast._tag === "Objects" && annotationOf(ast, "wireType") === undefined
    ? ast.checks === undefined && children(ast).every((child) => plain(child, seen))
    : plain(ast, seen)

const children = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => {
  switch (ast._tag) {
    case "Objects":
      return [...ast.propertySignatures.map((p) => p.type), ...ast.indexSignatures.map((s) => s.type)]
    case "Arrays":
      return [...ast.elements, ...ast.rest]
    case "Union":
      return ast.types.filter((type) => type._tag !== "Null" && type._tag !== "Literal")
    default:
      return []
  }
}

interface Annotations {
  readonly wireType?: WireAnnotation | undefined
  readonly wireDefault?: { readonly value: unknown } | undefined
  readonly description?: string | undefined
  readonly deprecated?: string | true | undefined
}

/** Annotations written after a check live on that check, so those come first. */
const annotationOf = <K extends keyof Annotations>(ast: SchemaAST.AST, key: K): Annotations[K] => {
  for (const check of ast.checks?.toReversed() ?? []) {
    const annotations: Annotations | undefined = check.annotations
    if (annotations?.[key] !== undefined) return annotations[key]
  }
  const annotations: Annotations | undefined = ast.annotations
  return annotations?.[key]
}
