import * as Contract from "@aster-effect/core/contract/Contract"
import { encode, fromDescription, type Manifest, parse, parseList } from "@aster-effect/core/contract/Manifest"
import { ManifestError } from "@aster-effect/core/contract/ManifestError"
import { assert, describe, it } from "@effect/vitest"
import { describeService } from "./Descriptions.ts"
import { identity, pythonServices, type ServiceVector } from "./Vectors.ts"

const manifestOf = (vector: ServiceVector): Manifest => {
  const description = describeService(vector)
  const postponedAnnotations = vector.annotations === "pep563"
  return fromDescription(description, Contract.fromDescription(description, { postponedAnnotations }))
}

/** Under postponed annotations the reference shows the class inside a list or optional response instead of the response. */
const services = pythonServices.filter(
  ({ annotations, service }) =>
    annotations === undefined ||
    service.methods.every(({ response }) => typeof response === "object" && "ref" in response)
)

/** JavaScript cannot tell 3600.0 from 3600; the reference keeps the author's spelling of a timeout. */
const plainTimeouts = (text: string): string => text.replace(/("timeout": \d+)\.0,/g, "$1,")

const refusal = (run: () => unknown): ManifestError => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, ManifestError)
    assert.strictEqual(error._tag, "ManifestError")
    return error
  }
  return assert.fail("was not refused")
}

const minimal = { service: "S", version: 1 }

describe("text", () => {
  for (const vector of identity.services.filter(({ expected }) => expected.manifest_json !== undefined)) {
    it(`${vector.id} is the reference's`, () => {
      assert.strictEqual(encode(manifestOf(vector)), plainTimeouts(vector.expected.manifest_json!))
    })
  }

  it("is the reference's for services declared in Python", () => {
    assert.isAbove(services.length, 30)
    for (const vector of services) {
      assert.strictEqual(encode(manifestOf(vector)), plainTimeouts(vector.expected.manifest_json!), vector.id)
    }
  })

  it("reads back to the same manifest", () => {
    for (const vector of services) {
      const manifest = manifestOf(vector)
      assert.deepStrictEqual(parse(encode(manifest)), manifest)
      assert.deepStrictEqual(parse(new TextEncoder().encode(vector.expected.manifest_json)), manifest)
    }
  })
})

describe("defaults", () => {
  /** A request with a field that has the default, an optional field without one, and a field without one. */
  const manifestWith = (value: unknown, scalar: "float64" | "int64" = "float64"): Manifest => {
    const type = { _tag: "Scalar", scalar } as const
    const request = {
      _tag: "Struct",
      name: { tag: "n/A", namespace: "n", name: "A", qualifiedName: "n.A" },
      prototype: undefined,
      fields: () => [
        { name: "set", type, defaultValue: { value } },
        { name: "optional", type: { _tag: "Optional", of: type } as const },
        { name: "required", type }
      ]
    } as const
    const method = {
      name: "m",
      pattern: "unary",
      timeoutSeconds: 0,
      idempotent: false,
      request,
      response: type
    } as const
    return fromDescription({ name: "S", version: 1, scope: "shared", serializationModes: [], methods: [method] })
  }
  const fieldsWith = (value: unknown, scalar?: "float64" | "int64") => manifestWith(value, scalar).methods[0]!.fields

  it("are spelled as Python spells numbers", () => {
    assert.include(encode(manifestWith(0.00001)), '"default_value": 1e-05,')
    assert.include(encode(manifestWith(1e16)), '"default_value": 1e+16,')
    assert.include(encode(manifestWith(2)), '"default_value": 2.0,')
    assert.include(encode(manifestWith(2n, "int64")), '"default_value": 2,')
  })

  it("that have no JSON form are Python's text", () => {
    assert.strictEqual(fieldsWith(NaN)[0]!.defaultValue, "nan")
    assert.strictEqual(fieldsWith(-Infinity)[0]!.defaultValue, "-inf")
  })

  it("lose nothing of wide integers", () => {
    const manifest = manifestWith(2n ** 63n - 1n, "int64")
    assert.strictEqual(manifest.methods[0]!.fields[0]!.defaultValue, 2n ** 63n - 1n)
    assert.deepStrictEqual(parse(encode(manifest)), manifest)
    assert.strictEqual(fieldsWith(7n, "int64")[0]!.defaultValue, 7)
  })

  it("of optional fields are null", () => {
    assert.deepStrictEqual(
      fieldsWith(0).map(({ defaultKind, defaultValue, required }) => [required, defaultKind, defaultValue]),
      [
        [false, "value", 0],
        [false, "value", null],
        [true, "none", null]
      ]
    )
  })
})

