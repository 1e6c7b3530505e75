import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import type { StructType, WireType } from "@aster-effect/core/message/WireType"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"

class Leaf extends Wire.Class<Leaf>("shop/Leaf")({ label: Wire.String }) {}

class Tree extends Wire.Class<Tree>("shop/v2/Tree")({
  leaf: Leaf,
  maybe: Wire.Optional(Wire.Int),
  counted: Wire.Int.pipe(Wire.withDefault(7)),
  color: Wire.Enum("shop/Color", { RED: "red", BLUE: "blue" }),
  children: Wire.List(Schema.suspend((): Schema.Codec<Tree, unknown> => Tree as never))
}) {}

const struct = (schema: Schema.Constraint): StructType => {
  const type: WireType = Wire.resolve(schema, "test")
  assert(type._tag === "Struct")
  return type
}

describe("Wire", () => {
  it("describes a class: name, fields in order, prototype", () => {
    const type = struct(Tree)
    assert.deepStrictEqual(type.name, {
      tag: "shop/v2/Tree",
      namespace: "shop/v2",
      name: "Tree",
      qualifiedName: "shop.v2.Tree"
    })
    assert.deepStrictEqual(
      type.fields().map((field) => field.name),
      ["leaf", "maybe", "counted", "color", "children"]
    )
    assert.strictEqual(type.prototype, Tree.prototype)
  })

  it("ties recursive types into one description", () => {
    const type = struct(Tree)
    const children = type.fields()[4]!.type
    assert(children._tag === "List")
    assert.strictEqual(children.element, type)
  })

  it("an untagged class keeps its module and name", () => {
    class Plain extends Wire.Class<Plain>("app.models/Plain", { untagged: true })({ a: Wire.Int }) {}
    const { name } = struct(Plain)
    assert.deepStrictEqual([name.tag, name.namespace, name.name], [undefined, "app.models", "Plain"])
  })

  it("constructors know optional fields and defaults", () => {
    const tree = new Tree({ leaf: new Leaf({ label: "x" }), color: "red", children: [] })
    assert.deepStrictEqual([tree.maybe, tree.counted], [null, 7])
  })

  it("a transformation travels in its encoded form", () => {
    const Trimmed = Wire.String.pipe(Schema.decodeTo(Schema.Trim))
    class Padded extends Wire.Class<Padded>("shop/Padded")({ text: Trimmed }) {}
    assert.deepStrictEqual(struct(Padded).fields()[0]!.type, { _tag: "Scalar", scalar: "string" })
  })

  it("tells plain schemas from those that need validation", () => {
    class Checked extends Wire.Class<Checked>("shop/Checked")({ name: Wire.String.check(Schema.isMinLength(1)) }) {}
    class Holder extends Wire.Class<Holder>("shop/Holder")({ inner: Wire.List(Checked) }) {}
    const transformed = Wire.Int.pipe(Schema.decodeTo(Schema.Int))
    assert.deepStrictEqual([Tree, Leaf, Checked, Holder, transformed].map(Wire.isPlain), [
      true,
      true,
      false,
      false,
      false
    ])
    assert.isTrue(Wire.isPlain(Wire.Map(Wire.String, Wire.Set(Wire.Int8))))
    assert.isTrue(Wire.isPlain(Wire.Int.annotate({ description: "still an int" })))
    assert.isFalse(Wire.isPlain(Wire.Int.check(Schema.isGreaterThan(3))))
  })

  it("a schema without a wire form is named by its field", () => {
    // With these types the compiler does not see that they have none.
    const text: Schema.Codec<string> = Schema.String
    const struct: Schema.Codec<{}> = Schema.Struct({})
    class Wrong extends Wire.Class<Wrong>("shop/Wrong")({ inner: Wire.List(text) }) {}
    class Outer extends Wire.Class<Outer>("shop/Outer")({ wrong: Wrong, at: struct }) {}
    assert.throws(
      () => Wire.resolve(Outer, "request"),
      /shop\/Outer\.at: a plain struct, class or record has no wire form/
    )
    assert.throws(
      () => Service.make("S").add(Rpc.unary("m", { request: Wire.Int, response: Wrong })),
      /^shop\/Wrong\.inner\[\]: plain text has no wire form: use Wire\.String/
    )
  })

  it.each([
    ["text", Schema.String, "use Wire.String"],
    ["a number", Schema.Number, "use Wire.Int, Wire.Float64"],
    ["a date", Schema.Date, "Wire.Timestamp or Wire.Date for Date"],
    ["null or a type", Schema.NullOr(Wire.Int), "use Wire.Optional for null"],
    ["a literal", Schema.Literal("x"), "use Wire.Enum"],
    ["an array", Schema.Array(Wire.Int), "use Wire.List"],
    ["a class of Effect's", Leaf.extend<Leaf>("shop/More")({ more: Wire.Int }), "use Wire.Class"],
    ["an optional key", Schema.optionalKey(Wire.Int), "use Wire.Optional for null"],
    ["an optional value", Schema.optional(Wire.Int), "use Wire.Optional for null"]
  ])("%s is refused where the service is defined, without words from inside", (_, schema, words) => {
    class Holder extends Wire.Class<Holder>("shop/Holder")({ field: schema as typeof Wire.Int }) {}
    let message = ""
    try {
      Service.make("S").add(Rpc.unary("m", { request: Holder, response: Leaf }))
    } catch (error) {
      assert.instanceOf(error, Wire.WireTypeError)
      message = error.message
    }
    assert.include(message, words)
    assert.match(message, /^shop\/Holder\.field: /)
    assert.notMatch(message, /\b(Objects|Arrays|Union|Declaration|Literal|ast|AST|_tag)\b/)
  })

  it("a type that contains itself without a class, tags and enumerations that cannot be are refused", () => {
    const List: Schema.Codec<unknown, unknown> = Wire.List(Schema.suspend(() => List)) as never
    assert.throws(
      () => Wire.resolve(List, "request"),
      /^request\[\]\[\]: a type that contains itself needs a message class/
    )
    assert.throws(() => Wire.Class("shop/")({}), /a tag is Unicode text/)
    assert.throws(() => Wire.Class("\ud800")({}), /a tag is Unicode text/)
    assert.throws(() => Wire.Enum("shop/None", {}), /at least one member/)
    assert.throws(() => Wire.Enum("shop/Twice", { A: 1, B: 1 }), /the same value/)
    assert.throws(() => Wire.Enum("shop/NaN", { A: Number.NaN }), /numbers and Unicode text/)
  })
})

