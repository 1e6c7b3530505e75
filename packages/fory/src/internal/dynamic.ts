import { TypeId } from "../proto/TypeId.ts"
import { TypedValue, type Type } from "../Type.ts"
import { writeEntries, type EntrySide, readChunk } from "./entries.ts"
import { readElements, writeUndeclaredElements } from "./elements.ts"
import { invalid } from "./invalid.ts"
import type { Reader } from "./reader.ts"
import { scalars } from "./scalars.ts"
import { noneCodec, readAnyTypeInfo, writeTypeInfo, type TypeDirectory } from "./typeInfo.ts"
import { keySegment, type Part, type Slot, type ValueCodec, type Write } from "./valueCodec.ts"

/** What `any` needs to know of its registry. */
export interface DynamicTypes {
  readonly codecOf: (type: Type) => ValueCodec
  readonly byPrototype: (prototype: object) => ValueCodec | undefined
  readonly byName: (namespace: string, name: string) => ValueCodec | undefined
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

/** A 64 bit integer of either JavaScript type; read as a number where that loses nothing. */
const integer: ValueCodec = {
  ...scalars.int64,
  label: "an integer",
  write: (writer, position, value, depth) => writeInteger(writer, position, value, depth),
  writeUndeclared: (writer, position, value, depth) => writeInteger(writer, position, value, depth),
  read: (reader, depth) => {
    const value = scalars.int64.read(reader, depth) as bigint
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
  }
}

const writeInteger: Write = (writer, position, value, depth) =>
  (typeof value === "bigint" ? scalars.int64 : scalars.int).write(writer, position, value, depth)

/** Untyped values of one registry. */
export interface Dynamic {
  readonly any: ValueCodec
  readonly codecOf: (value: unknown) => ValueCodec
  readonly directory: TypeDirectory
}

/** Builds the codec of `Type.any` for one registry. */
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
    if (Array.isArray(value)) return list
    if (value instanceof TypedValue) return typedCodec(value)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) return record
    const registered = types.byPrototype(prototype as object)
    if (registered !== undefined) return registered
    if (value instanceof Uint8Array) return scalars.bytes
    if (value instanceof Map) return map
    if (value instanceof Set) return set
    return (
      byConstructor.get((value as { readonly constructor?: unknown }).constructor) ??
      invalid("an instance of a registered struct", value)
    )
  }

  // One codec per type, so that elements of one type count as such.
  const typedCodecs = new Map<ValueCodec, ValueCodec>()
  const typedCodec = ({ type }: TypedValue): ValueCodec => {
    const codec = types.codecOf(type)
    let unwrapping = typedCodecs.get(codec)
    if (unwrapping === undefined) {
      const write: Write = (writer, position, value, depth) =>
        codec.writeUndeclared(writer, position, (value as TypedValue).value, depth)
      const parts = (value: unknown): Iterable<Part> => codec.parts((value as TypedValue).value)
      unwrapping = { ...codec, write, writeUndeclared: write, parts }
      typedCodecs.set(codec, unwrapping)
    }
    return unwrapping
  }

  const writeAny: Write = (writer, position, value, depth) => {
    const codec = codecOf(value)
    return codec.writeUndeclared(writer, writeTypeInfo(writer, position, codec), value, depth)
  }

  const any: ValueCodec = {
    typeId: 0,
    label: "any value",
    named: undefined,
    write: writeAny,
    writeUndeclared: writeAny,
    read: (reader, depth) => readAnyTypeInfo(reader, directory).read(reader, depth),
    parts: (value) => codecOf(value).parts(value)
  }
  const slot: Slot = { codec: any, nullable: true }
  const side: EntrySide = { declared: undefined, nullable: true, codecOf }

  const collection = (
    label: string,
    typeId: number,
    write: Write,
    read: (reader: Reader, depth: number) => unknown,
    parts: (value: unknown) => Iterable<Part>
  ): ValueCodec => ({ typeId, label, named: undefined, write, writeUndeclared: write, read, parts })

  const elementParts = (value: unknown): Iterable<Part> =>
    Array.from(value as Iterable<unknown>, (element, index) => ({ segment: `[${index}]`, value: element, slot }))

  const readList = (reader: Reader, depth: number): Array<unknown> => {
    if (depth > reader.limits.maxDepth) reader.tooDeep()
    const count = reader.count()
    return count === 0 ? [] : readElements(reader, reader.uint8(), count, depth, slot, directory)
  }

  const list = collection(
    "a list",
    TypeId.list,
    (writer, position, value, depth) =>
      writeUndeclaredElements(writer, position, value as ReadonlyArray<unknown>, depth, side),
    readList,
    elementParts
  )

  const set = collection(
    "a set",
    TypeId.set,
    (writer, position, value, depth) =>
      writeUndeclaredElements(writer, position, Array.from(value as Set<unknown>), depth, side),
    (reader, depth) => new Set(readList(reader, depth)),
    elementParts
  )

  const map = collection(
    "a map",
    TypeId.map,
    (writer, position, value, depth) =>
      writeEntries(writer, position, Array.from(value as Map<unknown, unknown>), depth, side, side),
    (reader, depth) => {
      if (depth + 1 > reader.limits.maxDepth) reader.tooDeep()
      const entries = new Map<unknown, unknown>()
      const put = (key: unknown, value: unknown): void => void entries.set(key, value)
      for (let left = reader.count(); left > 0;)
        left -= readChunk(reader, reader.uint8(), left, depth, slot, slot, directory, put)
      return entries
    },
    (value) =>
      Array.from(value as Map<unknown, unknown>).flatMap(([key, entry]) => [
        { segment: "{key}", value: key, slot },
        { segment: keySegment(key), value: entry, slot }
      ])
  )

  const record = collection(
    "a plain object",
    TypeId.map,
    (writer, position, value, depth) =>
      writeEntries(writer, position, Object.entries(value as object), depth, side, side),
    map.read,
    (value) => Object.entries(value as object).map(([key, entry]) => ({ segment: keySegment(key), value: entry, slot }))
  )

  const byId = new Map<number, ValueCodec>([
    ...Object.values(scalars).map((codec) => [codec.typeId, codec] as const),
    ...[integer, scalars.timestamp, list, set, map, noneCodec].map((codec) => [codec.typeId, codec] as const)
  ])

  const directory: TypeDirectory = { byId: (typeId) => byId.get(typeId), byName: types.byName }

  return { any, codecOf, directory }
}
