import { fromDescription } from "@aster-effect/core/contract/Contract"
import { ContractError } from "@aster-effect/core/contract/ContractError"
import type { FieldDefJson } from "@aster-effect/core/contract/ContractIdentity"
import type {
  Field,
  MethodDescription,
  ServiceDescription,
  StructType,
  WireType
} from "@aster-effect/core/message/WireType"
import { assert, describe, it } from "@effect/vitest"
import { describeService } from "./Descriptions.ts"
import { hex } from "./Reference.ts"
import { identity, pythonServices, type ServiceVector } from "./Vectors.ts"

const contractOf = (vector: ServiceVector) =>
  fromDescription(describeService(vector), { postponedAnnotations: vector.annotations === "pep563" })

const check = (vector: ServiceVector): void => {
  const { expected } = vector
  const contract = contractOf(vector)
  assert.deepStrictEqual(
    contract.types.map((type) => ({ fqn: type.name, type_hash: type.hash })),
    expected.typedefs.map(({ fqn, type_hash }) => ({ fqn, type_hash }))
  )
  for (const [index, { canonical_hex, input }] of expected.typedefs.entries()) {
    if (canonical_hex !== undefined) assert.strictEqual(hex(contract.types[index]!.canonical), canonical_hex)
    if (input !== undefined) assert.deepStrictEqual(contract.types[index]!.def, input)
  }
  if (expected.contract !== undefined) assert.deepStrictEqual(contract.contract, expected.contract)
  assert.strictEqual(hex(contract.canonicalBytes), expected.canonical_hex)
  assert.strictEqual(contract.contractId, expected.contract_id)
}

describe("vectors", () => {
  for (const vector of identity.services) {
    if (vector.id !== "svc-annotation-edges") it(`${vector.id}: ${vector.title}`, () => check(vector))
  }

  it("svc-annotation-edges: all fields but the one of type None", () => {
    const vector = identity.services.find(({ id }) => id === "svc-annotation-edges")!
    const description = describeService(vector, { null: { _tag: "Any" } })
    const { types } = fromDescription(description)
    assert.deepStrictEqual(types[0]!.def, vector.expected.typedefs[0]!.input)
    const withoutNone = (fields: ReadonlyArray<FieldDefJson>) => fields.filter(({ name }) => name !== "nul")
    const expected = vector.expected.typedefs[1]!.input!
    assert.lengthOf(withoutNone(expected.fields), 15)
    assert.deepStrictEqual(withoutNone(types[1]!.def.fields), withoutNone(expected.fields))
  })
})

describe("services declared in Python", () => {
  it("have the same types, bytes and ids", () => {
    assert.isAbove(pythonServices.length, 30)
    for (const vector of pythonServices) check(vector)
  })
})

const string: WireType = { _tag: "Scalar", scalar: "string" }
const int: WireType = { _tag: "Scalar", scalar: "int" }

const struct = (qualifiedName: string, fields: () => ReadonlyArray<Field>): StructType => ({
  _tag: "Struct",
  name: { tag: undefined, namespace: qualifiedName[0]!, name: qualifiedName.slice(2), qualifiedName },
  fields,
  prototype: undefined
})

const method = (request: WireType, more?: Partial<MethodDescription>): MethodDescription => ({
  name: "go",
  pattern: "unary",
  request,
  response: string,
  timeoutSeconds: 0,
  idempotent: false,
  ...more
})

const service = (
  methods: ReadonlyArray<MethodDescription>,
  more?: Partial<ServiceDescription>
): ServiceDescription => ({
  name: "Svc",
  version: 1,
  scope: "shared",
  serializationModes: ["xlang"],
  methods,
  ...more
})

const nested = (depth: number): WireType => {
  let type: WireType = string
  for (let level = 0; level < depth; level++) type = { _tag: "List", element: type }
  return type
}