describe("Service", () => {
  const method = Rpc.unary("m", { request: Leaf, response: Leaf, timeout: "1500 millis" })

  it("describes its methods for the contract", () => {
    const [described] = Service.make("S", { version: 3 }).add(method).description.methods
    assert.deepStrictEqual(
      [described?.name, described?.pattern, described?.timeoutSeconds, described?.idempotent],
      ["m", "unary", 1.5, false]
    )
  })

  it("refuses names and versions that cannot be served", () => {
    assert.throws(() => Service.make(""), /a name has 1 to 256 characters/)
    assert.throws(() => Service.make("S", { version: 0 }), /version 0/)
    assert.throws(() => Service.make("S", { version: 1.5 }), /version 1.5/)
    assert.throws(() => Service.make("S").add(method, method), /method m is defined twice/)
    assert.throws(() => Service.make("S").add(method).add(method), /method m is defined twice/)
    assert.throws(() => Service.make("\ud800"), /Unicode text/)
    assert.throws(() => Service.make("S").add(Rpc.unary("\ud800", { request: Leaf, response: Leaf })), /no text/)
    for (const timeout of [-1, Infinity]) {
      const timed = Rpc.unary("m", { request: Leaf, response: Leaf, timeout })
      assert.throws(() => Service.make("S").add(timed), /method m: a timeout is a finite time/)
    }
  })

  it("refuses two classes of one name, also of a class and its subclass", () => {
    class Other extends Wire.Class<Other>("shop/Leaf")({ label: Wire.Int }) {}
    class Sub extends Leaf {}
    class Holder extends Wire.Class<Holder>("shop/Holder")({ others: Wire.Record(Wire.Optional(Other)) }) {}
    for (const response of [Other, Sub, Holder]) {
      assert.throws(
        () => Service.make("S").add(Rpc.unary("m", { request: Leaf, response })),
        /two different classes or enumerations have the tag shop\/Leaf/
      )
    }
    Service.make("S").add(Rpc.unary("m", { request: Sub, response: Sub }))
  })
})
