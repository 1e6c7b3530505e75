import { TypeId } from "../proto/TypeId.ts"
import type { ScalarKind } from "../Type.ts"
import type { Writer } from "../Writer.ts"
import { invalid, outOfRange, tooDeep, tooLarge } from "./invalid.ts"
import { noParts } from "./parts.ts"
import type { Reader } from "./reader.ts"
import { writeString } from "./text.ts"
import type { ValueCodec, Write } from "./valueCodec.ts"

/** A type without parts. */
export interface ScalarCodec extends ValueCodec {
  /** Most bytes a value takes, where that is a small constant. */
  readonly size: number | undefined
  /** `write` for callers that made sure of `size` bytes themselves; the same as `write` where there is no `size`. */
  readonly writeEnsured: Write
}

type Read = (reader: Reader, depth: number) => unknown

const make = (label: string, typeId: number, writeEnsured: Write, read: Read, size?: number): ScalarCodec => {
  const write: Write =
    size === undefined
      ? writeEnsured
      : (writer, position, value, depth) => {
          writer.ensure(position, size)
          return writeEnsured(writer, position, value, depth)
        }
  return {
    typeId,
    label,
    named: undefined,
    size,
    writeEnsured,
    write,
    writeUndeclared: write,
    read,
    parts: noParts
  }
}

// --- integers

export const writeVaruint32 = (writer: Writer, position: number, value: number): number => {
  const { buffer } = writer
  for (; value > 127; value >>>= 7) buffer[position++] = (value & 127) | 128
  buffer[position] = value
  return position + 1
}

/** Zigzag of an integer from -2^31 to 2^31-1. */
const writeZigzag = (writer: Writer, position: number, value: number): number =>
  writeVaruint32(writer, position, ((value << 1) ^ (value >> 31)) >>> 0)

const isInt32 = (value: unknown): value is number => typeof value === "number" && (value | 0) === value

/** Unsigned varint of a safe integer. */
const writeVaruint53 = (writer: Writer, position: number, value: number): number => {
  if (value <= 0xffffffff) return writeVaruint32(writer, position, value)
  // Bitwise operators hold 32 bits, so the lowest four groups go first.
  const { buffer } = writer
  const low = value % 2 ** 28
  buffer[position] = low | 128
  buffer[position + 1] = (low >>> 7) | 128
  buffer[position + 2] = (low >>> 14) | 128
  buffer[position + 3] = (low >>> 21) | 128
  return writeVaruint32(writer, position + 4, Math.floor(value / 2 ** 28))
}

const writeVaruint64 = (writer: Writer, position: number, value: bigint): number => {
  if (value <= Number.MAX_SAFE_INTEGER) return writeVaruint53(writer, position, Number(value))
  const { buffer } = writer
  for (let i = 0; i < 8; i++) {
    const group = Number(value & 127n)
    value >>= 7n
    if (value === 0n) {
      buffer[position] = group
      return position + 1
    }
    buffer[position++] = group | 128
  }
  // The ninth byte carries the top eight bits whole.
  buffer[position] = Number(value)
  return position + 1
}

const writeInt: Write = (writer, position, value) => {
  if (isInt32(value)) return writeZigzag(writer, position, value)
  if (!Number.isSafeInteger(value)) return notInteger("a safe integer (use int64 and a bigint beyond 2^53-1)", value)
  // Zigzag doubles, which a number may not hold: write the lowest group, then the rest of it.
  const wide = value as number
  const half = wide < 0 ? -wide - 1 : wide
  writer.buffer[position] = (half % 64) * 2 + (wide < 0 ? 1 : 0) + 128
  return writeVaruint53(writer, position + 1, Math.floor(half / 64))
}

const writeInt64: Write = (writer, position, value) => {
  const wide = signed64(value)
  if (wide >= Number.MIN_SAFE_INTEGER && wide <= Number.MAX_SAFE_INTEGER)
    return writeInt(writer, position, Number(wide), 0)
  return writeVaruint64(writer, position, BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n)))
}

const notInteger = (expected: string, value: unknown): never =>
  typeof value === "number" ? outOfRange(expected, value) : invalid(expected, value)

const integer = (value: unknown, min: number, max: number): number =>
  Number.isInteger(value) && (value as number) >= min && (value as number) <= max
    ? (value as number)
    : notInteger(`an integer from ${min} to ${max}`, value)

