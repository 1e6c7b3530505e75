import { createHash } from "node:crypto"
import { Fory, Type } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"
import { fromHex, toHex } from "./golden/model.ts"
import spec from "./vectors/spec.json" with { type: "json" }

const { messages, roots } = spec
const strings = Type.list(Type.string)

const StreamHeader = Type.struct({
  namespace: "_aster",
  name: "StreamHeader",
  fields: {
    service: Type.string,
    method: Type.string,
    version: Type.int,
    callId: Type.string,
    deadlineEpochMs: Type.int,
    serializationMode: Type.int,
    metadataKeys: strings,
    metadataValues: strings
  }
})
const CallHeader = Type.struct({
  namespace: "_aster",
  name: "CallHeader",
  fields: {
    method: Type.string,
    callId: Type.string,
    deadlineEpochMs: Type.int,
    metadataKeys: strings,
    metadataValues: strings
  }
})
const RpcStatus = Type.struct({
  namespace: "_aster",
  name: "RpcStatus",
  fields: { code: Type.int, message: Type.string, detailKeys: strings, detailValues: strings }
})
const HelloRequest = Type.struct({ namespace: "hello", name: "HelloRequest", fields: { name: Type.string } })
const Inner = Type.struct({ namespace: "t", name: "Inner", fields: { a: Type.int, b: Type.string } })
const Color = Type.enumeration({ namespace: "demo", name: "Color", values: ["RED", "GREEN", "BLUE"] })
const Mixed = Type.struct({
  namespace: "demo",
  name: "Mixed",
  fields: {
    id: Type.int,
    score: Type.float64,
    active: Type.bool,
    name: Type.string,
    data: Type.bytes,
    nick: Type.optional(Type.string),
    age: Type.optional(Type.int),
    tags: strings,
    matrix: Type.list(Type.list(Type.int)),
    maybe: Type.list(Type.optional(Type.string)),
    counts: Type.record(Type.int),
    notes: Type.record(Type.optional(Type.string)),
    groups: Type.record(Type.list(Type.int)),
    child: Inner,
    opt_child: Type.optional(Inner),
    children: Type.list(Inner),
    by_name: Type.record(Inner),
    color: Color,
    created: Type.timestamp,
    extra: Type.any
  }
})
const Empty = Type.struct({ namespace: "t", name: "Empty", fields: {} })
const LongName = Type.struct({
  namespace: "cfg",
  name: "ApplicationConfigurationUpdateRequest",
  fields: { x: Type.int }
})
const Pair = Type.struct({ namespace: "t", name: "Pair", fields: { p: Inner, q: Inner } })
const NoNs = Type.struct({ namespace: "", name: "NoNs", fields: { v: Type.any } })
const NoNsB = Type.struct({ namespace: "", name: "NoNsB", fields: { n: Type.int } })
const S = Type.struct({ namespace: "t", name: "S", fields: { s: Type.string } })
const M = Type.struct({ namespace: "t", name: "M", fields: { m: Type.map(Type.int, Type.int) } })

interface Node {
  readonly v: number
  readonly next: Node | null
  readonly kids: ReadonlyArray<Node>
}
const Node: Type.Type<Node, Node> = Type.struct({
  namespace: "t",
  name: "Node",
  fields: () => ({ v: Type.int, next: Type.optional(Node), kids: Type.list(Node) })
})

const registry = Fory.make({ types: [Inner, Color, NoNsB] })

const roundTrip = <V, I>(type: Type.Type<V, I>, value: I & V, hex: string): void => {
  const codec = registry.codec(type) as Fory.Codec<V, I>
  assert.strictEqual(toHex(codec.encode(value)), hex)
  assert.deepStrictEqual(codec.decode(fromHex(hex)), value)
}

