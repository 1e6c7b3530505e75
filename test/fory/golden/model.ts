import { Fory, type Limits, Type } from "@aster-effect/fory"

/** Types and values as JSON, as golden/model.py describes them, and their JavaScript counterparts. */

export type DescribedType =
  | string
  | { readonly list: DescribedType }
  | { readonly set: DescribedType }
  | { readonly map: readonly [DescribedType, DescribedType] }
  | { readonly optional: DescribedType }

export type Declaration =
  | { readonly struct: ReadonlyArray<readonly [string, DescribedType]> }
  | { readonly enum: ReadonlyArray<string | number> }

export type Declarations = { readonly [tag: string]: Declaration }

export type DescribedValue =
  | null
  | boolean
  | string
  | { readonly int: string }
  | { readonly float: string }
  | { readonly bytes: string }
  | { readonly list: ReadonlyArray<DescribedValue> }
  | { readonly set: ReadonlyArray<DescribedValue> }
  | { readonly map: ReadonlyArray<readonly [DescribedValue, DescribedValue]> }
  | { readonly struct: readonly [string, { readonly [field: string]: DescribedValue }] }
  | { readonly enum: readonly [string, number] }
  | { readonly timestamp: string }
  | { readonly date: number }
  | { readonly array: readonly [string, string] }

export interface Case {
  readonly name: string
  readonly types: Declarations
  readonly root: string
  readonly hashes: { readonly [tag: string]: number }
  readonly vectors: ReadonlyArray<{ readonly value: DescribedValue; readonly hex: string }>
}

const scalarTypes = Type as unknown as { readonly [kind: string]: Type.Type }

const bigintKinds = new Set(["int64", "fixedInt64", "taggedInt64", "uint64", "fixedUint64", "taggedUint64"])

const arrayConstructors: { readonly [kind: string]: new (buffer: ArrayBuffer) => unknown } = {
  int8Array: Int8Array,
  int16Array: Int16Array,
  int32Array: Int32Array,
  int64Array: BigInt64Array,
  uint8Array: Uint8Array,
  uint16Array: Uint16Array,
  uint32Array: Uint32Array,
  uint64Array: BigUint64Array,
  float32Array: Float32Array,
  float64Array: Float64Array
}

export const fromHex = (hex: string): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(hex.length / 2)
  bytes.set(Buffer.from(hex, "hex"))
  return bytes
}

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const doubleOf = (hex: string): number => new DataView(fromHex(hex).buffer).getFloat64(0)

/** The types of one case. */
export class World {
  readonly named = new Map<string, Type.Type>()
  readonly declarations: Declarations

  constructor(declarations: Declarations) {
    this.declarations = declarations
    for (const [tag, declaration] of Object.entries(declarations)) {
      const at = tag.lastIndexOf("/")
      const name = { namespace: tag.slice(0, Math.max(at, 0)), name: tag.slice(at + 1) }
      this.named.set(
        tag,
        "enum" in declaration
          ? Type.enumeration({ ...name, values: declaration.enum })
          : Type.struct({
              ...name,
              fields: () => Object.fromEntries(declaration.struct.map(([field, type]) => [field, this.type(type)]))
            })
      )
    }
  }

  /** The codec of `root`, with every type of the case registered. */
  codec(root: DescribedType, limits: Partial<Limits> = {}): Fory.Codec<unknown, unknown> {
    const registry = Fory.make({ types: [...this.named.values()], limits })
    return registry.codec(this.type(root)) as Fory.Codec<unknown, unknown>
  }

  type(described: DescribedType): Type.Type {
    if (typeof described === "string") return this.named.get(described) ?? scalarTypes[described]!
    if ("optional" in described) return Type.optional(this.type(described.optional))
    if ("list" in described) return Type.list(this.type(described.list))
    if ("set" in described) return Type.set(this.type(described.set))
    return Type.map(this.type(described.map[0]), this.type(described.map[1]))
  }

  /**
   * The JavaScript value: as it comes out of the decoder, or, with `typed`, as the encoder takes it, where values in
   * untyped places that do not show their type are wrapped.
   */
  value(value: DescribedValue, type: DescribedType, typed: boolean): unknown {
    if (typeof type === "object" && "optional" in type)
      return value === null ? null : this.value(value, type.optional, typed)
    if (type === "any") return this.untyped(value, typed)
    if (value === null || typeof value !== "object") return value
    if ("int" in value) return bigintKinds.has(type as string) ? BigInt(value.int) : Number(value.int)
    if ("timestamp" in value)
      return type === "timestampNanos" ? BigInt(value.timestamp) : new Date(Math.round(Number(value.timestamp) / 1e6))
    if ("list" in value)
      return value.list.map((element) => this.value(element, (type as { list: DescribedType }).list, typed))
    if ("set" in value)
      return new Set(value.set.map((element) => this.value(element, (type as { set: DescribedType }).set, typed)))
    if ("map" in value) {
      const [keyType, valueType] = (type as { map: readonly [DescribedType, DescribedType] }).map
      return new Map(value.map.map(([k, v]) => [this.value(k, keyType, typed), this.value(v, valueType, typed)]))
    }
    if ("struct" in value) return this.#struct(value.struct[0], value.struct[1], typed)
    return this.#simple(value)
  }

  untyped(value: DescribedValue, typed: boolean): unknown {
    if (value === null || typeof value !== "object") return value
    const wrap = (type: Type.Type, inner: unknown): unknown => (typed ? Type.typed(type, inner as never) : inner)
    if ("int" in value) {
      const integer = BigInt(value.int)
      return BigInt.asIntN(54, integer) === integer && integer !== -(2n ** 53n) ? Number(integer) : integer
    }
    if ("timestamp" in value) return new Date(Number(value.timestamp) / 1e6)
    if ("date" in value) return wrap(Type.date, this.#simple(value))
    if ("list" in value) return value.list.map((element) => this.untyped(element, typed))
    if ("set" in value) return new Set(value.set.map((element) => this.untyped(element, typed)))
    if ("map" in value) return new Map(value.map.map(([k, v]) => [this.untyped(k, typed), this.untyped(v, typed)]))
    if ("struct" in value)
      return wrap(this.named.get(value.struct[0])!, this.#struct(value.struct[0], value.struct[1], typed))
    if ("enum" in value) return wrap(this.named.get(value.enum[0])!, this.#simple(value))
    if ("array" in value && value.array[0] === "uint8Array") return wrap(Type.uint8Array, this.#simple(value))
    return this.#simple(value)
  }

  #struct(tag: string, fields: { readonly [field: string]: DescribedValue }, typed: boolean): unknown {
    const declaration = this.declarations[tag] as { readonly struct: ReadonlyArray<readonly [string, DescribedType]> }
    return Object.fromEntries(
      declaration.struct.map(([field, type]) => [field, this.value(fields[field]!, type, typed)])
    )
  }

  #simple(value: Exclude<DescribedValue, null | boolean | string>): unknown {
    if ("float" in value) return doubleOf(value.float)
    if ("bytes" in value) return fromHex(value.bytes)
    if ("date" in value) return new Date(value.date * 86_400_000)
    if ("enum" in value) {
      const [tag, ordinal] = value.enum
      return (this.declarations[tag] as { readonly enum: ReadonlyArray<string | number> }).enum[ordinal]
    }
    if ("array" in value) return new arrayConstructors[value.array[0]]!(fromHex(value.array[1]).buffer)
    throw new Error(`No scalar: ${JSON.stringify(value)}`)
  }
}
