import { ContractError } from "@aster-effect/core/contract/ContractError"
import {
  canonicalBytes,
  contractId,
  hash,
  type StructureName,
  typeHash
} from "@aster-effect/core/contract/ContractIdentity"
import { assert, describe, it } from "@effect/vitest"
import { Random } from "../Random.ts"
import { hex, reference, unhex } from "./Reference.ts"
import { identity } from "./Vectors.ts"

const refusal = (run: () => unknown): ContractError => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, ContractError)
    assert.strictEqual(error._tag, "ContractError")
    return error
  }
  return assert.fail("was not refused")
}

describe("vectors", () => {
  for (const vector of identity.cases) {
    it(`${vector.id}: ${vector.title}`, () => {
      // A negative zero only shows in the text.
      const forms = vector.id === "md-timeout-negzero" ? [vector.input_json] : [vector.input, vector.input_json]
      for (const json of forms) {
        assert.strictEqual(hex(canonicalBytes(vector.type, json)), vector.canonical_hex)
        if (vector.contract_id !== undefined) assert.strictEqual(contractId(json), vector.contract_id)
        if (vector.type_hash !== undefined && vector.type === "TypeDef") {
          assert.strictEqual(typeHash(json), vector.type_hash)
        }
      }
    })
  }

  for (const vector of identity.hash_cases) {
    it(vector.id, () => assert.strictEqual(hash(unhex(vector.data_hex)), vector.blake3_hex))
  }

  /** What only the text shows. */
  const textual = new Set(["rj-version-float", "rj-duplicate-key"])

  for (const vector of identity.rejects) {
    it(`refuses ${vector.id}`, () => {
      refusal(() => canonicalBytes(vector.type, vector.input_json))
      if (!textual.has(vector.id)) refusal(() => canonicalBytes(vector.type, JSON.parse(vector.input_json)))
    })
  }

  it("reproduces contracts and types of the services from their JSON", () => {
    for (const { expected } of identity.services) {
      assert.strictEqual(hex(canonicalBytes("ServiceContract", expected.contract)), expected.canonical_hex)
      assert.strictEqual(contractId(expected.contract), expected.contract_id)
      for (const type of expected.typedefs) {
        assert.strictEqual(hex(canonicalBytes("TypeDef", type.input)), type.canonical_hex, type.fqn)
        assert.strictEqual(typeHash(type.input), type.type_hash)
      }
    }
  })
})

