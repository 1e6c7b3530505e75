/** What the compiler refuses and lets through where messages and methods are defined, and what is left for run time. */
import * as Wire from "@aster-effect/core/message/Wire"
import type { Checked, NoWireForm } from "@aster-effect/core/message/WireForm"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

class Leaf extends Wire.Class<Leaf>("form/Leaf")({ label: Wire.String }) {}

class Plain extends Schema.Class<Plain>("form/Plain")({ label: Wire.String }) {}

class Extended extends Leaf.extend<Extended>("form/Extended")({ more: Wire.Int }) {}

const Color = Wire.Enum("form/Color", { RED: "red", BLUE: "blue" })

const toNumber = {
  decode: SchemaGetter.transform((text: string) => text.length),
  encode: SchemaGetter.transform((length: number) => "x".repeat(length))
}

/** Schemas whose types tell that they have no wire form. */
const refused = {
  number: Schema.Number,
  int: Schema.Int,
  bigint: Schema.BigInt,
  boolean: Schema.Boolean,
  text: Schema.String,
  unknown: Schema.Unknown,
  any: Schema.Any,
  literal: Schema.Literal("x"),
  struct: Schema.Struct({ a: Wire.Int }),
  record: Schema.Record(Schema.String, Wire.Int),
  array: Schema.Array(Wire.Int),
  tuple: Schema.Tuple([Wire.Int]),
  union: Schema.Union([Wire.Int, Wire.String]),
  nullable: Schema.NullOr(Wire.Int),
  null: Schema.Null,
  undefined: Schema.Undefined,
  void: Schema.Void,
  symbol: Schema.Symbol,
  date: Schema.Date,
  map: Schema.ReadonlyMap(Wire.String, Wire.Int),
  declared: Schema.declare((u): u is () => void => typeof u === "function"),
  plainClass: Plain,
  extendedClass: Extended,
  optionalKey: Schema.optionalKey(Wire.Int),
  optional: Schema.optional(Leaf),
  checked: Schema.String.check(Schema.isMinLength(1)),
  branded: Schema.String.pipe(Schema.brand("Id")),
  described: Schema.Number.annotate({ description: "how many" }),
  defaulted: Schema.String.pipe(Wire.withDefault("")),
  transformed: Schema.NumberFromString,
  madeWire: Schema.String.pipe(Schema.decodeTo(Wire.Int, toNumber)),
  brandedTransformation: Schema.Trim.pipe(Schema.brand("Trimmed"))
}

type Refused = typeof refused

type SentenceOf<S> = Checked<S> extends NoWireForm<infer Sentence> ? Sentence : undefined

const number = "a plain number has no wire form: use Wire.Int, Wire.Float64 or a width such as Wire.Int32"
const text = "plain text has no wire form: use Wire.String, with checks of your own on top"
const anything = "a value of any type has no wire form of its own: use Wire.Any, Wire.AnyRecord or Wire.AnyList"
const struct = "a plain struct, class or record has no wire form: use Wire.Class, Wire.Record or Wire.AnyRecord"
const array = "a plain array or tuple has no wire form: use Wire.List"
const union =
  "a plain union has no wire form: use Wire.Optional for null, Wire.Enum for literals, and Wire.Any for the rest"
const nothing = "null, undefined and void have no wire form: use Wire.Optional, or a Wire.Class without fields"
const declaration =
  "this type has no wire form: use Wire.Class for classes, Wire.Timestamp or Wire.Date for Date, Wire.Bytes for Uint8Array, Wire.Map or Wire.Set"
const optional = "a field is always there: use Wire.Optional for null, or Wire.withDefault for what may be left out"

/** What the compiler says of each, which has to be these words. */
const sentences: { readonly [K in keyof Refused]: SentenceOf<Refused[K]> } = {
  number,
  int: number,
  bigint: "a plain bigint has no wire form: use Wire.Int64 or Wire.Uint64",
  boolean: "a plain boolean has no wire form: use Wire.Bool",
  text,
  unknown: anything,
  any: anything,
  literal: "literals have no wire form: use Wire.Enum",
  struct,
  record: struct,
  array,
  tuple: array,
  union,
  nullable: union,
  null: nothing,
  undefined: nothing,
  void: nothing,
  symbol: "symbols do not travel: use Wire.Enum or Wire.String",
  date: declaration,
  map: declaration,
  declared: declaration,
  plainClass: struct,
  extendedClass: struct,
  optionalKey: optional,
  optional,
  checked: text,
  branded: text,
  described: number,
  defaulted: text,
  transformed: text,
  madeWire: text,
  brandedTransformation: text
}