describe("protocol messages", () => {
  it("StreamHeader", () => {
    const full = {
      service: "mission.Control",
      method: "submitLog",
      version: 2,
      callId: "7f3a",
      deadlineEpochMs: 1765432100123,
      serializationMode: 3,
      metadataKeys: ["authorization", "trace-id"],
      metadataValues: ["Bearer x", "é"]
    }
    roundTrip(StreamHeader, full, messages.streamheader_full)
    const empty = {
      service: "",
      method: "",
      version: 0,
      callId: "",
      deadlineEpochMs: 0,
      serializationMode: 0,
      metadataKeys: [],
      metadataValues: []
    }
    roundTrip(StreamHeader, empty, messages.streamheader_default)
    assert.strictEqual(registry.schemaHash(StreamHeader), -568851036)
  })

  it("CallHeader", () => {
    const value = { method: "getStatus", callId: "1", deadlineEpochMs: 0, metadataKeys: ["k"], metadataValues: ["v"] }
    roundTrip(CallHeader, value, messages.callheader)
    assert.strictEqual(registry.schemaHash(CallHeader), 2038834545)
  })

  it("RpcStatus", () => {
    roundTrip(RpcStatus, { code: 0, message: "", detailKeys: [], detailValues: [] }, messages.rpcstatus_ok)
    const error = { code: 5, message: "not found", detailKeys: ["id"], detailValues: ["42"] }
    roundTrip(RpcStatus, error, messages.rpcstatus_error)
    assert.strictEqual(registry.schemaHash(RpcStatus), -1614130349)
  })

  it("HelloRequest", () => {
    roundTrip(HelloRequest, { name: "World" }, messages.hello_world)
    roundTrip(HelloRequest, { name: "" }, messages.hello_empty)
  })
})

describe("structs", () => {
  it("with every sort of field", () => {
    const value = {
      id: -3,
      score: 2.5,
      active: true,
      name: "né",
      data: Uint8Array.of(1, 2),
      nick: null,
      age: 7,
      tags: ["x"],
      matrix: [[1, 2], []],
      maybe: ["y", null],
      counts: { a: 1, b: -1 },
      notes: { k: "v", n: null, z: "" },
      groups: { g: [3] },
      child: { a: 1, b: "c" },
      opt_child: { a: 2, b: "o" },
      children: [
        { a: 3, b: "d" },
        { a: 4, b: "e" }
      ],
      by_name: { m: { a: 5, b: "f" } },
      color: "GREEN",
      created: new Date("2023-11-14T22:13:20.500Z"),
      extra: [1, "q"]
    } as const
    roundTrip(Mixed, value, messages.mixed)
    assert.strictEqual(registry.schemaHash(Mixed), -1018242353)
  })

  it("with defaults", () => {
    const value = {
      id: 0,
      score: 0,
      active: false,
      name: "",
      data: new Uint8Array(),
      nick: null,
      age: null,
      tags: [],
      matrix: [],
      maybe: [],
      counts: {},
      notes: {},
      groups: {},
      child: { a: 0, b: "" },
      opt_child: null,
      children: [],
      by_name: {},
      color: "RED",
      created: new Date(0),
      extra: null
    } as const
    roundTrip(Mixed, value, messages.mixed_default)
    const { nick, age, opt_child, extra, ...rest } = value
    assert.deepStrictEqual([nick, age, opt_child, extra], [null, null, null, null])
    assert.strictEqual(toHex(registry.codec(Mixed).encode(rest)), messages.mixed_default)
  })

  it("without fields", () => roundTrip(Empty, {}, messages.empty_struct))
  it("with a long name", () => roundTrip(LongName, { x: 1 }, messages.long_type_name))

  it("holding themselves", () => {
    const leaf = { next: null, kids: [] }
    const value = { v: 1, next: { ...leaf, v: 2 }, kids: [{ v: 3, next: null, kids: [{ ...leaf, v: 4 }] }] }
    roundTrip(Node, value, messages.node)
  })
})

describe("repeated names", () => {
  it("of one type", () => roundTrip(Pair, { p: { a: 1, b: "x" }, q: { a: 2, b: "y" } }, messages.pair))

  it("with the empty namespace", () => {
    const codec = registry.codec(NoNs)
    const b = (n: number): Type.TypedValue => Type.typed(NoNsB, { n })
    const encode = (v: unknown): string => toHex(codec.encode({ v }))
    assert.strictEqual(encode([b(1), b(2)]), messages.nons_list)
    assert.strictEqual(encode([b(1), Type.typed(Color, "BLUE"), null, b(2)]), messages.nons_mixed)
    assert.strictEqual(encode({ a: 1, b: null, c: "x" }), messages.nons_dict)
    assert.deepStrictEqual(codec.decode(fromHex(messages.nons_mixed)), { v: [{ n: 1 }, "BLUE", null, { n: 2 }] })
  })
})

