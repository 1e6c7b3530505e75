/** Whatever a peer sends and a caller passes: a value, or a `CodecError`. */
import { CodecError } from "@aster-effect/core/message/CodecError"
import * as JsonText from "@aster-effect/core/message/JsonText"
import * as MessageCodec from "@aster-effect/core/message/MessageCodec"
import * as Wire from "@aster-effect/core/message/Wire"
import { Writer } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Everything, Plain, Widths } from "../../examples/kitchen-sink/KitchenSink.ts"
import { Random } from "../Random.ts"
import { everything } from "./kitchen.ts"

class Checked extends Wire.Class<Checked>("fuzz/Checked")({
  at: Wire.String.pipe(Schema.decodeTo(Schema.DateFromString)),
  count: Wire.Int.check(Schema.isGreaterThan(0)),
  any: Wire.AnyRecord,
  all: Wire.AnyList
}) {}

const schemas: ReadonlyArray<Schema.Constraint> = [Everything, Plain, Widths, Checked, Wire.Any, Wire.AnyRecord]
const codecs: ReadonlyArray<MessageCodec.MessageCodec<unknown>> = MessageCodec.compileAll(schemas)
const encodings = ["xlang", "json"] as const

/** Whether it was taken. */
const tried = (run: () => unknown): boolean => {
  try {
    run()
    return true
  } catch (error) {
    assert.instanceOf(error, CodecError)
    assert.isBelow(error.detail.length, 2_000)
    return false
  }
}

const leaves: ReadonlyArray<unknown> = [
  null, undefined, true, 0, -0, 1.5, -1, 255, 256, 2 ** 31, 2 ** 53, 2 ** 63, 1e300, Number.NaN, Infinity, 0n, -(2n ** 63n),
  2n ** 64n, "", "x", "\ud800", "2023-02-30", new Date(0), new Date(Number.NaN), new Date(1), new Uint8Array(3),
  new Float64Array(1), Symbol("s"), () => 1, /x/, new Error("x"), new (class Other {})(), Object.create(null)
] // oxfmt-ignore

const anything = (random: Random, depth = 0): unknown => {
  if (depth > 3 || random.chance(0.5)) return random.pick(leaves)
  const items = random.list(4, () => anything(random, depth + 1))
  const entries = items.map((item, i) => [random.pick<unknown>(["a", "__proto__", i, item]), item] as const)
  switch (random.below(4)) {
    case 0:
      return items
    case 1:
      return new Set(items)
    case 2:
      return new Map(entries)
    default:
      return Object.fromEntries(entries.filter(([key]) => typeof key !== "symbol" && typeof key !== "object"))
  }
}

/** The value with one of its members, or of those inside, replaced. */
const mutated = (random: Random, value: object): unknown => {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(value) as object), value) as Record<string, unknown>
  const key = random.pick(Object.keys(copy))
  const inner = copy[key]
  copy[key] =
    random.chance(0.3) && typeof inner === "object" && inner !== null && Object.keys(inner).length > 0
      ? mutated(random, inner)
      : anything(random)
  return copy
}

const tokens = [
  '"', "\\", "{", "}", "[", "]", ",", ":", "0", "-0", "1e999", "9".repeat(30), "true", "null", '"a"', '"\\ud800"',
  '"__proto__"', '"text"', '"inner"', '"anything"', '"2023-02-30"', '"AA=="', " ", "\u0000", "\ufffd", "é"
] // oxfmt-ignore

describe("fuzz", () => {
  it("what callers pass", () => {
    const random = new Random(31)
    const writer = new Writer()
    let taken = 0
    for (let i = 0; i < 800; i++) {
      const value = random.chance(0.5) ? mutated(random, everything) : anything(random)
      for (const codec of codecs) {
        for (const encoding of encodings) {
          writer.reset()
          if (!tried(() => codec.write(writer, value, encoding))) {
            assert.strictEqual(writer.position, 0)
            continue
          }
          taken++
          // What is written can be read, but for limits that are those of readers.
          const bytes = new Uint8Array(writer.bytes())
          assert.isTrue(
            tried(() => codec.read(bytes, encoding)),
            encoding
          )
        }
      }
    }
    assert.isAbove(taken, 300)
  })

  it("JSON that peers send", () => {
    const random = new Random(32)
    const utf8 = new TextEncoder()
    const writer = new Writer()
    codecs[0]!.write(writer, everything, "json")
    const message = new TextDecoder().decode(writer.bytes())
    let taken = 0
    for (let i = 0; i < 2_500; i++) {
      const at = random.below(message.length)
      const text = random.chance(0.5)
        ? random.list(12, () => random.pick(tokens)).join("")
        : message.slice(0, at) + random.pick(tokens) + message.slice(at + random.below(4))
      const bytes = utf8.encode(text)
      if (random.chance(0.1) && bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256)
      for (const codec of codecs) if (tried(() => codec.read(bytes, "json"))) taken++
    }
    assert.isAbove(taken, 100)
  })

  it("measuring sees strings as a parser does", () => {
    const random = new Random(33)
    for (let i = 0; i < 1_000; i++) {
      const text = random.list(90, () => random.pick(["\\", '"', "{", "[", "1", ",", "x"])).join("")
      const json = JSON.stringify([text, [{ [text]: 12_345 }], text])
      assert.deepStrictEqual(JsonText.measure(new TextEncoder().encode(json)), { depth: 3, values: 6, digits: 5 })
    }
  })
})