/** What is said where a service with such a field is defined. */
const saidAtRunTime = (field: Schema.Constraint): string => {
  const Holder = Wire.Class<Leaf>("form/Holder")({ field: field as Schema.Codec<unknown> })
  try {
    Service.make("S").add(Rpc.unary("m", { request: Holder, response: Leaf }))
    return "nothing"
  } catch (error) {
    assert.instanceOf(error, Wire.WireTypeError)
    return error.message
  }
}

describe("a schema without a wire form", () => {
  it.each(Object.keys(refused) as ReadonlyArray<keyof Refused>)(
    "%s is refused by the compiler in the words that are said at run time",
    (name) => {
      assert.strictEqual(saidAtRunTime(refused[name]), `form/Holder.field: ${sentences[name]}`)
    }
  )

  it("is refused wherever one can stand", () => {
    const refusals = [
      () =>
        Wire.Class<Leaf>("form/Refused")({
          fine: Wire.Int,
          // @ts-expect-error plain text
          name: Schema.String,
          // @ts-expect-error a class of Effect's
          inner: Plain
        }),
      () =>
        Wire.Struct("form/Refused", {
          // @ts-expect-error plain text
          name: Schema.String
        }),
      // @ts-expect-error plain text
      () => Wire.Struct("form/Refused", Schema.Struct({ name: Schema.String })),
      // @ts-expect-error plain text
      () => Wire.List(Schema.String),
      // @ts-expect-error a plain number
      () => Wire.Set(Schema.Number),
      // @ts-expect-error a plain number
      () => Wire.Map(Schema.Number, Wire.Int),
      // @ts-expect-error an array
      () => Wire.Map(Wire.Int, Schema.Array(Wire.Int)),
      // @ts-expect-error anything
      () => Wire.Record(Schema.Unknown),
      // @ts-expect-error anything
      () => Wire.Optional(Schema.Any),
      // @ts-expect-error a struct
      () => Rpc.unary("m", { request: Schema.Struct({}), response: Leaf }),
      // @ts-expect-error nothing
      () => Rpc.unary("m", { request: Leaf, response: Schema.Void }),
      // @ts-expect-error plain text
      () => Rpc.serverStream("m", { request: Leaf, response: Schema.String }),
      // @ts-expect-error plain text
      () => Rpc.clientStream("m", { request: Schema.String, response: Leaf }),
      // @ts-expect-error a union
      () => Rpc.bidi("m", { request: Schema.Union([Leaf, Color]), response: Leaf })
    ]
    assert.strictEqual(refusals.length, 14)
  })

  it.each([
    ["by an annotation of its type", Schema.String as Schema.Codec<string>],
    ["in a list", Wire.List(Schema.String as Schema.Codec<string>)],
    ["behind a suspension", Schema.suspend(() => Schema.String)]
  ])("that is hidden from the compiler %s is refused where the service is defined", (_, schema) => {
    assert.match(saidAtRunTime(schema), /^form\/Holder\.field(\[\])?: plain text has no wire form: use Wire\.String/)
  })
})

