import { CodecError } from "@aster-effect/core/message/CodecError"
import * as MessageCodec from "@aster-effect/core/message/MessageCodec"
import * as Wire from "@aster-effect/core/message/Wire"
import { Writer } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Random } from "../Random.ts"

const encodings = ["xlang", "json"] as const

class Item extends Wire.Class<Item>("values/Item")({ n: Wire.Int, day: Wire.Date }) {}

const codecs = new WeakMap<object, MessageCodec.MessageCodec<unknown>>()

const codecOf = (schema: Schema.Constraint): MessageCodec.MessageCodec<unknown> => {
  const codec = codecs.get(schema) ?? MessageCodec.compileAll([schema, Item])[0]
  codecs.set(schema, codec)
  return codec
}

const anyByText = Wire.Record(Wire.Any)

/** What becomes of a value that travels as a message of its own, or in the field of one. */
const travel = (schema: Schema.Constraint, value: unknown, encoding: MessageCodec.Encoding): unknown => {
  const codec = codecOf(schema)
  const writer = new Writer()
  codec.write(writer, value, encoding)
  return codec.read(new Uint8Array(writer.bytes()), encoding)
}

const REFUSED = Symbol("refused")

const outcome = (schema: Schema.Constraint, value: unknown, encoding: MessageCodec.Encoding): unknown => {
  try {
    return travel(schema, value, encoding)
  } catch (error) {
    assert.instanceOf(error, CodecError)
    return REFUSED
  }
}

const both = (schema: Schema.Constraint, value: unknown): unknown => {
  const [xlang, json] = encodings.map((encoding) => outcome(schema, value, encoding))
  assert.deepStrictEqual(json, xlang)
  assert.strictEqual(Object.is(json, -0), Object.is(xlang, -0))
  return json
}

const readJson = (schema: Schema.Constraint, text: string): unknown => {
  const [codec] = MessageCodec.compileAll([schema])
  try {
    return codec.read(new TextEncoder().encode(text), "json")
  } catch (error) {
    assert.instanceOf(error, CodecError)
    return REFUSED
  }
}

const day = (text: string): Date => new Date(text)

