/**
 * Registries of types, and the codecs that they compile.
 *
 * @since 0.1.0
 */
import { ForyError } from "./ForyError.ts"
import { Compiler } from "./internal/compile.ts"
import { compilePlainMap } from "./internal/map.ts"
import { makeDynamic } from "./internal/dynamic.ts"
import { withPath } from "./internal/errorPath.ts"
import { Reader } from "./internal/reader.ts"
import type { StructCodec } from "./internal/struct.ts"
import { expectTypeInfo, writeTypeInfo } from "./internal/typeInfo.ts"
import { isNull, type ValueCodec } from "./internal/valueCodec.ts"
import { makeLimits, type Limits } from "./Limits.ts"
import type { Input, Struct, Type, Value } from "./Type.ts"
import { Writer } from "./Writer.ts"

/**
 * Apache Fory XLANG as pyfory 0.16.0 speaks it with `xlang=True` and nothing else: types registered by name, no
 * reference tracking, schema-consistent structs.
 *
 * ```ts
 * import { Fory, Type } from "@aster-effect/fory"
 *
 * const Hello = Type.struct({ namespace: "hello", name: "HelloRequest", fields: { name: Type.string } })
 * const hello = Fory.make({ types: [Hello] }).codec(Hello)
 * hello.decode(hello.encode({ name: "World" })) // { name: "World" }
 * ```
 *
 * Bytes are those of pyfory except where a JavaScript value says less than a Python one: pyfory starts a new map chunk
 * when the Python class of a value changes (`1` and `1.0` in a map of floats), orders sets by hash, and loses a
 * microsecond of many timestamps.
 *
 * Codecs are generated code (`new Function`), so this cannot run where code generation from strings is forbidden.
 */

/** Writes and reads messages whose root is one type. */
export interface Codec<out V, in I> {
  /**
   * The message for `value`. Up to 4 KiB it is a view of memory that other messages lie in too, like a Node `Buffer`.
   * Throws ForyError.
   */
  readonly encode: (value: I) => Uint8Array<ArrayBuffer>
  /** Appends the message for `value` to `writer`. Throws ForyError and then leaves the writer's position as it was. */
  readonly write: (writer: Writer, value: I) => void
  /** The value of the message that fills `bytes` from `start` to `end` exactly. Throws ForyError. */
  readonly decode: (bytes: Uint8Array, start?: number, end?: number) => V
}

/** Types known by name, and the codecs that know them. */
export interface Registry {
  /** The codec of `type`, compiled when first asked for. */
  readonly codec: <T extends Type>(type: T) => Codec<Value<T>, Input<T>>
  /** Schema hash of a struct: what must agree between peers. */
  readonly schemaHash: (type: Struct) => number
}

/** What `make` takes. */
export interface ForyOptions {
  /** Structs and enums that may arrive in untyped places, and everything they mention. */
  readonly types?: ReadonlyArray<Type> | undefined
  readonly limits?: Partial<Limits> | undefined
  /**
   * Null in a struct field that is not optional, which pyfory writes for None, is an error when decoding. Default
   * false: it is read as null.
   */
  readonly strictNulls?: boolean | undefined
  /**
   * In an untyped place, maps whose keys are all strings are decoded to plain objects, as the encoder takes them there.
   * Default false: every map is a `Map`.
   */
  readonly plainMaps?: boolean | undefined
  /**
   * Decoded byte strings may be views, as Node's buffers are: short ones of memory that they share, long ones of what they
   * were decoded from, if they are most of it. Nobody may write to that afterwards. Default false: each has memory of its
   * own.
   */
  readonly views?: boolean | undefined
}

/** Makes a registry. Throws ForyError `InvalidDefinition` for two types of one name. */
export const make = (options: ForyOptions = {}): Registry => {
  const limits = makeLimits(options.limits ?? {})
  const named = new Map<string, Map<string, Type>>()
  const prototypes = new Map<object, Type>()

  const byName = (namespace: string, name: string): ValueCodec | undefined => {
    const type = named.get(namespace)?.get(name)
    return type && compiler.codec(type)
  }
  const byPrototype = (prototype: object): ValueCodec | undefined => {
    const type = prototypes.get(prototype)
    return type && compiler.codec(type)
  }
  const dynamic = makeDynamic({
    codecOf: (type) => compiler.codec(type),
    byName,
    byPrototype,
    plainMap: options.plainMaps === true ? () => compilePlainMap(compiler) : undefined
  })
  const compiler = new Compiler(limits, dynamic, options.strictNulls ?? false)

  for (const type of reachable(options.types ?? [])) {
    if (type.kind !== "struct" && type.kind !== "enumeration") continue
    const names = named.get(type.namespace) ?? new Map<string, Type>()
    if (names.has(type.name))
      throw new ForyError("InvalidDefinition", `Two types are named ${type.namespace}/${type.name}`)
    named.set(type.namespace, names.set(type.name, type))
    if (type.kind !== "struct" || type.prototype === undefined) continue
    if (prototypes.has(type.prototype))
      throw new ForyError("InvalidDefinition", `${type.name} shares its prototype with another struct`)
    prototypes.set(type.prototype, type)
  }

  const codecs = new WeakMap<Type, Codec<unknown, unknown>>()
  return {
    codec: <T extends Type>(type: T) => {
      let codec = codecs.get(type)
      if (codec === undefined) {
        codec = makeCodec(compiler, type, options.views ?? false)
        codecs.set(type, codec)
      }
      return codec as Codec<Value<T>, Input<T>>
    },
    schemaHash: (type) => (compiler.codec(type) as StructCodec).schemaHash
  }
}