const signed64 = (value: unknown): bigint => {
  if (typeof value !== "bigint") return invalid("a bigint", value)
  return BigInt.asIntN(64, value) === value ? value : outOfRange("a signed 64 bit integer", value)
}

const unsigned64 = (value: unknown): bigint => {
  if (typeof value !== "bigint") return invalid("a bigint", value)
  return BigInt.asUintN(64, value) === value ? value : outOfRange("an unsigned 64 bit integer", value)
}

const writeTagged = (writer: Writer, position: number, value: bigint, isShort: boolean): number => {
  if (isShort) {
    writer.view.setInt32(position, Number(value) * 2, true)
    return position + 4
  }
  writer.view.setUint8(position, 1)
  writer.view.setBigInt64(position + 1, value, true)
  return position + 9
}

const int8 = make(
  "int8",
  TypeId.int8,
  (writer, position, value) => {
    writer.view.setInt8(position, integer(value, -0x80, 0x7f))
    return position + 1
  },
  (reader) => (reader.uint8() << 24) >> 24,
  1
)

const int16 = make(
  "int16",
  TypeId.int16,
  (writer, position, value) => {
    writer.view.setInt16(position, integer(value, -0x8000, 0x7fff), true)
    return position + 2
  },
  (reader) => (reader.uint16() << 16) >> 16,
  2
)

const fixedInt32 = make(
  "fixedInt32",
  TypeId.fixedInt32,
  (writer, position, value) => {
    writer.view.setInt32(position, integer(value, -0x80000000, 0x7fffffff), true)
    return position + 4
  },
  (reader) => reader.int32(),
  4
)

const int32 = make(
  "int32",
  TypeId.int32,
  (writer, position, value) => writeZigzag(writer, position, integer(value, -0x80000000, 0x7fffffff)),
  (reader) => reader.varint32(),
  5
)

const fixedInt64 = make(
  "fixedInt64",
  TypeId.fixedInt64,
  (writer, position, value) => {
    writer.view.setBigInt64(position, signed64(value), true)
    return position + 8
  },
  (reader) => reader.scalar(8).getBigInt64(0, true),
  8
)

const int64 = make("int64", TypeId.int64, writeInt64, (reader) => reader.int64(), 9)

const int = make("int", TypeId.int64, writeInt, (reader) => reader.int(), 9)

const taggedInt64 = make(
  "taggedInt64",
  TypeId.taggedInt64,
  (writer, position, value) => {
    const checked = signed64(value)
    return writeTagged(writer, position, checked, checked >= -0x40000000n && checked <= 0x3fffffffn)
  },
  (reader) => reader.taggedInt64(),
  9
)

const uint8 = make(
  "uint8",
  TypeId.uint8,
  (writer, position, value) => {
    writer.view.setUint8(position, integer(value, 0, 0xff))
    return position + 1
  },
  (reader) => reader.uint8(),
  1
)

const uint16 = make(
  "uint16",
  TypeId.uint16,
  (writer, position, value) => {
    writer.view.setUint16(position, integer(value, 0, 0xffff), true)
    return position + 2
  },
  (reader) => reader.uint16(),
  2
)

const fixedUint32 = make(
  "fixedUint32",
  TypeId.fixedUint32,
  (writer, position, value) => {
    writer.view.setUint32(position, integer(value, 0, 0xffffffff), true)
    return position + 4
  },
  (reader) => reader.int32() >>> 0,
  4
)

const uint32 = make(
  "uint32",
  TypeId.uint32,
  (writer, position, value) => writeVaruint32(writer, position, integer(value, 0, 0xffffffff)),
  (reader) => reader.varuint32(),
  5
)

const fixedUint64 = make(
  "fixedUint64",
  TypeId.fixedUint64,
  (writer, position, value) => {
    writer.view.setBigUint64(position, unsigned64(value), true)
    return position + 8
  },
  (reader) => reader.scalar(8).getBigUint64(0, true),
  8
)

const uint64 = make(
  "uint64",
  TypeId.uint64,
  (writer, position, value) => writeVaruint64(writer, position, unsigned64(value)),
  (reader) => reader.uint64(),
  9
)

