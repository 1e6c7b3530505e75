import type * as SchemaAST from "effect/SchemaAST"

/** Why a schema has no wire form, and what to use instead. */
export const withoutWireForm = (ast: SchemaAST.AST): string => {
  switch (ast._tag) {
    case "String":
    case "TemplateLiteral":
      return "plain text has no wire form: use Wire.String, with checks of your own on top"
    case "Number":
      return "a plain number has no wire form: use Wire.Int, Wire.Float64 or a width such as Wire.Int32"
    case "BigInt":
      return "a plain bigint has no wire form: use Wire.Int64 or Wire.Uint64"
    case "Boolean":
      return "a plain boolean has no wire form: use Wire.Bool"
    case "Unknown":
    case "Any":
    case "ObjectKeyword":
      return "a value of any type has no wire form of its own: use Wire.Any, Wire.AnyRecord or Wire.AnyList"
    case "Literal":
    case "Enum":
      return "literals have no wire form: use Wire.Enum"
    case "Arrays":
      return "a plain array or tuple has no wire form: use Wire.List"
    case "Objects":
      return "a plain struct or record has no wire form: use Wire.Class, Wire.Record or Wire.AnyRecord"
    case "Union":
      return "a plain union has no wire form: use Wire.Optional for null, Wire.Enum for literals, and Wire.Any for the rest"
    case "Null":
    case "Undefined":
    case "Void":
    case "Never":
      return "nothing has no wire form: use a Wire.Class without fields"
    case "Declaration":
      return (
        "this type has no wire form: use Wire.Class for classes, Wire.Timestamp or Wire.Date for Date, Wire.Bytes for " +
        "Uint8Array, and Wire.Map or Wire.Set"
      )
    default:
      return "this schema has no wire form: build it from the schemas of the Wire module"
  }
}