describe("against the reference's native code", () => {
  const random = new Random(317)

  /** Latin, decomposed and composed accents, astral and private-use characters, whose orders differ. */
  const alphabet = [
    "a",
    "b",
    "Z",
    "_",
    "9",
    "é",
    "e\u0301",
    "ß",
    "Å",
    "\u212b",
    "名",
    "ﬀ",
    "\ue000",
    "\uffee",
    "😀",
    "𝒳",
    "𝕏",
    "\u0000",
    '"',
    "\\",
    "\u2028"
  ]
  const text = (): string => random.list(random.chance(0.05) ? 60 : 6, () => random.pick(alphabet)).join("")

  const hexText = (): string =>
    random.chance(0.9)
      ? hex(Uint8Array.from({ length: 32 }, () => random.below(256)))
      : random.pick(["", "AB", "abc", "0x12", "zz", "aBcD", "ff ff", "é", "00".repeat(200)])

  const int32 = (): number =>
    random.pick([0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2 ** 31 - 1, -(2 ** 31), random.below(2 ** 32) - 2 ** 31])

  const seconds = (): number =>
    random.pick([
      () => 0,
      () => random.below(1_000),
      () => random.below(1_000_000) / 1_000,
      () => random.next() * 10 ** random.below(12),
      () => random.next() * 10 ** -random.below(12),
      () => random.double(),
      () => -random.next(),
      () => 2 ** 53 + 2 * random.below(1_000),
      () => random.next() * 10 ** (15 + random.below(8))
    ])()

  const capability = (): unknown => ({
    kind: random.pick(["role", "any_of", "all_of"]),
    roles: random.list(5, text)
  })

  const requires = (): object =>
    random.pick([() => ({}), () => ({ requires: null }), () => ({ requires: capability() })])()

  const methodDef = (): object => ({
    name: text(),
    pattern: random.pick(["unary", "server_stream", "client_stream", "bidi_stream"]),
    request_type: hexText(),
    response_type: hexText(),
    idempotent: random.chance(0.5),
    default_timeout: seconds(),
    ...requires()
  })

  const fieldDef = (): object => ({
    id: int32(),
    name: text(),
    type_kind: random.pick(["primitive", "ref", "self_ref", "any"]),
    type_primitive: text(),
    type_ref: hexText(),
    self_ref_name: text(),
    optional: random.chance(0.5),
    ref_tracked: random.chance(0.5),
    container: random.pick(["none", "list", "set", "map"]),
    container_key_kind: random.pick(["primitive", "ref", "self_ref", "any"]),
    container_key_primitive: text(),
    container_key_ref: hexText()
  })

  const some = (members: object): object => (random.chance(0.8) ? members : {})

  const structures: Record<StructureName, () => object> = {
    MethodDef: methodDef,
    TypeDef: () => ({
      kind: random.pick(["message", "enum", "union"]),
      package: text(),
      name: text(),
      ...some({ fields: random.list(6, fieldDef) }),
      ...some({ enum_values: random.list(4, () => ({ name: text(), value: int32() })) }),
      ...some({ union_variants: random.list(4, () => ({ name: text(), id: int32(), type_ref: hexText() })) })
    }),
    ServiceContract: () => ({
      name: text(),
      version: int32(),
      ...some({ methods: random.list(8, methodDef) }),
      ...some({ serialization_modes: random.list(4, text) }),
      ...some({ scoped: random.pick(["shared", "session", "stream"]) }),
      ...requires(),
      ...(random.chance(0.2) ? { unknown: [{}, 1.5, null] } : {})
    })
  }

  for (const type of ["ServiceContract", "TypeDef", "MethodDef"] as const) {
    it(`gives the same bytes for 1,500 random ${type}s`, () => {
      for (let run = 0; run < 1_500; run++) {
        const json = JSON.stringify(structures[type]())
        const expected = hex(reference.canonicalBytesFromJson(type, json))
        assert.strictEqual(hex(canonicalBytes(type, json)), expected, json)
        if (type === "ServiceContract") assert.strictEqual(contractId(json), reference.computeContractIdFromJson(json))
      }
    })

    it(`gives the same bytes for parsed ${type}s`, () => {
      for (let run = 0; run < 500; run++) {
        const json = structures[type]()
        // Python and JavaScript spell some numbers differently; this is the range where they agree.
        const text = JSON.stringify(json, (key, value) =>
          key === "default_timeout" && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e16) ? 0 : value
        )
        const expected = hex(reference.canonicalBytesFromJson(type, text))
        assert.strictEqual(hex(canonicalBytes(type, JSON.parse(text))), expected, text)
      }
    })
  }

  it("reads decimal text to the same double, or refuses it as well", () => {
    const digits = (most: number): string => random.list(most, () => String(random.below(10))).join("")
    const number = (): string => {
      const whole = random.chance(0.3) ? "0" : `${1 + random.below(9)}${digits(random.pick([3, 18, 25]))}`
      const fraction = random.chance(0.6) ? `.${digits(random.pick([3, 18, 25]))}${random.below(10)}` : ""
      const exponent = random.chance(0.5)
        ? `${random.pick(["e", "E"])}${random.pick(["", "+", "-"])}${random.below(random.pick([5, 30, 340, 1_000_000]))}`
        : ""
      return `${random.chance(0.3) ? "-" : ""}${whole}${fraction}${exponent}`
    }
    const odd = [
      "-0",
      "-0.0",
      "0e99999999999",
      "1e99999999999",
      "1e-99999999999",
      "18446744073709551616.5",
      "01",
      "1.",
      ".5",
      "+1",
      "1e",
      "-",
      "NaN",
      "1e400"
    ]
    let refused = 0
    for (const text of [...odd, ...Array.from({ length: 5_000 }, number)]) {
      const json = `{"name":"m","pattern":"unary","request_type":"","response_type":"","idempotent":false,"default_timeout":${text}}`
      let expected: string | undefined
      try {
        expected = hex(reference.canonicalBytesFromJson("MethodDef", json))
      } catch {
        refused++
      }
      if (expected === undefined) refusal(() => canonicalBytes("MethodDef", json))
      else assert.strictEqual(hex(canonicalBytes("MethodDef", json)), expected, text)
    }
    assert.isAbove(refused, 300)
  })

  it("refuses every single-character damage that the reference refuses", () => {
    const source = JSON.stringify({
      ...structures.ServiceContract(),
      name: "Tiny",
      version: 12,
      methods: [{ ...methodDef(), name: "m", default_timeout: 1.25 }],
      serialization_modes: ["xlang"],
      scoped: "shared",
      requires: { kind: "role", roles: ["a"] }
    })
    let refused = 0
    for (let position = 0; position < source.length; position++) {
      for (const insert of ["", " ", "\t", ",", '"', "0", "-", "{", "]", "\\", "\u0001", "x"]) {
        const damaged = source.slice(0, position) + insert + source.slice(position + 1)
        let expected: string | undefined
        try {
          expected = hex(reference.canonicalBytesFromJson("ServiceContract", damaged))
        } catch {
          refused++
        }
        if (expected === undefined) refusal(() => canonicalBytes("ServiceContract", damaged))
        else assert.strictEqual(hex(canonicalBytes("ServiceContract", damaged)), expected, damaged)
      }
    }
    assert.isAbove(refused, 1_000)
  })
})

