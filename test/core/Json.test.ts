import * as Json from "@aster-effect/core/message/Json"
import * as Wire from "@aster-effect/core/message/Wire"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Everything, Plain } from "../../examples/kitchen-sink/KitchenSink.ts"
import { codecError } from "./codecError.ts"
import { everything } from "./kitchen.ts"

const compile = (schema: Schema.Constraint) => Json.compile(Wire.resolve(schema, "test"))
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (json: string) => new TextEncoder().encode(json)

describe("Json", () => {
  it("carries every wire kind there and back", () => {
    const codec = compile(Everything)
    const back = codec.decode(codec.encode(everything))
    assert.deepStrictEqual(back, everything)
    assert.instanceOf(back, Everything)
  })

  it("keeps 64-bit integers", () => {
    const codec = compile(Wire.Int64)
    assert.strictEqual(text(codec.encode(2n ** 63n - 1n)), "9223372036854775807")
    assert.strictEqual(codec.decode(bytes("-9223372036854775808")), -(2n ** 63n))
    assert.strictEqual(codec.decode(bytes("7")), 7n)
    assert.strictEqual(codecError(() => codec.decode(bytes("9223372036854775808"))).reason, "Malformed")
    assert.strictEqual(codecError(() => compile(Wire.Int).decode(bytes("9007199254740993"))).reason, "Malformed")
  })

  it("fills in defaults and nulls for missing keys, and names keys that are required", () => {
    const plain = compile(Plain).decode(bytes("{}"))
    assert.instanceOf(plain, Plain)
    assert.deepStrictEqual({ ...plain }, { ...new Plain({}) })
    class Strict extends Wire.Class<Strict>("t/Strict")({ name: Wire.String }) {}
    assert.match(codecError(() => compile(Strict).decode(bytes("{}"))).detail, /Strict: missing key "name"/)
  })

  it("refuses unknown keys and says which, wherever they are", () => {
    const error = codecError(() => compile(Plain).decode(bytes('{"inner":{"label":"","wieght":1}}')))
    assert.strictEqual(error.reason, "UnexpectedFields")
    assert.strictEqual(error.detail, 'Plain.inner has unexpected fields "wieght"; allowed: label, weight')
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => ["x".repeat(100) + i, 1]))
    const { detail } = codecError(() => compile(Plain).decode(bytes(JSON.stringify(many))))
    assert.match(detail, /and 4 more/)
    assert.isBelow(detail.length, 700)
  })

  it.each([
    ["not JSON", "{"],
    ["not UTF-8", "\xff"],
    ["deeper than 50 levels", `{"anything":${"[".repeat(60)}${"]".repeat(60)}}`],
    ["not an object", "[]"],
    ["not an object", "null"],
    ["not a string", '{"text":1}'],
    ["not an array", '{"tags":{}}'],
    ["Plain.tags[1]", '{"tags":["a",2]}'],
    ["Plain.maybe", '{"maybe":"1"}'],
    ["Plain.count", '{"count":1.5}'],
    ["Plain.scores.a", '{"scores":{"a":"b"}}']
  ])("refuses %s", (expected, json) => {
    const input = json === "\xff" ? Uint8Array.of(0x7b, 0xff, 0x7d) : bytes(json)
    assert.include(codecError(() => compile(Plain).decode(input)).detail, expected)
  })

  it("braces inside strings do not count as nesting", () => {
    const value = new Plain({ text: '{["'.repeat(100) })
    const codec = compile(Plain)
    assert.deepStrictEqual(codec.decode(codec.encode(value)), value)
  })

  it("__proto__ is a key like any other", () => {
    const codec = compile(Wire.Record(Wire.Int))
    const back = codec.decode(bytes('{"__proto__":1}'))
    assert.deepStrictEqual(Object.entries(back as object), [["__proto__", 1]])
    assert.strictEqual(text(codec.encode(back)), '{"__proto__":1}')
    assert.strictEqual(codecError(() => compile(Plain).decode(bytes('{"__proto__":{}}'))).reason, "UnexpectedFields")
  })

  it("says where a value does not fit when writing", () => {
    const codec = compile(Plain)
    assert.match(codecError(() => codec.encode({ ...new Plain({}), ratio: Number.NaN })).detail, /^Plain\.ratio: NaN/)
    assert.strictEqual(
      codecError(() => codec.encode({ ...new Plain({}), inner: { label: 1 } })).detail,
      "Plain.inner.label: not a string"
    )
    const cyclic: { kids: Array<unknown> } = { kids: [] }
    cyclic.kids.push(cyclic)
    class Node extends Wire.Class<Node>("t/Node")({
      kids: Wire.List(Schema.suspend((): Schema.Codec<Node, unknown> => Node as never))
    }) {}
    assert.match(codecError(() => compile(Node).encode(cyclic)).detail, /nested deeper/)
  })

  it("maps with keys that JSON cannot spell are refused", () => {
    const codec = compile(Wire.Map(Wire.Bytes, Wire.Int))
    assert.include(codecError(() => codec.encode(new Map([[{}, 1]]))).detail, "Uint8Array")
    const bools = compile(Wire.Map(Wire.Bool, Wire.Int))
    assert.deepStrictEqual(bools.decode(bools.encode(new Map([[true, 1]]))), new Map([[true, 1]]))
    const wide = compile(Wire.Map(Wire.Int64, Wire.Int))
    assert.deepStrictEqual(wide.decode(wide.encode(new Map([[2n ** 60n, 1]]))), new Map([[2n ** 60n, 1]]))
  })
})