describe("the same value, the same rule in both encodings", () => {
  it.each([
    ["a day", Wire.Date, day("2024-02-29")],
    ["the first day of Python", Wire.Date, day("0001-01-01")],
    ["a day beyond the year 9999", Wire.Date, day("+012345-06-07")],
    ["a day before the year 0", Wire.Date, day("-000044-03-15")],
    ["an instant before the epoch", Wire.Timestamp, new Date(-1)],
    ["the last instant", Wire.Timestamp, new Date(8.64e15)],
    ["negative zero as a float", Wire.Float64, -0],
    ["a float beyond 2^53 that is whole", Wire.Float64, 2 ** 60],
    ["the largest float", Wire.Float64, Number.MAX_VALUE],
    ["the smallest float", Wire.Float64, Number.MIN_VALUE],
    ["single precision", Wire.Float32, Math.fround(0.1)],
    ["text of every plane", Wire.String, "a\u0000\ufffe😀"],
    ["members called like their prototype's", Wire.Record(Wire.Int), JSON.parse('{"__proto__":1,"constructor":2}')],
    [
      "dates as keys",
      Wire.Map(Wire.Date, Wire.Int),
      new Map([[+day("2024-01-01"), 1]].map(([k, v]) => [new Date(k!), v]))
    ],
    ["enumerations as keys", Wire.Map(Wire.Enum("values/E", { A: 1, B: 2 }), Wire.Int), new Map([[2, 7]])],
    ["no more than nothing", Wire.Any, null],
    ["negative zero of any type", Wire.Any, -0],
    ["2^53 as a number", Wire.Any, 2 ** 53],
    ["2^53 as a bigint", Wire.Any, 2n ** 53n],
    ["a large float of any type", Wire.Any, 1e300],
    ["maps and lists of any type", Wire.Any, { a: [1, { b: null, "": "x" }], c: {} }],
    ["a bare dict", Wire.AnyRecord, { a: [1.5, true], b: { c: 2n ** 62n } }],
    ["a bare list", Wire.AnyList, [1, "a", null, [], {}]]
  ])("%s comes back", (_, schema, value) => {
    assert.deepStrictEqual(both(schema, value), value)
  })

  it.each([
    ["local midnight", Wire.Date, new Date("2024-03-01T00:00:00+01:00")],
    ["an invalid date", Wire.Date, new Date(Number.NaN)],
    ["an invalid instant", Wire.Timestamp, new Date(Number.NaN)],
    ["half a surrogate pair", Wire.String, "\ud800"],
    ["half a surrogate pair as a key", Wire.Record(Wire.Int), { "\udfff": 1 }],
    ["half a surrogate pair of any type", Wire.Any, ["\ud800"]],
    ["a float that single precision cannot hold", Wire.Float32, 1e300],
    ["a bigint beyond 64 bits of any type", Wire.Any, 2n ** 64n],
    ["a function", Wire.Any, () => 1],
    ["a symbol", Wire.Any, Symbol("s")],
    ["an object of no message class", Wire.Any, new (class Other {})()],
    ["a hole", Wire.List(Wire.Int), [1, , 3]], // oxlint-disable-line no-sparse-arrays -- what is tested
    ["an array where an object is due", Item, [1, 2]],
    ["nothing where a list is due", Wire.List(Wire.Int), null],
    ["an object where a list is due", Wire.List(Wire.Int), { length: 1 }],
    ["an array where a set is due", Wire.Set(Wire.Int), [1]],
    ["an object where a map is due", Wire.Map(Wire.String, Wire.Int), {}],
    ["a Map where a record is due", Wire.Record(Wire.Int), new Map([["a", 1]])],
    ["a Set where a record is due", Wire.Record(Wire.Int), new Set([1])],
    ["a list where a bare dict is due", Wire.AnyRecord, []],
    ["a Map where a bare dict is due", Wire.AnyRecord, new Map()],
    ["nothing where a bare dict is due", Wire.AnyRecord, null],
    ["a dict where a bare list is due", Wire.AnyList, {}],
    ["something that throws when it is read", Item, { get n() { throw new Error("secret") }, day: day("2024-01-01") }] // oxfmt-ignore
  ])("%s is refused", (_, schema, value) => {
    assert.strictEqual(both(schema, value), REFUSED)
  })

  it.each([
    ["NaN", Wire.Float64, Number.NaN],
    ["infinity", Wire.Float32, -Infinity],
    ["NaN of any type", Wire.Any, { a: Number.NaN }],
    ["infinity of any type", Wire.AnyList, [Infinity]],
    ["a byte string of any type", Wire.Any, Uint8Array.of(1)],
    ["a Date of any type", Wire.Any, new Date(0)],
    ["a Set of any type", Wire.Any, new Set([1])],
    ["a map of any type with keys that are not strings", Wire.Any, new Map([[1, "a"]])],
    ["a float as a key", Wire.Map(Wire.Float64, Wire.Int), new Map([[1.5, 1]])],
    ["null as a key", Wire.Map(Wire.Optional(Wire.String), Wire.Int), new Map([[null, 1]])]
  ])("%s travels in XLANG and has no JSON form", (_, schema, value) => {
    assert.deepStrictEqual(outcome(schema, value, "xlang"), value)
    assert.strictEqual(outcome(schema, value, "json"), REFUSED)
  })

  it("a message in an untyped place is a message in XLANG and its object in JSON", () => {
    const item = new Item({ n: 1, day: day("2024-05-06") })
    assert.deepStrictEqual(outcome(Wire.Any, item, "xlang"), item)
    assert.deepStrictEqual(outcome(Wire.Any, item, "json"), { n: 1, day: "2024-05-06" })
  })

  it("values nested to the limit come back, one level more is refused", () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)])
    assert.deepStrictEqual(outcome(Wire.Any, nested(50), "json"), nested(50))
    assert.strictEqual(outcome(Wire.Any, nested(51), "json"), REFUSED)
    assert.deepStrictEqual(outcome(Wire.Any, nested(24), "xlang"), nested(24))
    assert.strictEqual(both(Wire.Any, nested(60)), REFUSED)
    const cyclic: Array<unknown> = []
    cyclic.push(cyclic)
    assert.strictEqual(both(Wire.Any, cyclic), REFUSED)
  })

  it("numbers of any magnitude", () => {
    const random = new Random(21)
    for (let i = 0; i < 4000; i++) {
      const magnitude = 2 ** (random.below(1100) - 550)
      const number = (random.below(2) === 0 ? 1 : -1) * magnitude * (1 + random.below(2 ** 20) / 2 ** 20)
      const bits = random.below(63)
      const bigint = (random.below(2) === 0 ? 1n : -1n) * (2n ** BigInt(bits) + BigInt(random.below(1000)))
      assert.strictEqual(both(Wire.Float64, number), number)
      assert.strictEqual(both(Wire.Any, number), number)
      const single = Math.fround(number)
      if (Number.isFinite(single)) assert.strictEqual(both(Wire.Float32, single), single)
      else assert.strictEqual(both(Wire.Float32, number), REFUSED)
      assert.strictEqual(both(Wire.Int64, bigint), bigint)
      assert.strictEqual(both(Wire.Any, bigint), Number.isSafeInteger(Number(bigint)) ? Number(bigint) : bigint)
    }
  })

  it("days and instants of any year", () => {
    const random = new Random(22)
    for (let i = 0; i < 4000; i++) {
      const days = random.below(200_000_001) - 100_000_000
      const at = days * 86_400_000
      assert.deepStrictEqual(both(Wire.Date, new Date(at)), new Date(at))
      const instant = Math.min(at + random.below(86_400_000), 8.64e15)
      assert.deepStrictEqual(both(Wire.Timestamp, new Date(instant)), new Date(instant))
      assert.strictEqual(both(Wire.Date, new Date(at + 1 + random.below(86_399_999))), REFUSED)
    }
  })

  it("text of any code units", () => {
    const random = new Random(23)
    for (let i = 0; i < 4000; i++) {
      const units = Array.from({ length: random.below(6) }, () =>
        random.below(3) === 0 ? 0xd800 + random.below(0x800) : random.below(0x10000)
      )
      const text = String.fromCharCode(...units)
      const expected = text.isWellFormed() ? text : REFUSED
      assert.strictEqual(both(Wire.String, text), expected)
      assert.deepStrictEqual(both(anyByText, { [text]: text }), expected === REFUSED ? REFUSED : { [text]: text })
    }
  })
})