describe("strings and maps", () => {
  it("choose the encoding by the widest character", () => {
    roundTrip(S, { s: "é" }, messages.s_latin1)
    roundTrip(S, { s: "日本" }, messages.s_utf16)
    roundTrip(S, { s: "a😀" }, messages.s_utf8)
    roundTrip(S, { s: "x".repeat(32) }, messages.s_32x)
  })

  it("split maps into chunks of 255", () => {
    const bytes = registry.codec(M).encode({ m: new Map(Array.from({ length: 256 }, (_, n) => [n, n])) })
    assert.strictEqual(bytes.length, spec.mapOf256.length)
    assert.strictEqual(createHash("sha256").update(bytes).digest("hex"), spec.mapOf256.sha256)
  })
})

describe("bare roots", () => {
  const any: ReadonlyArray<readonly [value: unknown, hex: string]> = [
    [null, roots.none],
    [true, roots.true],
    [0, roots["0"]],
    [1, roots["1"]],
    [-1, roots["-1"]],
    [64, roots["64"]],
    [1.5, roots["1.5"]],
    [Uint8Array.of(1, 2), roots["bytes 0102"]],
    [[], roots["[]"]],
    [[1, 2], roots["[1,2]"]],
    [["a", null], roots["[a,none]"]],
    [[null], roots["[none]"]],
    [[1, "a", null], roots["[1,a,none]"]],
    [new Map(), roots["{}"]],
    [new Map([["a", 1]]), roots["{a:1}"]],
    [new Map([["a", null]]), roots["{a:none}"]],
    [new Map([[null, 1]]), roots["{none:1}"]],
    [new Map([[null, null]]), roots["{none:none}"]],
    [new Set([1]), roots["set 1"]],
    [new Date("1969-12-31T23:59:59.500Z"), roots["1969-12-31T23:59:59.5Z"]]
  ]
  it.each(any)("untyped %o", (value, hex) => roundTrip(Type.any, value, hex))

  it("of declared types carry the types of what they hold", () => {
    roundTrip(Type.bool, true, roots.true)
    roundTrip(Type.int, 64, roots["64"])
    roundTrip(Type.int64, 64n, roots["64"])
    roundTrip(Type.optional(Type.int), null, roots.none)
    roundTrip(Type.optional(Type.int), -1, roots["-1"])
    roundTrip(Type.float64, 1.5, roots["1.5"])
    roundTrip(Type.list(Type.int), [1, 2], roots["[1,2]"])
    roundTrip(Type.list(Type.optional(Type.string)), ["a", null], roots["[a,none]"])
    roundTrip(Type.list(Type.optional(Type.int)), [null], roots["[none]"])
    roundTrip(Type.record(Type.int), { a: 1 }, roots["{a:1}"])
    roundTrip(Type.record(Type.optional(Type.int)), { a: null }, roots["{a:none}"])
    roundTrip(Type.map(Type.optional(Type.string), Type.int), new Map([[null, 1]]), roots["{none:1}"])
    roundTrip(Type.set(Type.int), new Set([1]), roots["set 1"])
    roundTrip(Type.list(Type.optional(Inner)), [{ a: 1, b: "a" }, null], roots["[Inner,none]"])
    roundTrip(Type.date, new Date("2024-01-02"), roots["2024-01-02"])
    roundTrip(Type.timestampNanos, 1704164645678901000n, roots["2024-01-02T03:04:05.678901Z"])
  })

  it("come back as the nearest millisecond", () => {
    const bytes = fromHex(roots["2024-01-02T03:04:05.678901Z"])
    assert.deepStrictEqual(registry.codec(Type.timestamp).decode(bytes), new Date("2024-01-02T03:04:05.679Z"))
  })
})
