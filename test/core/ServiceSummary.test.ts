import { encode, fromJson, listFromJson, type ServiceSummary, toJson } from "@aster-effect/core/contract/ServiceSummary"
import { assert, describe, it } from "@effect/vitest"

const id = "0123456789abcdef".repeat(4)

const summary: ServiceSummary = {
  name: "Thread",
  version: 3,
  contractId: id,
  channels: { rpc: "YWJj" },
  pattern: "session",
  serializationModes: []
}

const json = { name: "Thread", version: 3, contract_id: id }

describe("encode", () => {
  it("writes the reference's text", () => {
    assert.strictEqual(
      encode(summary),
      `{"name":"Thread","version":3,"contract_id":"${id}","channels":{"rpc":"YWJj"},"pattern":"session","serialization_modes":[]}`
    )
    assert.strictEqual(
      encode({
        ...summary,
        name: "Größe 😀\u007f",
        channels: {},
        contractId: "",
        serializationModes: ["json", "xlang"]
      }),
      '{"name":"Gr\\u00f6\\u00dfe \\ud83d\\ude00\\u007f","version":3,"contract_id":"","channels":{},"pattern":"session","serialization_modes":["json","xlang"]}'
    )
  })

  it("has the same keys in the same order as a value", () => {
    assert.strictEqual(JSON.stringify(toJson(summary)), encode(summary))
  })

  it("reads back", () => {
    for (const one of [
      summary,
      { ...summary, name: "Größe", serializationModes: ["json"], pattern: "shared" as const }
    ]) {
      assert.deepStrictEqual(fromJson(JSON.parse(encode(one))), one)
    }
  })
})

describe("fromJson", () => {
  it("fills in what is missing, null or empty", () => {
    const expected = { ...summary, channels: {}, pattern: "shared" }
    assert.deepStrictEqual(fromJson(json), expected)
    assert.deepStrictEqual(fromJson({ ...json, channels: null, pattern: null, serialization_modes: null }), expected)
    assert.deepStrictEqual(
      fromJson({ ...json, channels: {}, pattern: "", serialization_modes: [], methods: [] }),
      expected
    )
  })

  it("takes the older scope, a version as text, and an empty contract id", () => {
    assert.strictEqual(fromJson({ ...json, pattern: "stream" })?.pattern, "session")
    assert.strictEqual(fromJson({ ...json, version: "12" })?.version, 12)
    assert.strictEqual(fromJson({ ...json, contract_id: "" })?.contractId, "")
  })

  it("refuses what breaks a rule", () => {
    const refused: ReadonlyArray<unknown> = [
      null,
      [],
      "Thread",
      {},
      { ...json, name: undefined },
      ...[
        "",
        "a".repeat(257),
        "a/b",
        "a\\b",
        "a\nb",
        "a\u0000",
        "a\u007f",
        "a\u0085",
        "..",
        ".",
        "\ud800",
        5,
        null
      ].map((name) => ({ ...json, name })),
      ...[undefined, null, 1.5, 2 ** 31, -(2 ** 31) - 1, "1.5", "", "99999999999", NaN, true].map((version) => ({
        ...json,
        version
      })),
      ...[undefined, null, "ab", id.toUpperCase(), `${id}0`, `${id.slice(1)}g`, `${id.slice(0, 63)}\n`].map(
        (contract_id) => ({ ...json, contract_id })
      ),
      ...[["rpc"], "rpc", { rpc: 1 }, { "a/b": "x" }, { "": "x" }, { rpc: "x".repeat(65_537) }].map((channels) => ({
        ...json,
        channels
      })),
      { ...json, channels: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`c${i}`, "x"])) },
      ...["unary", 1, {}].map((pattern) => ({ ...json, pattern })),
      ...["json", { 0: "json" }, [1], Array.from({ length: 101 }, () => "json")].map((serialization_modes) => ({
        ...json,
        serialization_modes
      }))
    ]
    for (const value of refused) assert.isUndefined(fromJson(value), JSON.stringify(value))
  })

  it("accepts the limits themselves", () => {
    const channels = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`c${i}`, "x"]))
    assert.deepStrictEqual(fromJson({ ...json, channels })?.channels, channels)
    // Characters, not UTF-16 units.
    const name = "😀".repeat(256)
    assert.strictEqual(fromJson({ ...json, name })?.name, name)
    assert.isUndefined(fromJson({ ...json, name: `${name}a` }))
    assert.strictEqual(fromJson({ ...json, version: -(2 ** 31) })?.version, -(2 ** 31))
  })

  it("says what travels in methods, and drops what cannot say that", () => {
    const digests = { ask: "0123456789abcdef", ["__proto__"]: "f".repeat(16) }
    const parsed = fromJson(JSON.parse(JSON.stringify({ ...json, message_digests: digests })))
    assert.deepStrictEqual(Object.entries(parsed!.messageDigests!), Object.entries(digests))
    assert.deepStrictEqual(fromJson(JSON.parse(encode(parsed!))), parsed)
    assert.deepStrictEqual(fromJson(JSON.parse(JSON.stringify(toJson(parsed!)))), parsed)
    for (const wrong of [null, [], "x", { ask: "0" }, { ask: 1 }, { ask: "g".repeat(16) }, { ask: "A".repeat(16) }]) {
      const without = fromJson({ ...json, message_digests: wrong })
      assert.deepStrictEqual([without?.name, without?.messageDigests], [json.name, undefined])
    }
  })

  it("keeps a channel named __proto__ as data", () => {
    const parsed = fromJson(JSON.parse(`{"name":"T","version":1,"contract_id":"","channels":{"__proto__":"x"}}`))
    assert.deepStrictEqual(Object.entries(parsed!.channels), [["__proto__", "x"]])
  })
})

describe("listFromJson", () => {
  it("drops the bad and keeps the rest in order", () => {
    const names = listFromJson([json, null, { ...json, name: "a/b" }, { ...json, name: "Second" }]).map(
      ({ name }) => name
    )
    assert.deepStrictEqual(names, ["Thread", "Second"])
  })

  it("looks at the first 10,000 entries only", () => {
    const many = [null, ...Array.from({ length: 10_005 }, (_, i) => ({ ...json, name: `s${i}` }))]
    const list = listFromJson(many)
    assert.deepStrictEqual([list.length, list.at(-1)!.name], [9_999, "s9998"])
  })

  it("is empty for anything but an array", () => {
    for (const value of [undefined, null, {}, "[]", 3]) assert.deepStrictEqual(listFromJson(value), [])
  })
})
