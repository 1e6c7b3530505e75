import type { Writer } from "../Writer.ts"
import { invalid, tooDeep } from "./invalid.ts"
import { writeCount, writeFlag, type UndeclaredSlot } from "./elements.ts"
import type { Reader } from "./reader.ts"
import { acceptNull, noneCodec, readTypeInfo, writeTypeInfo, type TypeDirectory } from "./typeInfo.ts"
import { isNull, type Slot, type ValueCodec } from "./valueCodec.ts"

/**
 * Entries of maps beyond the common case of declared types without nulls, which the compiler generates code for
 * (Fory XLANG §11).
 */

/** Bits of the header byte of a chunk. */
export const EntriesHeader = {
  tracksKeys: 0x01,
  nullKey: 0x02,
  keyDeclared: 0x04,
  tracksValues: 0x08,
  nullValue: 0x10,
  valueDeclared: 0x20
} as const

const known = 0x3f
export const maxChunk = 255

/** Header of a chunk of declared types without nulls. */
export const declaredChunk = EntriesHeader.keyDeclared | EntriesHeader.valueDeclared

/** How keys or values are written: as their declared type, or with a type found per value. */
export interface EntrySide extends UndeclaredSlot {
  readonly declared: ValueCodec | undefined
}

const sideCodec = (side: EntrySide, value: unknown): ValueCodec => side.declared ?? side.codecOf(value)

const writeSide = (
  writer: Writer,
  position: number,
  side: EntrySide,
  codec: ValueCodec,
  value: unknown,
  depth: number
) =>
  side.declared === undefined
    ? codec.writeUndeclared(writer, position, value, depth)
    : codec.write(writer, position, value, depth)

/** Writes a map: chunks of entries of the same key and value codecs; entries with a null stand alone. */
export const writeEntries = (
  writer: Writer,
  start: number,
  entries: ReadonlyArray<readonly [unknown, unknown]>,
  depth: number,
  keys: EntrySide,
  values: EntrySide
): number => {
  const { maxDepth } = writer.limits
  // pyfory opens a level for the entries, and for many kinds of keys and values one more.
  if (depth + (entries.length > 0 ? 2 : 1) > maxDepth) tooDeep(maxDepth)
  let position = writeCount(writer, start, entries.length)
  let keyCodec: ValueCodec | undefined
  let valueCodec: ValueCodec | undefined
  let sizeAt = 0
  let size = 0
  for (const [key, value] of entries) {
    if (isNull(key) || isNull(value)) {
      position = writeNullEntry(writer, position, key, value, depth, keys, values)
      size = 0
      continue
    }
    const nextKey = sideCodec(keys, key)
    const nextValue = sideCodec(values, value)
    if (size === 0 || size === maxChunk || nextKey !== keyCodec || nextValue !== valueCodec) {
      keyCodec = nextKey
      valueCodec = nextValue
      position = writeFlag(
        writer,
        position,
        (keys.declared === undefined ? 0 : EntriesHeader.keyDeclared) |
          (values.declared === undefined ? 0 : EntriesHeader.valueDeclared)
      )
      sizeAt = position
      position = writeFlag(writer, position, 0)
      size = 0
      if (keys.declared === undefined) position = writeTypeInfo(writer, position, keyCodec)
      if (values.declared === undefined) position = writeTypeInfo(writer, position, valueCodec)
    }
    writer.buffer[sizeAt] = ++size
    position = writeSide(writer, position, keys, nextKey, key, depth + 2)
    position = writeSide(writer, position, values, nextValue, value, depth + 2)
  }
  return position
}