const taggedUint64 = make(
  "taggedUint64",
  TypeId.taggedUint64,
  (writer, position, value) => {
    const checked = unsigned64(value)
    return writeTagged(writer, position, checked, checked <= 0x7fffffffn)
  },
  (reader) => reader.taggedUint64(),
  9
)

// --- bool, floats, text

const bool = make(
  "bool",
  TypeId.bool,
  (writer, position, value) => {
    writer.buffer[position] = value === true ? 1 : value === false ? 0 : invalid("a boolean", value)
    return position + 1
  },
  (reader) => reader.uint8() !== 0,
  1
)

const float32 = make(
  "float32",
  TypeId.float32,
  (writer, position, value) => {
    if (typeof value !== "number") return invalid("a number", value)
    const rounded = Math.fround(value)
    if (!Number.isFinite(rounded) && Number.isFinite(value)) return outOfRange("a number of single precision", value)
    writer.view.setFloat32(position, rounded, true)
    return position + 4
  },
  (reader) => reader.scalar(4).getFloat32(0, true),
  4
)

const float64 = make(
  "float64",
  TypeId.float64,
  (writer, position, value) => {
    writer.view.setFloat64(position, typeof value === "number" ? value : invalid("a number", value), true)
    return position + 8
  },
  (reader) => reader.scalar(8).getFloat64(0, true),
  8
)

const string = make("string", TypeId.string, writeString, (reader) => reader.string())

// --- time

const checkWriteDepth = (writer: Writer, depth: number): void => {
  if (depth > writer.limits.maxDepth) tooDeep(writer.limits.maxDepth)
}

const checkReadDepth = (reader: Reader, depth: number): void => {
  if (depth > reader.limits.maxDepth) reader.tooDeep()
}

const millisecondsPerDay = 86_400_000
/** A `Date` holds this many milliseconds either side of the epoch. */
const maxDate = 8.64e15

const millisecondsOf = (value: unknown): number => {
  const milliseconds = value instanceof Date ? value.getTime() : invalid("a Date", value)
  return Number.isNaN(milliseconds) ? outOfRange("a valid Date", value) : milliseconds
}

const timestamp = make(
  "timestamp",
  TypeId.timestamp,
  (writer, position, value, depth) => {
    checkWriteDepth(writer, depth)
    const milliseconds = millisecondsOf(value)
    const seconds = Math.floor(milliseconds / 1000)
    writer.view.setUint32(position, seconds % 2 ** 32, true)
    writer.view.setInt32(position + 4, Math.floor(seconds / 2 ** 32), true)
    writer.view.setUint32(position + 8, (milliseconds - seconds * 1000) * 1_000_000, true)
    return position + 12
  },
  (reader, depth) => {
    checkReadDepth(reader, depth)
    const at = reader.position
    const low = reader.int32() >>> 0
    const seconds = reader.int32() * 2 ** 32 + low
    const milliseconds = seconds * 1000 + Math.round(readNanos(reader) / 1_000_000)
    if (Math.abs(milliseconds) > maxDate)
      reader.fail("OutOfRange", "The timestamp does not fit a Date: use timestampNanos", at)
    return new Date(milliseconds)
  },
  12
)

const readNanos = (reader: Reader): number => {
  const at = reader.position
  const nanos = reader.int32() >>> 0
  return nanos < 1_000_000_000 ? nanos : reader.fail("OutOfRange", `${nanos} nanoseconds are more than a second`, at)
}

const timestampNanos = make(
  "timestampNanos",
  TypeId.timestamp,
  (writer, position, value, depth) => {
    checkWriteDepth(writer, depth)
    if (typeof value !== "bigint") return invalid("a bigint", value)
    let seconds = value / 1_000_000_000n
    if (seconds * 1_000_000_000n > value) seconds--
    writer.view.setBigInt64(position, signed64(seconds), true)
    writer.view.setUint32(position + 8, Number(value - seconds * 1_000_000_000n), true)
    return position + 12
  },
  (reader, depth) => {
    checkReadDepth(reader, depth)
    const seconds = reader.scalar(8).getBigInt64(0, true)
    return seconds * 1_000_000_000n + BigInt(readNanos(reader))
  },
  12
)