describe("a schema with a wire form", () => {
  class Everything extends Wire.Class<Everything>("form/Everything")({
    bool: Wire.Bool,
    int: Wire.Int,
    int64: Wire.Int64,
    int8: Wire.Int8,
    int16: Wire.Int16,
    int32: Wire.Int32,
    uint8: Wire.Uint8,
    uint16: Wire.Uint16,
    uint32: Wire.Uint32,
    uint64: Wire.Uint64,
    float32: Wire.Float32,
    float64: Wire.Float64,
    text: Wire.String,
    bytes: Wire.Bytes,
    timestamp: Wire.Timestamp,
    date: Wire.Date,
    any: Wire.Any,
    anyRecord: Wire.AnyRecord,
    anyList: Wire.AnyList,
    list: Wire.List(Wire.Optional(Wire.Set(Wire.Int))),
    map: Wire.Map(Wire.String, Wire.Record(Wire.Bytes)),
    color: Color,
    leaf: Leaf,
    described: Leaf.annotate({ description: "a leaf" }),
    describedKey: Leaf.annotateKey({ description: "a leaf" }),
    describedTwice: Wire.Optional(Leaf).annotate({ description: "maybe" }).annotate({ deprecated: true }),
    checked: Wire.String.check(Schema.isMinLength(1)).annotate({ description: "a name" }),
    checkedList: Wire.List(Wire.Int).check(Schema.isMinLength(1)),
    branded: Wire.String.pipe(Schema.brand("Id")),
    refined: Wire.String.pipe(Schema.refine((text): text is "a" | "b" => text === "a" || text === "b")),
    defaulted: Color.pipe(Wire.withDefault("red")),
    defaultedList: Wire.List(Wire.String).pipe(Wire.withDefault([])),
    mutable: Schema.mutable(Wire.List(Wire.Int)),
    mutableKey: Schema.mutableKey(Wire.Int),
    trimmed: Wire.String.pipe(Schema.decodeTo(Schema.Trim)),
    brandedLength: Wire.String.pipe(Schema.decodeTo(Schema.Number, toNumber), Schema.brand("Length")),
    encodedSide: Schema.toEncoded(Wire.String.pipe(Schema.decodeTo(Schema.Number, toNumber))),
    typeSide: Schema.toType(Schema.String.pipe(Schema.decodeTo(Wire.Int, toNumber))),
    opaque: Wire.Int as Schema.Codec<number>,
    itself: Wire.List(Schema.suspend((): Schema.Codec<Everything, unknown> => Everything))
  }) {}

  it("is let through by the compiler, and where the service is defined", () => {
    const S = Service.make("S").add(
      Rpc.unary("unary", { request: Everything, response: Leaf, timeout: "1 second", idempotent: true }),
      Rpc.serverStream("server", { request: Leaf.annotate({ description: "a leaf" }), response: Everything }),
      Rpc.clientStream("client", { request: Everything, response: Wire.Int }),
      Rpc.bidi("bidi", { request: Wire.List(Leaf), response: Wire.Optional(Leaf) })
    )
    assert.strictEqual(S.description.methods.length, 4)
  })

  it("keeps its types: what handlers get and give, and what constructors take", () => {
    const S = Service.make("S").add(Rpc.unary("m", { request: Everything, response: Leaf }))
    S.toLayer({
      m: ({ branded, color, int64, list, map, refined, trimmed }) => {
        const bigint: bigint = int64
        const first: ReadonlySet<number> | null | undefined = list[0]
        const bytes: Uint8Array | undefined = map.get("a")?.["b"]
        const either: "red" | "blue" = color
        const letter: "a" | "b" = refined
        return Effect.succeed(new Leaf({ label: [bigint, first, bytes, either, letter, branded, trimmed].join() }))
      }
    })
    // @ts-expect-error a response has the fields of its class
    S.toLayer({ m: () => Effect.succeed({ label: 1 }) })
    assert.deepStrictEqual(new Leaf({ label: "x" }), new Leaf({ label: "x" }))
  })

  it("may be of no type that says anything", () => {
    const untyped: any = Wire.Int
    assert.strictEqual(Wire.resolve(Wire.List(untyped), "it")._tag, "List")
    assert.strictEqual(Wire.resolve(Wire.List(untyped as never), "it")._tag, "List")
  })

  it("may be any that the caller of a function brings", () => {
    class Page extends Wire.Class<Page>("form/Page")({ number: Wire.Int }) {}
    const listing = <S extends Schema.Constraint>(item: S) =>
      Service.make("Listing").add(
        Rpc.serverStream("all", { request: Page, response: item }),
        Rpc.unary("page", { request: Page, response: Wire.List(Wire.Optional(item)) })
      )
    assert.deepStrictEqual(
      listing(Leaf).description.methods.map(({ response }) => response._tag),
      ["Struct", "List"]
    )
    assert.throws(() => listing(Schema.String), /^Listing\.all response: plain text has no wire form/)
  })
})