describe("large graphs", () => {
  it("a chain of 20,000 classes", () => {
    const chain: Array<StructType> = []
    for (let i = 0; i < 20_000; i++) {
      const name = `m.T${String(i).padStart(5, "0")}`
      chain.push(struct(name, () => (i === 0 ? [] : [{ name: "next", type: chain[i - 1]! }])))
    }
    const { types } = fromDescription(service([method(chain.at(-1)!)]))
    assert.lengthOf(types, 20_000)
    assert.strictEqual(types[0]!.name, "m.T00000")
    assert.strictEqual(types.at(-1)!.def.fields[0]!.type_ref, types.at(-2)!.hash)
  })

  it("a cycle of 20,000 classes", () => {
    const ring: Array<StructType> = []
    for (let i = 0; i < 20_000; i++) {
      const name = `m.T${String(i).padStart(5, "0")}`
      ring.push(struct(name, () => [{ name: "next", type: ring[(i + 1) % 20_000]! }]))
    }
    const { types } = fromDescription(service([method(ring[7]!)]))
    assert.deepStrictEqual(
      [types[0]!.name, types[0]!.def.fields[0]!.type_ref, types.at(-1)!.def.fields[0]!.self_ref_name],
      ["m.T00000", "0".repeat(64), "m.T00000"]
    )
  })

  it("a class whose fields are made anew every time", () => {
    const make = (): StructType => struct("m.Again", () => [{ name: "self", type: { _tag: "Optional", of: make() } }])
    const { types } = fromDescription(service([method(make())]))
    assert.lengthOf(types, 1)
    assert.strictEqual(types[0]!.def.fields[0]!.self_ref_name, "m.Again")
  })

  it("a map of maps of maps, each used as key and as value", () => {
    let type: WireType = struct("m.Deep", () => [])
    for (let level = 0; level < 60; level++) type = { _tag: "Map", form: "map", key: type, value: type }
    const { types } = fromDescription(service([method(struct("m.Top", () => [{ name: "maps", type }]))]))
    assert.deepStrictEqual(
      types.map((type) => type.name),
      ["m.Deep", "m.Top"]
    )
  })
})

describe("what is not part of the id", () => {
  const idOf = (fields: ReadonlyArray<Field>) =>
    fromDescription(service([method(struct("m.A", () => fields))])).contractId

  it("defaults, members of enums, widths, elements of elements", () => {
    const color = (members: ReadonlyArray<string>): WireType => ({
      _tag: "Enum",
      name: { tag: undefined, namespace: "m", name: "Color", qualifiedName: "m.Color" },
      members: members.map((name) => ({ name, value: name }))
    })
    const pairs: ReadonlyArray<readonly [Field, Field]> = [
      [
        { name: "a", type: int },
        { name: "a", type: int, defaultValue: { value: 3 } }
      ],
      [
        { name: "a", type: color(["RED"]) },
        { name: "a", type: color(["RED", "BLUE"]) }
      ],
      [
        { name: "a", type: { _tag: "Scalar", scalar: "int8" } },
        { name: "a", type: { _tag: "Scalar", scalar: "timestamp" } }
      ],
      [
        { name: "a", type: int },
        { name: "a", type: { _tag: "Scalar", scalar: "int64" } }
      ],
      [
        { name: "a", type: nested(2) },
        { name: "a", type: nested(3) }
      ]
    ]
    for (const [one, other] of pairs) assert.strictEqual(idOf([one]), idOf([other]))
  })

  it("but order, names and nullability are", () => {
    const a: Field = { name: "a", type: int }
    const b: Field = { name: "b", type: string }
    const ids = [
      [a, b],
      [b, a],
      [a],
      [{ name: "A", type: int }],
      [{ name: "a", type: { _tag: "Optional", of: int } as WireType }],
      []
    ]
    assert.strictEqual(new Set(ids.map(idOf)).size, ids.length)
  })
})

describe("order of methods", () => {
  it("is that of their composed names", () => {
    const names = ["f", "e\u0301", "\u{20000}", "\ufa0e", "Z"]
    const { contract } = fromDescription(service(names.map((name) => method(string, { name }))))
    assert.deepStrictEqual(
      contract.methods.map(({ name }) => name),
      ["Z", "f", "e\u0301", "\ufa0e", "\u{20000}"]
    )
  })
})

describe("nested optionals", () => {
  it("are one", () => {
    const of: WireType = { _tag: "Optional", of: { _tag: "Optional", of: { _tag: "Set", element: int } } }
    const { types } = fromDescription(service([method(struct("m.A", () => [{ name: "a", type: of }]))]))
    const { container, optional, type_kind, type_primitive } = types[0]!.def.fields[0]!
    assert.deepStrictEqual(
      { container, optional, type_kind, type_primitive },
      {
        container: "set",
        optional: true,
        type_kind: "primitive",
        type_primitive: "int64"
      }
    )
  })
})

