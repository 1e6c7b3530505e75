import { Fory, ForyError, Type } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"

const Comment = Type.struct({
  namespace: "t",
  name: "Comment",
  fields: { text: Type.string, at: Type.timestamp }
})
const Task = Type.struct({
  namespace: "t",
  name: "Task",
  fields: {
    id: Type.int,
    title: Type.optional(Type.string),
    comments: Type.list(Comment),
    labels: Type.map(Type.string, Type.int32),
    counts: Type.record(Type.optional(Type.uint8)),
    "odd name": Type.any
  }
})

const registry = Fory.make({ types: [Comment] })

const failure = (encode: () => unknown): ForyError => {
  try {
    encode()
  } catch (error) {
    if (error instanceof ForyError) return error
    throw error
  }
  return assert.fail("It was encoded")
}

/** Encodes anything as `type`, past the compiler. */
const encode = (type: Type.Type, value: unknown): Uint8Array => registry.codec(type).encode(value as never)

const refuses = (type: Type.Type, value: unknown, code: ForyError["code"]): ForyError => {
  const error = failure(() => encode(type, value))
  assert.strictEqual(error.code, code, error.message)
  assert.strictEqual(error._tag, "ForyError")
  return error
}

describe("values of another type", () => {
  const wrong: { readonly [kind in Type.ScalarKind]: ReadonlyArray<unknown> } = {
    bool: [0, 1, "true"],
    int8: ["1", 1n, true],
    int16: ["1", 1n],
    int32: ["1", 1n],
    fixedInt32: ["1", 1n],
    int: ["1", 1n, true, {}],
    int64: [1, "1"],
    fixedInt64: [1],
    taggedInt64: [1],
    uint8: ["1", 1n],
    uint16: ["1", 1n],
    uint32: ["1", 1n],
    fixedUint32: ["1", 1n],
    uint64: [1],
    fixedUint64: [1],
    taggedUint64: [1],
    float32: ["1", 1n, true],
    float64: ["1", 1n, true],
    string: [1, true, ["a"], new String("a")],
    bytes: ["ab", [1, 2], new ArrayBuffer(2), new Uint16Array(1)],
    timestamp: [0, "2024-01-02"],
    timestampNanos: [0, new Date(0)],
    date: [0, "2024-01-02"],
    boolArray: [[1], new Uint8Array(1)],
    int8Array: [[1], new Uint8Array(1)],
    int16Array: [[1], new Uint16Array(1)],
    int32Array: [[1], new Float32Array(1)],
    int64Array: [[1n], new BigUint64Array(1)],
    uint8Array: [[1], new Int8Array(1)],
    uint16Array: [[1], new Int16Array(1)],
    uint32Array: [[1], new Int32Array(1)],
    uint64Array: [[1n], new BigInt64Array(1)],
    float32Array: [[1], new Float64Array(1)],
    float64Array: [[1], new Float32Array(1)]
  }
  it.each(Object.entries(wrong))("%s", (kind, values) => {
    const type: Type.Type = { kind: kind as Type.ScalarKind }
    for (const value of [...values, null, undefined, Symbol("s"), () => 1]) {
      refuses(type, value, "InvalidValue")
      if (value !== null && value !== undefined) refuses(Type.list(Type.optional(type)), [null, value], "InvalidValue")
    }
  })

  it("containers", () => {
    refuses(Type.list(Type.int), new Set([1]), "InvalidValue")
    refuses(Type.list(Type.int), { length: 1, 0: 1 }, "InvalidValue")
    refuses(Type.list(Type.string), "ab", "InvalidValue")
    refuses(Type.set(Type.int), [1], "InvalidValue")
    refuses(Type.map(Type.string, Type.int), { a: 1 }, "InvalidValue")
    refuses(Type.record(Type.int), new Map([["a", 1]]), "InvalidValue")
    refuses(Type.record(Type.int), [1], "InvalidValue")
    refuses(Comment, "text", "InvalidValue")
    refuses(Type.enumeration({ namespace: "t", name: "E", values: ["A"] }), "B", "InvalidValue")
    refuses(Type.any, Symbol("s"), "InvalidValue")
    refuses(Type.any, { f: () => 1 }, "InvalidValue")
  })

  it("instances of unknown classes where any type may stand", () => {
    class Unknown {}
    refuses(Type.any, new Unknown(), "InvalidValue")
    refuses(Type.any, [new URL("http://localhost")], "InvalidValue")
  })

  it("nulls that are not optional", () => {
    refuses(Type.list(Type.int), [1, null], "InvalidValue")
    refuses(Type.list(Type.int), [1, undefined], "InvalidValue")
    // oxlint-disable-next-line no-sparse-arrays -- a hole is nothing either
    refuses(Type.list(Type.int), [1, , 2], "InvalidValue")
    refuses(Type.set(Type.string), new Set([null]), "InvalidValue")
    refuses(Type.map(Type.string, Type.int), new Map([[null, 1]]), "InvalidValue")
    refuses(Type.map(Type.string, Type.int), new Map([["a", null]]), "InvalidValue")
    refuses(Type.map(Type.optional(Type.string), Type.int), new Map([[null, null]]), "InvalidValue")
    refuses(Type.record(Type.list(Type.int)), { a: undefined }, "InvalidValue")
    refuses(Comment, null, "InvalidValue")
    refuses(Type.struct({ namespace: "t", name: "Holder", fields: { comment: Comment } }), {}, "InvalidValue")
  })
})