/** Writes an entry with a null, which stands alone. */
export const writeNullEntry = (
  writer: Writer,
  position: number,
  key: unknown,
  value: unknown,
  depth: number,
  keys: EntrySide,
  values: EntrySide
): number => {
  if (isNull(key) && !keys.nullable) invalid("a key that is not null", key)
  if (isNull(value) && !values.nullable) invalid("a value that is not null", value)
  if (isNull(key) && isNull(value)) return writeFlag(writer, position, EntriesHeader.nullKey | EntriesHeader.nullValue)
  const [side, present, nullBit, declaredBit, trackBit] = isNull(value)
    ? ([keys, key, EntriesHeader.nullValue, EntriesHeader.keyDeclared, EntriesHeader.tracksKeys] as const)
    : ([values, value, EntriesHeader.nullKey, EntriesHeader.valueDeclared, EntriesHeader.tracksValues] as const)
  const codec = sideCodec(side, present)
  if (side.declared === undefined) {
    // Without a declared type pyfory sets the reference bit and a "not null" flag here, although it tracks nothing.
    position = writeFlag(writer, position, nullBit | trackBit)
    position = writeFlag(writer, position, 0xff)
    position = writeTypeInfo(writer, position, codec)
  } else {
    position = writeFlag(writer, position, nullBit | declaredBit)
  }
  return writeSide(writer, position, side, codec, present, depth + 2)
}

/**
 * Reads the chunk that `header` begins and hands its entries to `put`. `left` is how many entries the map still lacks,
 * `depth` the level of the map. Returns the number of entries read.
 */
export const readChunk = (
  reader: Reader,
  header: number,
  left: number,
  depth: number,
  keys: Slot,
  values: Slot,
  directory: TypeDirectory,
  put: (key: unknown, value: unknown) => void
): number => {
  const at = reader.position - 1
  if ((header & ~known) !== 0) reader.fail("Malformed", `Map chunk header 0x${header.toString(16)}`, at)
  const nullKey = (header & EntriesHeader.nullKey) !== 0
  const nullValue = (header & EntriesHeader.nullValue) !== 0
  const tracksKeys = (header & EntriesHeader.tracksKeys) !== 0
  const tracksValues = (header & EntriesHeader.tracksValues) !== 0
  const keyDeclared = (header & EntriesHeader.keyDeclared) !== 0
  const valueDeclared = (header & EntriesHeader.valueDeclared) !== 0
  if (nullKey || nullValue) {
    const key = nullKey
      ? acceptNull(reader, keys, at)
      : readLone(reader, keys, keyDeclared, tracksKeys, depth, directory)
    const value = nullValue
      ? acceptNull(reader, values, at)
      : readLone(reader, values, valueDeclared, tracksValues, depth, directory)
    put(key, value)
    return 1
  }
  if (tracksKeys || tracksValues)
    reader.fail("Malformed", `Map chunk header 0x${header.toString(16)} (reference tracking is off)`, at)
  const size = chunkSize(reader, left)
  const keyCodec = sideInfo(reader, keys, keyDeclared, directory)
  const valueCodec = sideInfo(reader, values, valueDeclared, directory)
  for (let i = 0; i < size; i++) {
    const key = readSide(reader, keys, keyCodec, depth)
    put(key, readSide(reader, values, valueCodec, depth))
  }
  return size
}

/** Reads the size of a chunk, which is neither zero nor more than the map lacks. */
export const chunkSize = (reader: Reader, left: number): number => {
  const at = reader.position
  const size = reader.uint8()
  if (size === 0 || size > left) reader.fail("Malformed", `A chunk of ${size} where ${left} entries are missing`, at)
  return size
}

const sideInfo = (reader: Reader, slot: Slot, declared: boolean, directory: TypeDirectory): ValueCodec => {
  if (!declared) return readTypeInfo(reader, slot.codec, directory)
  if (slot.codec.typeId === 0) reader.fail("Malformed", "Entries of a declared type where none is declared")
  return slot.codec
}

const readSide = (reader: Reader, slot: Slot, codec: ValueCodec, depth: number): unknown =>
  codec === noneCodec ? acceptNull(reader, slot, reader.position) : codec.read(reader, depth + 2)

/** The key or value beside a null. Where its type is not declared, a flag stands in front of the type info. */
const readLone = (
  reader: Reader,
  slot: Slot,
  declared: boolean,
  tracks: boolean,
  depth: number,
  directory: TypeDirectory
): unknown => {
  const at = reader.position
  if (declared && tracks) reader.fail("Malformed", "Reference tracking is off", at)
  if (!declared && !reader.present()) return acceptNull(reader, slot, at)
  return readSide(reader, slot, sideInfo(reader, slot, declared, directory), depth)
}
