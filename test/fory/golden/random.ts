import type { Random } from "../../Random.ts"
import type { Declarations, DescribedType, DescribedValue } from "./model.ts"

/** Random types and values in described form, from a seed: for round trips here and for pyfory to check. */

const integerBits: { readonly [kind: string]: readonly [signed: boolean, bits: number] } = {
  int8: [true, 8],
  int16: [true, 16],
  int32: [true, 32],
  fixedInt32: [true, 32],
  int: [true, 54],
  int64: [true, 64],
  fixedInt64: [true, 64],
  taggedInt64: [true, 64],
  uint8: [false, 8],
  uint16: [false, 16],
  uint32: [false, 32],
  fixedUint32: [false, 32],
  // pyfory 0.16.0 cannot encode the top half as elements of collections.
  uint64: [false, 63],
  fixedUint64: [false, 63],
  taggedUint64: [false, 63]
}

const elementSizes: { readonly [kind: string]: number } = {
  int8Array: 1,
  int16Array: 2,
  int32Array: 4,
  int64Array: 8,
  uint8Array: 1,
  uint16Array: 2,
  uint32Array: 4,
  uint64Array: 8,
  float32Array: 4,
  float64Array: 8
}

const keyKinds = ["string", "string", "int", "int32", "uint16", "bool", "bytes", "date"]
const otherKinds = ["bool", "float32", "float64", "string", "bytes", "timestamp", "timestampNanos", "date"]
const scalarKinds = [
  ...Object.keys(integerBits),
  ...Object.keys(elementSizes),
  ...otherKinds,
  "string",
  "string",
  "int"
]
const alphabets = ["abcdefghijklmnopqrstuvwxyz", "ABCxyz019_", "éÿÀ ", "日本Āф", "😀𐐀a", "\u0000\u007f\u0080\ufffd"]

/** One random set of named types with a root among them. */
export class RandomCase {
  readonly types: Declarations
  readonly root: string
  readonly #random: Random
  readonly #enums: ReadonlyArray<string>
  readonly #leaves: ReadonlyArray<string>