describe("parse", () => {
  it("gives every missing key its default", () => {
    assert.deepStrictEqual(parse("{}"), {
      v: 1,
      service: "",
      version: 1,
      contractId: "",
      canonicalEncoding: "fory-xlang/0.15",
      typeCount: 0,
      typeHashes: [],
      methodCount: 0,
      methods: [],
      serializationModes: [],
      scoped: "shared",
      deprecated: false,
      semver: null,
      vcsRevision: null,
      vcsTag: null,
      vcsUrl: null,
      changelog: null,
      publishedBy: "",
      publishedAtEpochMs: 0
    })
  })

  it("cuts long lists", () => {
    const hash = "ab".repeat(32)
    const field = { name: "f", kind: "int" }
    const manifest = parse(
      JSON.stringify({
        ...minimal,
        type_hashes: Array.from({ length: 100_001 }, () => hash),
        methods: [
          {
            name: "many",
            fields: Array.from({ length: 1_001 }, () => field),
            response_fields: Array.from({ length: 1_001 }, () => field)
          },
          ...Array.from({ length: 10_000 }, () => ({ name: "m" }))
        ]
      })
    )
    assert.deepStrictEqual(
      [
        manifest.typeHashes.length,
        manifest.methods.length,
        manifest.methods[0]!.fields.length,
        manifest.methods[0]!.responseFields.length
      ],
      [100_000, 10_000, 1_000, 1_000]
    )
  })

  it("takes modes as numbers, the older scope, numbers as text, and nulls", () => {
    const manifest = parse(
      JSON.stringify({
        ...minimal,
        v: null,
        version: "3",
        method_count: 2.9,
        scoped: "stream",
        serialization_modes: [3, 0, "row"],
        semver: "1.2.3",
        vcs_tag: null,
        published_at_epoch_ms: 1_700_000_000_000
      })
    )
    assert.deepStrictEqual(
      [manifest.v, manifest.version, manifest.methodCount, manifest.scoped, manifest.serializationModes],
      [1, 3, 2, "session", ["json", "xlang", "row"]]
    )
    assert.deepStrictEqual(
      [manifest.semver, manifest.vcsTag, manifest.publishedAtEpochMs],
      ["1.2.3", null, 1_700_000_000_000]
    )
  })

  it("brings fields of the older form up to date", () => {
    const legacy = [
      { name: "a", type: "str", required: true, default: null },
      { name: "b", type: "Int", required: false, default: 5 },
      { name: "c", type: "list[Task]", element_type: "Task", element_wire_tag: "t/Task" },
      { name: "d", type: "list" },
      { name: "e", type: "dict[str, int]", required: true },
      { name: "f", type: "Optional[str]" },
      { name: "g", type: "Task", wire_tag: "t/Task", required: true },
      { name: "h", type: "map" },
      {},
      { name: "i", type: "constructor", required: true }
    ]
    const [method] = parse(JSON.stringify({ ...minimal, methods: [{ name: "m", timeout: 0, fields: legacy }] })).methods
    const base = { nullable: false, required: false, defaultValue: null, properties: {} }
    assert.deepStrictEqual(method!.fields, [
      { ...base, name: "a", kind: "string", required: true, defaultKind: "none" },
      { ...base, name: "b", kind: "int", defaultValue: 5, defaultKind: "value" },
      {
        ...base,
        name: "c",
        kind: "list",
        defaultKind: "empty_list",
        itemKind: "ref",
        itemRef: "Task",
        itemWireTag: "t/Task",
        itemNullable: false
      },
      { ...base, name: "d", kind: "list", defaultKind: "empty_list", itemKind: "string", itemNullable: false },
      {
        ...base,
        name: "e",
        kind: "map",
        required: true,
        defaultKind: "none",
        keyKind: "string",
        valueKind: "string",
        valueNullable: false
      },
      { ...base, name: "f", kind: "string", nullable: true, defaultKind: "null" },
      { ...base, name: "g", kind: "ref", required: true, defaultKind: "none", refName: "Task", wireTag: "t/Task" },
      {
        ...base,
        name: "h",
        kind: "map",
        defaultKind: "empty_map",
        keyKind: "string",
        valueKind: "string",
        valueNullable: false
      },
      { ...base, name: "", kind: "string", defaultKind: "none" },
      { ...base, name: "i", kind: "ref", required: true, defaultKind: "none", refName: "constructor", wireTag: "" }
    ])
    assert.strictEqual(method!.timeout, 0)
  })

  it("refuses what is no manifest, naming the place", () => {
    const withField = (field: object) => ({ ...minimal, methods: [{ name: "m" }, { name: "n", fields: [field] }] })
    const refused: ReadonlyArray<readonly [unknown, string]> = [
      [null, ""],
      [[], ""],
      [{ ...minimal, producer_language: "" }, "producer_language"],
      [{ ...minimal, service: 1 }, "service"],
      [{ ...minimal, version: 1e300 }, "version"],
      [{ ...minimal, version: "1.5" }, "version"],
      [{ ...minimal, contract_id: "AB".repeat(32) }, "contract_id"],
      [{ ...minimal, type_hashes: ["ab".repeat(32), "../etc"] }, "type_hashes[1]"],
      [{ ...minimal, methods: {} }, "methods"],
      [{ ...minimal, methods: [{ pattern: "unary" }] }, "methods[0].name"],
      [{ ...minimal, methods: [{ name: "m", pattern: "UNARY" }] }, "methods[0].pattern"],
      [{ ...minimal, methods: [{ name: "m", timeout: "1" }] }, "methods[0].timeout"],
      [{ ...minimal, serialization_modes: [4] }, "serialization_modes[0]"],
      [{ ...minimal, deprecated: 0 }, "deprecated"],
      [{ ...minimal, scoped: "global" }, "scoped"],
      [withField({ name: "f", kind: "int8" }), "methods[1].fields[0].kind"],
      [withField({ name: "f", kind: "int", nullable: "no" }), "methods[1].fields[0].nullable"],
      [withField({ name: "f", kind: "list", item_kind: 1 }), "methods[1].fields[0].item_kind"],
      [withField({ name: "f", kind: "int", properties: [] }), "methods[1].fields[0].properties"]
    ]
    for (const [json, path] of refused) assert.strictEqual(refusal(() => parse(JSON.stringify(json))).path, path)
    for (const text of ["", "{", "nul", `{"service":"S"}x`, `{"a":${"[".repeat(200_000)}`]) refusal(() => parse(text))
    refusal(() => parse(new Uint8Array([0x7b, 0xff, 0x7d])))
    assert.match(refusal(() => parse(" ".repeat(16_777_217))).message, /at most/)
    assert.match(refusal(() => parse("é".repeat(8_388_609))).message, /at most/)
  })

  it("takes a key __proto__ for what it is: unknown at the top, data below", () => {
    assert.strictEqual(refusal(() => parse('{"__proto__":{"service":"S"}}')).path, "__proto__")
    const text = '{"methods":[{"name":"m","fields":[{"name":"f","kind":"string","properties":{"__proto__":{"x":1}}}]}]}'
    const { properties } = parse(text).methods[0]!.fields[0]!
    assert.deepStrictEqual(Object.keys(properties), ["__proto__"])
    assert.isUndefined(Reflect.get(properties, "x"))
    assert.include(encode(parse(text)), '"__proto__": {')
  })
})

describe("parseList", () => {
  it("takes one manifest or an array", () => {
    const text = JSON.stringify(minimal)
    assert.deepStrictEqual(parseList(text), [parse(text)])
    assert.deepStrictEqual(parseList(`[${text},${text}]`), [parse(text), parse(text)])
    assert.strictEqual(refusal(() => parseList(`[${text},1]`)).path, "[1]")
    assert.strictEqual(refusal(() => parseList(`[${text},{"version":[]}]`)).path, "[1].version")
  })
})