describe("postponed annotations", () => {
  it("find a response by its whole simple name, in publication order", () => {
    const fields = () => [{ name: "a", type: int }]
    const [longer, out, later] = [struct("m.AOut", fields), struct("m.Out", fields), struct("n.Out", fields)]
    const message = struct("m.In", () => [longer, later, out].map((type, index) => ({ name: `f${index}`, type })))
    const hashes = (response: WireType) => {
      const description = service([method(message, { response })])
      const { contract, types } = fromDescription(description, { postponedAnnotations: true })
      const found = types.find((type) => type.hash === contract.methods[0]!.response_type)
      return found?.name ?? contract.methods[0]!.response_type
    }
    assert.strictEqual(hashes(out), "m.Out")
    // The text of the annotation does not tell the two apart.
    assert.strictEqual(hashes(later), "m.Out")
    assert.strictEqual(hashes(struct("x.Absent", fields)), "0".repeat(64))
    assert.strictEqual(hashes(string), "0".repeat(64))
  })
})

describe("a list as message", () => {
  it("publishes the class of its elements, though the id does not depend on it", () => {
    const message: WireType = { _tag: "List", element: struct("m.A", () => [{ name: "a", type: int }]) }
    const contract = fromDescription(service([method(message)]))
    assert.deepStrictEqual(
      contract.types.map((type) => type.name),
      ["m.A"]
    )
    assert.strictEqual(contract.contract.methods[0]!.request_type, "0".repeat(64))
  })
})

describe("errors", () => {
  const refusal = (description: ServiceDescription): ContractError => {
    try {
      fromDescription(description)
    } catch (error) {
      assert.instanceOf(error, ContractError)
      return error
    }
    return assert.fail("was not refused")
  }
  const a = (fields: ReadonlyArray<Field>) => service([method(struct("m.A", () => fields))])

  it("name the class and field, or the method", () => {
    const refused: ReadonlyArray<readonly [ServiceDescription, string]> = [
      [a([{ name: "deep", type: nested(65) }]), "m.A.deep"],
      [a([{ name: "", type: int }]), "m.A."],
      [a([{ name: "\ud800", type: int }]), "m.A.\ud800"],
      [
        a([
          { name: "x", type: int },
          { name: "x", type: string }
        ]),
        "m.A.x"
      ],
      [service([method(struct("m.\ud800", () => []))]), "m.\ud800"],
      [service([method(nested(65))]), "Svc.go request"],
      [service([method(string, { response: nested(65) })]), "Svc.go response"],
      [service([method(string), method(int)]), "Svc.go"],
      [service([method(string, { name: "" })]), "Svc."],
      [service([method(string, { timeoutSeconds: Infinity })]), "Svc.go"],
      [service([method(string, { timeoutSeconds: -1 })]), "Svc.go"],
      [service([], { version: 2 ** 31 }), "version"],
      [service([], { name: "\udc00" }), "name"]
    ]
    for (const [description, path] of refused) assert.strictEqual(refusal(description).path, path)
    const atLimit = a([{ name: "deep", type: nested(64) }])
    assert.lengthOf(fromDescription(atLimit).types, 1)
  })

  it("two classes of one qualified name", () => {
    const one = struct("m.B", () => [{ name: "b", type: int }])
    const same = struct("m.B", () => [{ name: "b", type: int }])
    const other = struct("m.B", () => [{ name: "b", type: string }])
    const using = (second: StructType) =>
      a([
        { name: "one", type: one },
        { name: "two", type: { _tag: "List", element: second } }
      ])
    assert.lengthOf(fromDescription(using(same)).types, 2)
    assert.strictEqual(refusal(using(other)).path, "m.B")
  })

  it("fields that cannot be looked up keep their cause", () => {
    const cause = new ReferenceError("later")
    const error = refusal(
      service([
        method(
          struct("m.A", () => {
            throw cause
          })
        )
      ])
    )
    assert.strictEqual(error.path, "m.A")
    assert.strictEqual(error.cause, cause)
  })
})