const reachable = (roots: ReadonlyArray<Type>): ReadonlySet<Type> => {
  const found = new Set(roots)
  // A set iterates over what is added on the way.
  for (const type of found) for (const part of partsOf(type)) found.add(part)
  return found
}

const partsOf = (type: Type): ReadonlyArray<Type> => {
  switch (type.kind) {
    case "optional":
      return [type.of]
    case "list":
    case "set":
      return [type.element]
    case "map":
      return [type.key, type.value]
    case "record":
      return [type.value]
    case "struct":
      return Object.values(type.fields())
    default:
      return []
  }
}

/** Small messages share pieces of memory of this size, which saves an allocation for each, as Node's buffers do. */
const slabSize = 8192
/** Messages longer than this get memory of their own. */
const longestShared = slabSize / 2
/** A writer for long messages is not kept when one made it grow beyond this. */
const largestKept = 2 ** 20

// Each is taken away while in use: a getter in a value may encode something itself.
let slab: Writer | undefined
let scratch: Writer | undefined

const takeWriter = (long: boolean): Writer => {
  const writer = (long ? scratch : slab) ?? new Writer(slabSize)
  if (long) scratch = undefined
  else slab = undefined
  return writer
}

/** Cuts the message from `start` on out of the writer and keeps the writer for the next one. */
const takeMessage = (writer: Writer, start: number): Uint8Array<ArrayBuffer> => {
  const { buffer, position } = writer
  const size = position - start
  if (buffer.length === slabSize && size <= longestShared) {
    if (position < slabSize) slab = writer
    return new Uint8Array(buffer.buffer, start, size)
  }
  const message = new Uint8Array(buffer.subarray(start, position))
  writer.reset()
  if (buffer.length <= largestKept) scratch = writer
  return message
}

const makeCodec = (compiler: Compiler, type: Type, views: boolean): Codec<unknown, unknown> => {
  const { codec, nullable } = compiler.slot(type)
  const { limits } = compiler
  const { named } = codec
  const untyped = codec.typeId === 0
  const acceptsNull = nullable || codec.untyped?.nullable === true

  const writeRoot = (writer: Writer, start: number, value: unknown): number => {
    const prefix = named?.rootPrefix
    writer.limits = limits
    writer.names.begin(named)
    writer.ensure(start, 2 + (prefix?.length ?? 0))
    const { buffer } = writer
    let position = start
    if (isNull(value) && acceptsNull) {
      buffer[position++] = 0x03
      buffer[position++] = 0xfd
      return position
    }
    if (prefix !== undefined) {
      for (let i = 0; i < prefix.length; i++) buffer[position++] = prefix[i]!
    } else {
      buffer[position++] = 0x02
      buffer[position++] = 0xff
      if (!untyped) position = writeTypeInfo(writer, position, codec)
    }
    return codec.writeUndeclared(writer, position, value, 2)
  }

  const write = (writer: Writer, value: unknown): void => {
    try {
      writer.position = writeRoot(writer, writer.position, value)
    } catch (error) {
      throw error instanceof ForyError ? withPath(error, named?.name ?? "value", codec, value, limits) : error
    }
  }

  let long = false
  const encode = (value: unknown): Uint8Array<ArrayBuffer> => {
    const writer = takeWriter(long)
    const start = writer.position
    write(writer, value)
    long = writer.position - start > longestShared
    return takeMessage(writer, start)
  }

  const readRoot = (reader: Reader): unknown => {
    if (named !== undefined && reader.skipRoot(named)) return codec.read(reader, 2)
    const bitmap = reader.uint8()
    if (bitmap === 0x03) {
      // pyfory writes a null flag behind the bitmap and does not read it.
      if (reader.position < reader.end && reader.present()) reader.fail("Malformed", "A value follows the null bit")
      if (acceptsNull) return null
      return reader.fail("UnexpectedNull", `Null where ${codec.label} is expected`, reader.position)
    }
    if (bitmap !== 0x02)
      reader.fail("Malformed", `A message starting with 0x${bitmap.toString(16)} is not XLANG`, reader.position - 1)
    const flag = reader.uint8()
    if (flag !== 0xff && flag !== 0x00)
      reader.fail("Malformed", `Root flag 0x${flag.toString(16)} is not a value`, reader.position - 1)
    if (!untyped) expectTypeInfo(reader, codec)
    return codec.read(reader, 2)
  }

  const decode = (bytes: Uint8Array, start = 0, end = bytes.length): unknown => {
    if (!(start >= 0 && start <= end && end <= bytes.length))
      throw new ForyError("OutOfRange", `Bytes ${start} to ${end} are not within an array of ${bytes.length}`)
    const reader = new Reader(bytes, start, end, limits, views)
    const value = readRoot(reader)
    if (reader.position !== end) reader.fail("Trailing", `${end - reader.position} bytes follow the value`)
    return value
  }

  return { encode, write, decode }
}