  constructor(random: Random) {
    this.#random = random
    const types: { [tag: string]: Declarations[string] } = {}
    this.#enums = random.list(2, (index) => this.#tag(`E${index}`))
    for (const tag of this.#enums)
      types[tag] = { enum: Array.from({ length: 1 + random.below(200) }, (_, n) => `v${n}`) }
    this.#leaves = random.list(2, (index) => this.#tag(`L${index}`))
    for (const tag of this.#leaves) types[tag] = { struct: this.#fields(() => random.pick(["int", "string", "bool"])) }
    const structs = [...this.#leaves]
    for (let index = random.below(3); index >= 0; index--) {
      const tag = this.#tag(`S${index}`)
      types[tag] = { struct: this.#fields(() => this.#fieldType(structs, tag)) }
      structs.push(tag)
    }
    this.types = types
    this.root = structs.at(-1)!
  }

  #tag(suffix: string): string {
    const namespace = this.#random.pick([
      "",
      "t/",
      "_aster/",
      "a.b.c/",
      "My.NS1/",
      "x/y z/",
      "quite.a.long.namespace.of.a.service/"
    ])
    return namespace + this.#random.pick(["", "x", "Foo", "fooBar", "HTTPServerRequestEnvelope", "日"]) + suffix
  }

  #fields(type: () => DescribedType): ReadonlyArray<readonly [string, DescribedType]> {
    const names = this.#random.list(
      8,
      (index) => this.#random.pick(["a", "b_c", "camelCase", "Z", "_x", "ключ"]) + index
    )
    return names.map((name) => [name, type()] as const)
  }

  #fieldType(structs: ReadonlyArray<string>, self: string): DescribedType {
    // A struct may hold itself only where there may be none.
    if (this.#random.chance(0.1)) return this.#random.pick<DescribedType>([{ optional: self }, { list: self }])
    return this.#type(structs, 2)
  }

  #type(structs: ReadonlyArray<string>, depth: number): DescribedType {
    const random = this.#random
    const roll = random.next()
    if (depth > 0 && roll < 0.15) return { list: this.#type(structs, depth - 1) }
    if (depth > 0 && roll < 0.2) return { set: this.#keyType() }
    if (depth > 0 && roll < 0.3) return { map: [this.#keyType(), this.#type(structs, depth - 1)] }
    if (roll < 0.4) {
      const inner = this.#type(structs, depth)
      return typeof inner === "object" && "optional" in inner ? inner : { optional: inner }
    }
    if (roll < 0.5 && structs.length > 0) return random.pick(structs)
    if (roll < 0.55 && this.#enums.length > 0) return random.pick(this.#enums)
    if (roll < 0.62) return "any"
    return random.pick(scalarKinds)
  }

  #keyType(): DescribedType {
    const keys = [...keyKinds, ...this.#enums]
    const type = this.#random.pick(keys)
    return this.#random.chance(0.1) ? { optional: type } : type
  }

  /** A random value of the root. */
  value(): DescribedValue {
    return this.#value(this.root, 3)
  }

  #value(type: DescribedType, depth: number): DescribedValue {
    const random = this.#random
    if (typeof type === "object") {
      const size = depth > 0 ? random.pick([0, 1, 3, 6]) : 0
      if ("optional" in type) return depth <= 0 || random.chance(0.4) ? null : this.#value(type.optional, depth)
      if ("list" in type) return { list: random.list(size, () => this.#value(type.list, depth - 1)) }
      if ("set" in type) return { set: this.#distinct(random.list(size, () => this.#value(type.set, depth - 1))) }
      const keys = this.#distinct(random.list(random.chance(0.02) ? 600 : size, () => this.#value(type.map[0], 1)))
      return { map: keys.map((key) => [key, this.#value(type.map[1], depth - 1)] as const) }
    }
    const declaration = this.types[type]
    if (declaration !== undefined) {
      if ("enum" in declaration) return { enum: [type, random.below(declaration.enum.length)] }
      return {
        struct: [
          type,
          Object.fromEntries(declaration.struct.map(([name, field]) => [name, this.#value(field, depth - 1)]))
        ]
      }
    }
    return type === "any" ? this.#untyped(depth) : this.#scalar(type)
  }

  #untyped(depth: number): DescribedValue {
    const random = this.#random
    const roll = depth > 0 ? random.next() : 1
    const size = random.pick([0, 1, 3, 6])
    if (roll < 0.1) return { list: random.list(size, () => this.#untyped(depth - 1)) }
    if (roll < 0.15)
      return { set: this.#distinct(random.list(size, () => this.#scalar(random.pick(["int", "string"])))) }
    if (roll < 0.25) {
      const keys = this.#distinct(random.list(size, () => this.#scalar(random.pick(["int", "string"]))))
      return { map: keys.map((key) => [key, this.#untyped(depth - 1)] as const) }
    }
    if (roll < 0.35 && this.#leaves.length > 0) return this.#value(random.pick(this.#leaves), 1)
    if (roll < 0.4 && this.#enums.length > 0) return this.#value(random.pick(this.#enums), 1)
    const kind = random.pick(["bool", "int", "int64", "string", "bytes", "timestamp", "date", "float", "null"])
    if (kind === "null") return null
    return kind === "float" ? float(random.pick([0.5, -1.25e-7, 1e300, NaN, Infinity, -0])) : this.#scalar(kind)
  }

  #distinct(values: ReadonlyArray<DescribedValue>): Array<DescribedValue> {
    return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()]
  }

  #scalar(kind: string): DescribedValue {
    const random = this.#random
    const integer = integerBits[kind]
    if (integer !== undefined) {
      const [signed, bits] = integer
      // Every magnitude is as likely as any other.
      const magnitude = BigInt(Math.floor(random.next() * 2 ** 53)) * BigInt(Math.floor(random.next() * 2 ** 53))
      const value = BigInt.asUintN(random.below(signed ? bits : bits + 1), magnitude)
      return { int: String(signed && random.chance(0.5) ? -value : value) }
    }
    const size = elementSizes[kind]
    if (size !== undefined) {
      // Of floats only those that are no NaN, which has many forms.
      const bytes = random.list(4, () => (kind.startsWith("float") ? "00".repeat(size - 1) + "3f" : this.#hex(size)))
      return { array: [kind, bytes.join("")] }
    }
    switch (kind) {
      case "bool":
        return random.chance(0.5)
      case "float32":
        return float(Math.fround((random.next() - 0.5) * 10 ** random.below(30)))
      case "float64":
        return float(random.pick([0, -0, NaN, -Infinity, (random.next() - 0.5) * 10 ** random.below(300)]))
      case "string": {
        const alphabet = Array.from(random.chance(0.6) ? alphabets[0]! : random.pick(alphabets))
        const other = Array.from(random.chance(0.9) ? alphabet.join("") : random.pick(alphabets))
        return random
          .list(random.pick([0, 5, 12, 20, 40, 150]), () => random.pick(random.chance(0.9) ? alphabet : other))
          .join("")
      }
      case "bytes":
        return { bytes: this.#hex(random.below(random.pick([1, 40]))) }
      case "date":
        return { date: random.below(100_000) - 50_000 }
      default:
        return { timestamp: String(BigInt(random.below(2 ** 34) - 2 ** 33) * 1_000_000_000n) }
    }
  }

  #hex(length: number): string {
    return Array.from({ length }, () => this.#random.below(256).toString(16).padStart(2, "0")).join("")
  }
}

const float = (value: number): DescribedValue => {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  return { float: view.getBigUint64(0).toString(16).padStart(16, "0") }
}
