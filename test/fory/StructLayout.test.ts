import { compareFields, fingerprint, type LayoutField, schemaHash } from "../../packages/fory/src/proto/StructLayout.ts"
import { assert, describe, it } from "@effect/vitest"

const field = (name: string, typeId: number, nullable = false): LayoutField => ({ name, typeId, nullable })

const order = (...fields: ReadonlyArray<LayoutField>): string =>
  fields
    .toReversed()
    .sort(compareFields)
    .map(({ name }) => name)
    .join(" ")

describe("StructLayout", () => {
  it("hashes the fields by name", () => {
    const status = [field("code", 7), field("message", 21), field("detailKeys", 22), field("detailValues", 22)]
    assert.strictEqual(fingerprint(status), "code,7,0,0;detailKeys,22,0,0;detailValues,22,0,0;message,21,0,0;")
    assert.strictEqual(schemaHash(status), -1614130349)
    assert.strictEqual(schemaHash([field("name", 21)]), 1165743576)
    assert.strictEqual(schemaHash([field("b", 21), field("a", 7)]), -1976064415)
    assert.strictEqual(schemaHash([]), 47)
  })

  it("tells optional fields", () => {
    assert.strictEqual(fingerprint([field("a", 7, true)]), "a,7,0,1;")
  })

  it("orders the groups", () => {
    const expected = [
      field("number", 7),
      field("optionalNumber", 7, true),
      field("string", 21),
      field("optionalBytes", 41, true),
      field("list", 22),
      field("set", 23),
      field("map", 24),
      field("a", 0),
      field("b", 0, true)
    ]
    assert.strictEqual(order(...expected), expected.map(({ name }) => name).join(" "))
  })

  it("orders numbers by variability, size, id and name", () => {
    const expected = [
      "float64",
      "uint64",
      "int64",
      "float32",
      "uint32",
      "int32",
      "uint16",
      "int16",
      "uint8",
      "int8",
      "bool"
    ]
    const fixed = [20, 13, 6, 19, 11, 4, 10, 3, 9, 2, 1].map((id, index) => field(expected[index]!, id))
    const variable = [15, 14, 8, 7, 12, 5].map((id) => field(`v${id}`, id))
    assert.strictEqual(order(...fixed, ...variable), [...expected, "v15", "v14", "v8", "v7", "v12", "v5"].join(" "))
    assert.strictEqual(order(field("a", 7), field("b", 7), field("B", 7), field("_", 7)), "B _ a b")
  })

  it("compares names by code point, not by UTF-16 unit", () => {
    assert.strictEqual(order(field("\ufa0e", 0), field("\u{10400}", 0)), "\ufa0e \u{10400}")
  })
})
