import type * as SchemaAST from "effect/SchemaAST"

const text = "plain text has no wire form: use Wire.String, with checks of your own on top"
const anything = "a value of any type has no wire form of its own: use Wire.Any, Wire.AnyRecord or Wire.AnyList"
const literals = "literals have no wire form: use Wire.Enum"
const nothing = "null, undefined and void have no wire form: use Wire.Optional, or a Wire.Class without fields"
const symbols = "symbols do not travel: use Wire.Enum or Wire.String"

/** Why schemas without a wire form have none, and what to use instead. Said by the compiler too: see `WireForm`. */
const reasons = {
  String: text,
  TemplateLiteral: text,
  Number: "a plain number has no wire form: use Wire.Int, Wire.Float64 or a width such as Wire.Int32",
  BigInt: "a plain bigint has no wire form: use Wire.Int64 or Wire.Uint64",
  Boolean: "a plain boolean has no wire form: use Wire.Bool",
  Unknown: anything,
  Any: anything,
  ObjectKeyword: anything,
  Literal: literals,
  Enum: literals,
  Arrays: "a plain array or tuple has no wire form: use Wire.List",
  Objects: "a plain struct, class or record has no wire form: use Wire.Class, Wire.Record or Wire.AnyRecord",
  Union:
    "a plain union has no wire form: use Wire.Optional for null, Wire.Enum for literals, and Wire.Any for the rest",
  Null: nothing,
  Undefined: nothing,
  Void: nothing,
  Never: nothing,
  Symbol: symbols,
  UniqueSymbol: symbols,
  Declaration:
    "this type has no wire form: use Wire.Class for classes, Wire.Timestamp or Wire.Date for Date, Wire.Bytes for Uint8Array, Wire.Map or Wire.Set",
  Suspend: "a type that contains itself needs a message class in between"
} as const satisfies Record<SchemaAST.AST["_tag"], string>

/** What is said about a schema, by what it is made of. */
export type Reasons = typeof reasons

/** Said about a field that need not be there. */
export const OPTIONAL_KEY =
  "a field is always there: use Wire.Optional for null, or Wire.withDefault for what may be left out"

/** Why a schema has no wire form, and what to use instead. */
export const withoutWireForm = (ast: SchemaAST.AST): string => reasons[ast._tag]