const date = make(
  "date",
  TypeId.date,
  (writer, position, value, depth) => {
    checkWriteDepth(writer, depth)
    const days = millisecondsOf(value) / millisecondsPerDay
    if (!Number.isInteger(days)) return outOfRange("a Date at midnight UTC, as Date.UTC makes it", value)
    writer.view.setInt32(position, days, true)
    return position + 4
  },
  (reader, depth) => {
    checkReadDepth(reader, depth)
    const at = reader.position
    const milliseconds = reader.int32() * millisecondsPerDay
    if (Math.abs(milliseconds) > maxDate) reader.fail("OutOfRange", "The date does not fit a Date", at)
    return new Date(milliseconds)
  },
  4
)

// --- bytes and packed arrays

const writeBinary = (writer: Writer, position: number, bytes: Uint8Array, depth: number): number => {
  checkWriteDepth(writer, depth)
  const { maxBinarySize } = writer.limits
  if (bytes.length > maxBinarySize) tooLarge(bytes.length, "bytes", maxBinarySize)
  writer.ensure(position, 5 + bytes.length)
  const start = writeVaruint32(writer, position, bytes.length)
  writer.buffer.set(bytes, start)
  return start + bytes.length
}

const readBinary = (reader: Reader, depth: number): Uint8Array => {
  checkReadDepth(reader, depth)
  return reader.binary()
}

const bytes = make(
  "bytes",
  TypeId.bytes,
  (writer, position, value, depth) =>
    value instanceof Uint8Array ? writeBinary(writer, position, value, depth) : invalid("a Uint8Array", value),
  readBinary
)

const boolArray = make(
  "boolArray",
  TypeId.boolArray,
  (writer, position, value, depth) => {
    if (!Array.isArray(value)) return invalid("an array of booleans", value)
    const flags = Uint8Array.from(value, (flag) =>
      flag === true ? 1 : flag === false ? 0 : invalid("an array of booleans", flag)
    )
    return writeBinary(writer, position, flags, depth)
  },
  (reader, depth) => Array.from(readBinary(reader, depth), (byte) => byte !== 0)
)

interface TypedArrayConstructor {
  readonly name: string
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer): ArrayBufferView
}

// The elements are copied as they lie in memory, so this takes a little-endian machine, like every one Node ships for
// today but s390x.
const typedArray = (kind: ScalarKind, typeId: number, constructor: TypedArrayConstructor): ScalarCodec =>
  make(
    kind,
    typeId,
    (writer, position, value, depth) =>
      value instanceof constructor
        ? writeBinary(writer, position, new Uint8Array(value.buffer, value.byteOffset, value.byteLength), depth)
        : invalid(`a ${constructor.name}`, value),
    (reader, depth) => {
      const at = reader.position
      checkReadDepth(reader, depth)
      const copy = reader.binaryCopy()
      if (copy.length % constructor.BYTES_PER_ELEMENT !== 0)
        reader.fail("Malformed", `${copy.length} bytes are no whole number of elements`, at)
      return new constructor(copy.buffer)
    }
  )

/** Every kind without parameters. */
export const scalars: { readonly [K in ScalarKind]: ScalarCodec } = {
  bool,
  int8,
  int16,
  fixedInt32,
  int32,
  fixedInt64,
  int64,
  int,
  taggedInt64,
  uint8,
  uint16,
  fixedUint32,
  uint32,
  fixedUint64,
  uint64,
  taggedUint64,
  float32,
  float64,
  string,
  bytes,
  timestamp,
  timestampNanos,
  date,
  boolArray,
  int8Array: typedArray("int8Array", TypeId.int8Array, Int8Array),
  int16Array: typedArray("int16Array", TypeId.int16Array, Int16Array),
  int32Array: typedArray("int32Array", TypeId.int32Array, Int32Array),
  int64Array: typedArray("int64Array", TypeId.int64Array, BigInt64Array),
  uint8Array: typedArray("uint8Array", TypeId.uint8Array, Uint8Array),
  uint16Array: typedArray("uint16Array", TypeId.uint16Array, Uint16Array),
  uint32Array: typedArray("uint32Array", TypeId.uint32Array, Uint32Array),
  uint64Array: typedArray("uint64Array", TypeId.uint64Array, BigUint64Array),
  float32Array: typedArray("float32Array", TypeId.float32Array, Float32Array),
  float64Array: typedArray("float64Array", TypeId.float64Array, Float64Array)
}
