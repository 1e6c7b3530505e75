import { TypeId } from "../proto/TypeId.ts"
import * as Type from "../Type.ts"
import { invalid } from "./invalid.ts"
import { noParts } from "./parts.ts"
import { scalars } from "./scalars.ts"
import { acceptNull, noneCodec, readTypeInfo, writeTypeInfo, type TypeDirectory } from "./typeInfo.ts"
import type { Untyped, ValueCodec, Write } from "./valueCodec.ts"

/** What `any` needs to know of its registry. */
export interface DynamicTypes {
  readonly codecOf: (type: Type.Type) => ValueCodec
  readonly byPrototype: (prototype: object) => ValueCodec | undefined
  readonly byName: (namespace: string, name: string) => ValueCodec | undefined
  /** The codec of maps as plain objects where all keys are strings; absent where every map is a `Map`. */
  readonly plainMap: (() => ValueCodec) | undefined
}

/** Untyped values of one registry. */
export interface Dynamic {
  readonly any: ValueCodec
  readonly anyRecord: ValueCodec
  readonly anyList: ValueCodec
  /** How the types that a message names are read. */
  readonly directory: TypeDirectory
}

const list = Type.list(Type.any)
const set = Type.set(Type.any)
const map = Type.map(Type.any, Type.any)
const record = Type.record(Type.any)

const writeInteger: Write = (writer, position, value, depth) =>
  (typeof value === "bigint" ? scalars.int64 : scalars.int).write(writer, position, value, depth)

/** A 64 bit integer of either JavaScript type; read as a number where that loses nothing. */
const integer: ValueCodec = {
  ...scalars.int64,
  label: "an integer",
  write: writeInteger,
  writeUndeclared: writeInteger,
  read: (reader, depth) => {
    const value = scalars.int64.read(reader, depth) as bigint
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
  }
}

const byConstructor = new Map<unknown, ValueCodec>([
  [Date, scalars.timestamp],
  [Int8Array, scalars.int8Array],
  [Int16Array, scalars.int16Array],
  [Int32Array, scalars.int32Array],
  [BigInt64Array, scalars.int64Array],
  [Uint16Array, scalars.uint16Array],
  [Uint32Array, scalars.uint32Array],
  [BigUint64Array, scalars.uint64Array],
  [Float32Array, scalars.float32Array],
  [Float64Array, scalars.float64Array]
])

// Where several kinds share a type id, the later one is read.
const readable = new Map(
  [...Object.values(scalars), scalars.timestamp, integer, noneCodec].map((codec) => [codec.typeId, codec] as const)
)
const collections = new Map<number, Type.Type>([
  [TypeId.list, list],
  [TypeId.set, set],
  [TypeId.map, map]
])

/** Builds the codecs of untyped places for one registry. */
export const makeDynamic = (types: DynamicTypes): Dynamic => {
  const codecOf = (value: unknown): ValueCodec => {
    switch (typeof value) {
      case "boolean":
        return scalars.bool
      case "number":
        return Number.isSafeInteger(value) && !Object.is(value, -0) ? integer : scalars.float64
      case "bigint":
        return integer
      case "string":
        return scalars.string
      case "object":
        return value === null ? noneCodec : codecOfObject(value)
      case "undefined":
        return noneCodec
      default:
        return invalid("a value with a wire form", value)
    }
  }

  const codecOfObject = (value: object): ValueCodec => {
    if (Array.isArray(value)) return types.codecOf(list)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) return types.codecOf(record)
    if (value instanceof Type.TypedValue) return typedCodec(value)
    const registered = types.byPrototype(prototype as object)
    if (registered !== undefined) return registered
    if (value instanceof Uint8Array) return scalars.bytes
    if (value instanceof Map) return types.codecOf(map)
    if (value instanceof Set) return types.codecOf(set)
    return (
      byConstructor.get((value as { readonly constructor?: unknown }).constructor) ??
      invalid("an instance of a registered struct", value)
    )
  }

  // One codec per type, so that elements of one type count as such.
  const typedCodecs = new WeakMap<ValueCodec, ValueCodec>()
  const typedCodec = ({ type }: Type.TypedValue): ValueCodec => {
    const codec = types.codecOf(type)
    let unwrapping = typedCodecs.get(codec)
    if (unwrapping === undefined) {
      const write: Write = (writer, position, value, depth) =>
        codec.writeUndeclared(writer, position, (value as Type.TypedValue).value, depth)
      unwrapping = {
        ...codec,
        write,
        writeUndeclared: write,
        parts: (value) => codec.parts((value as Type.TypedValue).value)
      }
      typedCodecs.set(codec, unwrapping)
    }
    return unwrapping
  }

  let plainMap: ValueCodec | undefined
  const directory: TypeDirectory = {
    byId: (typeId) => {
      if (typeId === TypeId.map && types.plainMap !== undefined) return (plainMap ??= types.plainMap())
      const collection = collections.get(typeId)
      return collection === undefined ? readable.get(typeId) : types.codecOf(collection)
    },
    byName: types.byName
  }

  const untypedCodec = (label: string, untyped: Untyped): ValueCodec => {
    const write: Write = (writer, position, value, depth) => {
      const codec = untyped.codecOf(value)
      return codec.writeUndeclared(writer, writeTypeInfo(writer, position, codec), value, depth)
    }
    const self: ValueCodec = {
      typeId: 0,
      label,
      named: undefined,
      untyped,
      write,
      writeUndeclared: write,
      read: (reader, depth) => {
        const at = reader.position
        const codec = readTypeInfo(reader, self, directory)
        return codec === noneCodec
          ? acceptNull(reader, { codec: self, nullable: false }, at)
          : codec.read(reader, depth)
      },
      parts: (value) => {
        try {
          return untyped.codecOf(value).parts(value)
        } catch {
          return noParts()
        }
      }
    }
    return self
  }

  const isPlain = (value: unknown): boolean => {
    if (typeof value !== "object" || value === null) return false
    const prototype: unknown = Object.getPrototypeOf(value)
    return prototype === Object.prototype || prototype === null
  }

  return {
    any: untypedCodec("any value", { nullable: true, codecOf, narrow: (codec) => codec }),
    anyRecord: untypedCodec("a map with string keys", {
      nullable: false,
      codecOf: (value) => (isPlain(value) ? types.codecOf(record) : invalid("an object", value)),
      narrow: (codec) => (codec.typeId === TypeId.map ? types.codecOf(record) : undefined)
    }),
    anyList: untypedCodec("a list", {
      nullable: false,
      codecOf: (value) => (Array.isArray(value) ? types.codecOf(list) : invalid("an array", value)),
      narrow: (codec) => (codec.typeId === TypeId.list ? codec : undefined)
    }),
    directory
  }
}