describe("JSON of peers", () => {
  it.each([
    ["a day that does not exist", Wire.Date, '"2023-02-30"'],
    ["a day with a time", Wire.Date, '"2023-02-28T00:00:00Z"'],
    ["a month that does not exist", Wire.Timestamp, '"2023-13-01T00:00:00Z"'],
    ["an instant on a day that does not exist", Wire.Timestamp, '"2023-02-29T00:00:00Z"'],
    ["an hour that does not exist", Wire.Timestamp, '"2023-02-28T24:00:00Z"'],
    ["an offset that does not exist", Wire.Timestamp, '"2023-02-28T00:00:00+24:00"'],
    ["an instant without a zone, which is another one everywhere", Wire.Timestamp, '"2024-01-01T00:00:00"'],
    ["an instant beyond what a Date holds", Wire.Timestamp, '"+275760-09-13T00:00:00.001Z"'],
    ["a number beyond a float", Wire.Float64, "1e999"],
    ["a number beyond a float of any type", Wire.Any, "1e999"],
    ["a number beyond single precision", Wire.Float32, "1e39"],
    ["an integer beyond 64 bits of any type", Wire.Any, "9223372036854775808"],
    ["an integer beyond everything", Wire.Any, "9".repeat(400)],
    ["half a surrogate pair", Wire.String, String.raw`"\ud800"`],
    ["half a surrogate pair of any type", Wire.Any, String.raw`{"a":["\udc00"]}`],
    ["half a surrogate pair as a key", Wire.AnyRecord, String.raw`{"\udc00":1}`],
    ["two spellings of one key", Wire.Map(Wire.Int, Wire.Int), '{"01":1,"1":2}'],
    ["null where a list is due", Wire.AnyList, "null"],
    ["a list where a dict is due", Wire.AnyRecord, "[]"]
  ])("%s is refused", (_, schema, text) => {
    assert.strictEqual(readJson(schema, text), REFUSED)
  })

  it.each([
    [Wire.Timestamp, '"2024-01-02T03:04:05+02:00"', new Date("2024-01-02T01:04:05Z")],
    [Wire.Timestamp, '"2024-01-01T00:30:00-01:45"', new Date("2024-01-01T02:15:00Z")],
    [Wire.Timestamp, '"2024-01-02T03:04:05.678900Z"', new Date("2024-01-02T03:04:05.679Z")],
    [Wire.Timestamp, '"2024-01-02T03:04Z"', new Date("2024-01-02T03:04:00Z")],
    [Wire.Any, "1e22", 1e22],
    [Wire.Any, "-0.0", -0],
    [Wire.Float64, "10000000000000000000000", 1e22],
    [Wire.Int, "-0", 0]
  ])("%s reads %s", (schema, text, expected) => {
    assert.deepStrictEqual(readJson(schema, text), expected)
  })

  it("names the place of what is wrong", () => {
    class Deep extends Wire.Class<Deep>("values/Deep")({ items: Wire.Record(Wire.List(Item)) }) {}
    const [codec] = MessageCodec.compileAll([Deep])
    const read = (text: string) => () => codec.read(new TextEncoder().encode(text), "json")
    assert.throws(
      read('{"items":{"a":[{"n":1,"day":"2024-01-01"},{"n":1,"day":"x"}]}}'),
      "Deep.items.a[1].day: not a day that exists"
    )
    assert.throws(
      read('{"items":{"a":[{"n":1,"day":"2024-01-01","x":1}]}}'),
      'Deep.items.a[0] has unexpected fields "x"; allowed: day, n'
    )
    assert.throws(read('{"items":{"a":[{}]}}'), 'Deep.items.a[0]: missing key "n"')
  })
})