describe("numbers of a parsed timeout", () => {
  /** As Python would have spelled them for the reference. */
  const spelled: ReadonlyArray<readonly [number, string]> = [
    [1e-5, "1e-05"],
    [0.00012345678901234567, "0.00012345678901234567"],
    [1.2345678901234566e-7, "1.2345678901234566e-07"],
    [123_456_789_012_345_680_000, "1.2345678901234568e+20"],
    [1e16, "1e+16"],
    [9_007_199_254_740_994, "9007199254740994.0"],
    [1.7976931348623157e308, "1.7976931348623157e+308"],
    [-0, "-0.0"]
  ]
  it("take Python's way", () => {
    const json = { name: "m", pattern: "unary", request_type: "", response_type: "", idempotent: false }
    for (const [value, text] of spelled) {
      const expected = `${JSON.stringify(json).slice(0, -1)},"default_timeout":${text}}`
      assert.strictEqual(
        hex(canonicalBytes("MethodDef", { ...json, default_timeout: value })),
        hex(reference.canonicalBytesFromJson("MethodDef", expected)),
        text
      )
    }
  })
})

describe("errors", () => {
  it("name the place", () => {
    const method = {
      name: "m",
      pattern: "unary",
      request_type: "",
      response_type: "",
      idempotent: false,
      default_timeout: 0
    }
    const paths: ReadonlyArray<readonly [StructureName, unknown, string]> = [
      ["ServiceContract", null, ""],
      ["ServiceContract", [], ""],
      ["ServiceContract", "[", ""],
      ["ServiceContract", { name: "a", version: 1.5 }, "version"],
      ["ServiceContract", { name: "a", version: 2 ** 31 }, "version"],
      [
        "ServiceContract",
        { name: "a", version: 1, methods: [method, { ...method, pattern: "UNARY" }] },
        "methods[1].pattern"
      ],
      [
        "ServiceContract",
        { name: "a", version: 1, methods: [{ ...method, default_timeout: NaN }] },
        "methods[0].default_timeout"
      ],
      ["ServiceContract", { name: "a", version: 1, requires: { kind: "role", roles: [1] } }, "requires.roles[0]"],
      ["ServiceContract", { name: "\ud800", version: 1 }, "name"],
      ["ServiceContract", Object.create({ name: "inherited", version: 1 }), "name"],
      ["TypeDef", { kind: "message", package: "p", name: "n", fields: [{ id: 1 }] }, "fields[0].name"],
      [
        "TypeDef",
        '{"kind":"message","package":"p","name":"n","enum_values":[{"name":"a","name":"b","value":1}]}',
        "enum_values[0].name"
      ]
    ]
    for (const [type, json, path] of paths) assert.strictEqual(refusal(() => canonicalBytes(type, json)).path, path)
  })

  it("bound the depth of text", () => {
    const deep = `{"name":"a","version":1,"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`
    assert.match(refusal(() => contractId(deep)).message, /nest at most/)
    const long = `{"name":${JSON.stringify("\\".repeat(1_000_000))},"version":1}`
    assert.strictEqual(contractId(long), reference.computeContractIdFromJson(long))
  })
})