describe("values out of range", () => {
  it("integers", () => {
    refuses(Type.int, 2 ** 53, "OutOfRange")
    refuses(Type.int, -(2 ** 53), "OutOfRange")
    for (const type of [Type.int, Type.int32, Type.uint8, Type.fixedInt32])
      for (const value of [1.5, NaN, Infinity]) refuses(type, value, "OutOfRange")
    refuses(Type.int8, 128, "OutOfRange")
    refuses(Type.int8, -129, "OutOfRange")
    refuses(Type.int16, 2 ** 15, "OutOfRange")
    refuses(Type.int32, 2 ** 31, "OutOfRange")
    refuses(Type.fixedInt32, -(2 ** 31) - 1, "OutOfRange")
    refuses(Type.uint8, -1, "OutOfRange")
    refuses(Type.uint8, 256, "OutOfRange")
    refuses(Type.uint16, 2 ** 16, "OutOfRange")
    refuses(Type.uint32, 2 ** 32, "OutOfRange")
    refuses(Type.fixedUint32, -1, "OutOfRange")
    for (const type of [Type.int64, Type.fixedInt64, Type.taggedInt64]) {
      refuses(type, 2n ** 63n, "OutOfRange")
      refuses(type, -(2n ** 63n) - 1n, "OutOfRange")
    }
    for (const type of [Type.uint64, Type.fixedUint64, Type.taggedUint64]) {
      refuses(type, 2n ** 64n, "OutOfRange")
      refuses(type, -1n, "OutOfRange")
    }
    refuses(Type.any, 2n ** 63n, "OutOfRange")
  })

  it("time", () => {
    refuses(Type.timestamp, new Date(NaN), "OutOfRange")
    refuses(Type.date, new Date(NaN), "OutOfRange")
    refuses(Type.date, new Date("2024-01-02T00:00:00.001Z"), "OutOfRange")
    refuses(Type.timestampNanos, 2n ** 63n * 1_000_000_000n, "OutOfRange")
  })

  it("text with an unpaired surrogate", () => {
    for (const text of ["\ud800", "a\udc00", "\udc00\ud800", "日".repeat(40) + "\ud800", "😀\ud83d"])
      refuses(Type.string, text, "InvalidText")
  })

  it("sizes above the limits", () => {
    const small = Fory.make({ limits: { maxCollectionSize: 2, maxBinarySize: 2 } })
    const over: ReadonlyArray<readonly [Type.Type, unknown]> = [
      [Type.list(Type.int), [1, 2, 3]],
      [Type.set(Type.int), new Set([1, 2, 3])],
      [Type.record(Type.int), { a: 1, b: 2, c: 3 }],
      [Type.any, [1, 2, 3]],
      [Type.bytes, new Uint8Array(3)],
      [Type.int16Array, new Int16Array(2)]
    ]
    for (const [type, value] of over)
      assert.strictEqual(failure(() => small.codec(type).encode(value as never)).code, "LimitExceeded")
    small.codec(Type.list(Type.int)).encode([1, 2])
    small.codec(Type.bytes).encode(new Uint8Array(2))
  })
})

describe("nesting", () => {
  it("of cyclic values is an error", () => {
    interface Node {
      next: Node | null
      kids: Array<Node>
      by: { [name: string]: Node }
      any: unknown
    }
    const Node: Type.Type<Node, Node> = Type.struct({
      namespace: "t",
      name: "Node",
      fields: () => ({ next: Type.optional(Node), kids: Type.list(Node), by: Type.record(Node), any: Type.any })
    }) as never
    const cyclic = (tie: (node: Node) => void): Node => {
      const node: Node = { next: null, kids: [], by: {}, any: null }
      tie(node)
      return node
    }
    refuses(
      Node,
      cyclic((node) => (node.next = node)),
      "TooDeep"
    )
    refuses(
      Node,
      cyclic((node) => node.kids.push(node, node)),
      "TooDeep"
    )
    refuses(
      Node,
      cyclic((node) => (node.by["self"] = node)),
      "TooDeep"
    )
    const list: Array<unknown> = []
    list.push(list)
    refuses(Type.any, list, "TooDeep")
    refuses(
      Node,
      cyclic((node) => (node.any = list)),
      "TooDeep"
    )
    const map = new Map<unknown, unknown>()
    map.set("self", map)
    assert.match(refuses(Type.any, map, "TooDeep").message, /cyclic or nested deeper than 50 levels at value$/)
    // Refused before the cycle is entered; looking for the place must not follow it either.
    refuses(Type.any, [list, Symbol("s")], "InvalidValue")
    list.push(Symbol("s"))
    refuses(Type.any, list, "InvalidValue")
  })

  it("writes a shared value as often as it occurs", () => {
    const shared = { text: "x", at: new Date(0) }
    const codec = registry.codec(Type.list(Comment))
    assert.deepStrictEqual(codec.decode(codec.encode([shared, shared])), [shared, shared])
  })
})