describe("message classes", () => {
  class Note extends Wire.Class<Note>("values/Note")({
    data: Wire.Bytes.pipe(Wire.withDefault(new Uint8Array(2))),
    at: Wire.Timestamp.pipe(Wire.withDefault(new Date(0))),
    tags: Wire.List(Wire.String).pipe(Wire.withDefault(["a"])),
    item: Item.pipe(Wire.withDefault(new Item({ n: 1, day: new Date(0) }))),
    extra: Wire.Any.pipe(Wire.withDefault({ list: [1] }))
  }) {}

  it("defaults belong to one message each", () => {
    const scribble = (note: Note): void => {
      note.data[0] = 9
      note.at.setTime(9)
      ;(note.tags as Array<string>).push("b")
      ;(note.item as { n: number }).n = 9
      ;(note.extra as { list: Array<number> }).list.push(9)
    }
    const fresh = {
      data: new Uint8Array(2),
      at: new Date(0),
      tags: ["a"],
      item: new Item({ n: 1, day: new Date(0) }),
      extra: { list: [1] }
    }
    for (const make of [() => new Note({}), () => readJson(Note, "{}") as Note]) {
      scribble(make())
      const note = make()
      assert.instanceOf(note, Note)
      assert.instanceOf(note.item, Item)
      assert.deepStrictEqual({ ...note }, fresh)
    }
  })

  it("what was given as a default may change later", () => {
    const given = Uint8Array.of(1)
    class Given extends Wire.Class<Given>("values/Given")({ data: Wire.Bytes.pipe(Wire.withDefault(given)) }) {}
    given[0] = 2
    assert.deepStrictEqual(new Given({}).data, Uint8Array.of(1))
  })

  it("a default below a transformation travels in its encoded form", () => {
    const At = Wire.String.pipe(Schema.decodeTo(Schema.DateFromString))
    class Late extends Wire.Class<Late>("values/Late")({ at: At.pipe(Wire.withDefault(new Date(0))) }) {}
    assert.deepStrictEqual(readJson(Late, "{}"), new Late({}))
  })

  for (const encoding of encodings) {
    it(`a subclass changes nothing for its parent (${encoding})`, () => {
      class Parent extends Wire.Class<Parent>("values/Parent")({ n: Wire.Int }) {
        get twice() {
          return this.n * 2
        }
      }
      class Child extends Parent {
        override get twice() {
          return this.n * 3
        }
      }
      // The child is looked at first.
      const child = travel(Child, new Child({ n: 1 }), encoding) as Child
      assert.deepStrictEqual([child instanceof Child, child.twice], [true, 3])
      const parent = travel(Parent, new Parent({ n: 1 }), encoding) as Parent
      assert.deepStrictEqual([parent instanceof Child, parent instanceof Parent, parent.twice], [false, true, 2])
      // An instance of a subclass is a message of its parent.
      const sent = travel(Parent, new Child({ n: 1 }), encoding) as Parent
      assert.deepStrictEqual([sent instanceof Child, sent.twice], [false, 2])
    })

    it(`private members and initial values are there (${encoding})`, () => {
      class Counter extends Wire.Class<Counter>("values/Counter")({ n: Wire.Int }) {
        #reads = 0
        label = `n=${this.n}`
        get reads() {
          return ++this.#reads
        }
      }
      class Holder extends Wire.Class<Holder>("values/Holder")({
        one: Counter,
        many: Wire.List(Counter),
        other: Counter.pipe(Wire.withDefault(new Counter({ n: 7 })))
      }) {}
      const holder = new Holder({ one: new Counter({ n: 1 }), many: [new Counter({ n: 2 })] })
      const back = travel(Holder, holder, encoding) as Holder
      for (const [counter, n] of [
        [back.one, 1],
        [back.many[0]!, 2],
        [back.other, 7],
        [holder.other, 7]
      ] as const) {
        // oxfmt-ignore
        assert.instanceOf(counter, Counter)
        assert.deepStrictEqual([counter.n, counter.label, counter.reads, counter.reads], [n, `n=${n}`, 1, 2])
      }
    })

    it(`a constructor that refuses is a typed error without its words (${encoding})`, () => {
      let refuse = false
      class Picky extends Wire.Class<Picky>("values/Picky")({ n: Wire.Int }) {
        constructor(...args: ConstructorParameters<typeof Picky.base>) {
          super(...args)
          if (refuse) throw new Error("secret")
        }
        static readonly base = Wire.Class<Picky>("values/Picky")({ n: Wire.Int })
      }
      const [codec] = MessageCodec.compileAll([Picky])
      const writer = new Writer()
      codec.write(writer, new Picky({ n: 1 }), encoding)
      refuse = true
      try {
        codec.read(new Uint8Array(writer.bytes()), encoding)
        assert.fail("it was read")
      } catch (error) {
        assert.instanceOf(error, CodecError)
        assert.deepStrictEqual([error.reason, error.detail.includes("secret")], ["Invalid", false])
      }
      refuse = false
      assert.strictEqual((codec.read(new Uint8Array(writer.bytes()), encoding) as Picky).n, 1)
    })
  }

  it("constructors refuse what cannot travel", () => {
    class Dated extends Wire.Class<Dated>("values/Dated")({ day: Wire.Date, at: Wire.Timestamp }) {}
    const at = new Date(0)
    const problem = (make: () => unknown): string => {
      try {
        make()
      } catch (error) {
        return JSON.stringify((error as Error).cause)
      }
      return "it was made"
    }
    assert.include(
      problem(() => new Dated({ day: new Date(1), at })),
      "midnight UTC"
    )
    assert.throws(() => new Dated({ day: new Date(Number.NaN), at }))
    assert.throws(() => new Dated({ day: at, at: new Date(Number.NaN) }))
  })
})