describe("paths", () => {
  const valid = { id: 1, title: "t", comments: [], labels: new Map(), counts: {}, "odd name": null }
  const at = { text: "x", at: new Date(0) }
  const cases: ReadonlyArray<readonly [path: string, value: object]> = [
    ["Task.id", { ...valid, id: "1" }],
    ["Task.title", { ...valid, title: 1 }],
    ["Task.comments", { ...valid, comments: "none" }],
    ["Task.comments[1].at", { ...valid, comments: [at, { text: "y", at: 5 }] }],
    ["Task.comments[2]", { ...valid, comments: [at, at, null] }],
    [
      'Task.labels["b"]',
      {
        ...valid,
        labels: new Map([
          ["a", 1],
          ["b", 1.5]
        ])
      }
    ],
    ["Task.labels{key}", { ...valid, labels: new Map([[1, 1]]) }],
    ['Task.counts["x y"]', { ...valid, counts: { "x y": 256 } }],
    ['Task["odd name"][1]["k"]', { ...valid, "odd name": [1, { k: Symbol("s") }] }],
    ['Task["odd name"].text', { ...valid, "odd name": Type.typed(Comment, { text: 5, at: 5 } as never) }],
    ['Task["odd name"][0]', { ...valid, "odd name": new Set(["\ud800"]) }]
  ]
  it.each(cases)("%s", (path, value) => {
    const error = failure(() => encode(Task, value))
    assert.strictEqual(error.path, path)
    assert.isTrue(error.message.endsWith(` at ${path}`), error.message)
    assert.isUndefined(error.offset)
  })

  it("of roots without a name begin with value", () => {
    assert.strictEqual(refuses(Type.list(Type.int), [1, "2"], "InvalidValue").path, "value[1]")
  })

  it("are those of what is refused, not of another fault before it", () => {
    assert.strictEqual(refuses(Type.list(Type.any), ["\ud800", Symbol("s")], "InvalidValue").path, "value[1]")
  })

  it("show numbers but no text", () => {
    assert.match(refuses(Type.int8, 1000, "OutOfRange").message, /from -128 to 127, got 1000/)
    assert.notInclude(refuses(Type.int8, "secret", "InvalidValue").message, "secret")
    assert.notInclude(
      refuses(Type.enumeration({ namespace: "", name: "E", values: ["A"] }), "secret", "InvalidValue").message,
      "secret"
    )
  })
})

describe("what values say of themselves", () => {
  it("undefined and missing are null where that is allowed", () => {
    const Box = Type.struct({ namespace: "t", name: "Box", fields: { a: Type.optional(Type.int), b: Type.any } })
    const codec = registry.codec(Box)
    for (const value of [{}, { a: undefined, b: undefined }, { a: null, b: null }])
      assert.deepStrictEqual(codec.decode(codec.encode(value)), { a: null, b: null })
    const list = registry.codec(Type.list(Type.optional(Type.int)))
    assert.deepStrictEqual(list.decode(list.encode([undefined, 1])), [null, 1])
  })

  it("an error of a getter passes as it is", () => {
    const value = {
      text: "x",
      get at(): Date {
        throw new RangeError("mine")
      }
    }
    assert.throws(() => registry.codec(Comment).encode(value), RangeError, "mine")
  })

  it("a getter may encode something itself", () => {
    const codec = registry.codec(Comment)
    let inner: Uint8Array | undefined
    const value = {
      at: new Date(5),
      get text(): string {
        inner ??= codec.encode({ text: "inner", at: new Date(1) })
        return "outer"
      }
    }
    const outer = codec.encode(value)
    assert.deepStrictEqual(codec.decode(outer), { text: "outer", at: new Date(5) })
    assert.deepStrictEqual(codec.decode(inner!), { text: "inner", at: new Date(1) })
  })

  it("integers keep every bit", () => {
    const codec = registry.codec(Type.int64)
    for (const value of [2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 53n) - 1n])
      assert.strictEqual(codec.decode(codec.encode(value)), value)
    const any = registry.codec(Type.any)
    assert.strictEqual(any.decode(any.encode(2n ** 53n + 1n)), 2n ** 53n + 1n)
    assert.strictEqual(any.decode(any.encode(5n)), 5)
    assert.isTrue(Object.is(any.decode(any.encode(-0)), -0))
    assert.strictEqual(any.decode(any.encode(2 ** 60)), 2 ** 60)
  })
})
