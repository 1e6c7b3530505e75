import { TypeId } from "../proto/TypeId.ts"
import type { Writer } from "../Writer.ts"
import { invalid, tooDeep, tooLarge } from "./invalid.ts"
import type { Reader } from "./reader.ts"
import { writeVaruint32 } from "./scalars.ts"
import { acceptNull, noneCodec, readTypeInfo, writeTypeInfo, type TypeDirectory } from "./typeInfo.ts"
import { isNull, type Slot, type ValueCodec } from "./valueCodec.ts"

/**
 * Elements of lists and sets beyond the common case of a declared type without nulls, which the compiler generates code
 * for (Fory XLANG §10).
 */

/** Bits of the header byte behind a non-zero count. */
export const ElementsHeader = { tracksReferences: 1, hasNull: 2, declared: 4, sameType: 8 } as const

const known =
  ElementsHeader.tracksReferences | ElementsHeader.hasNull | ElementsHeader.declared | ElementsHeader.sameType

const bulkIds = new Set<number>([
  TypeId.bool,
  TypeId.int8,
  TypeId.int16,
  TypeId.fixedInt32,
  TypeId.int32,
  TypeId.int64,
  TypeId.float64,
  TypeId.string
])

/**
 * Whether pyfory reads a list of these without nulls in bulk. For every other list or set that is not empty it opens a
 * level, and one more for each element in turn; a writer has to stay below what that adds up to.
 */
export const isReadInBulk = (codec: ValueCodec): boolean => bulkIds.has(codec.typeId)

/** Writes the count of a collection, after checking it against the limit. */
export const writeCount = (writer: Writer, position: number, count: number): number => {
  const { maxCollectionSize } = writer.limits
  if (count > maxCollectionSize) tooLarge(count, "elements", maxCollectionSize)
  // One byte more than the count takes: the header follows.
  writer.ensure(position, 6)
  return writeVaruint32(writer, position, count)
}

export const writeFlag = (writer: Writer, position: number, flag: number): number => {
  writer.ensure(position, 1)
  writer.buffer[position] = flag
  return position + 1
}

/** A place for values whose type is not declared: how each of them is written, and whether nulls may stand there. */
export interface UndeclaredSlot {
  readonly nullable: boolean
  readonly codecOf: (value: unknown) => ValueCodec
}

/** Writes the elements of a list or set without a declared type; elements of one codec share the type info in front. */
export const writeUndeclaredElements = (
  writer: Writer,
  start: number,
  elements: ReadonlyArray<unknown>,
  depth: number,
  { codecOf, nullable }: UndeclaredSlot
): number => {
  const { maxDepth } = writer.limits
  if (depth > maxDepth) tooDeep(maxDepth)
  let position = writeCount(writer, start, elements.length)
  if (elements.length === 0) return position
  let shared: ValueCodec | undefined
  let hasNull = false
  let sameType = true
  for (const element of elements) {
    if (isNull(element)) {
      hasNull = nullable || invalid("elements that are not null", element)
      continue
    }
    const codec = codecOf(element)
    shared ??= codec
    sameType &&= codec === shared
  }
  shared ??= noneCodec
  if ((hasNull || !sameType || !isReadInBulk(shared)) && depth + 2 > maxDepth) tooDeep(maxDepth)
  const header = (sameType ? ElementsHeader.sameType : 0) | (hasNull ? ElementsHeader.hasNull : 0)
  position = writeFlag(writer, position, header)
  if (sameType) position = writeTypeInfo(writer, position, shared)
  for (const element of elements) {
    if (hasNull) position = writeFlag(writer, position, isNull(element) ? 0xfd : 0xff)
    if (isNull(element)) continue
    const codec = sameType ? shared : codecOf(element)
    if (!sameType) position = writeTypeInfo(writer, position, codec)
    position = codec.writeUndeclared(writer, position, element, depth + 2)
  }
  return position
}

/**
 * An array to be filled with `count` elements. A count that is merely claimed allocates nothing big.
 */
export const makeArray = (count: number): Array<unknown> =>
  // oxlint-disable-next-line no-new-array -- an array of the right size at once
  count <= 1024 ? new Array<unknown>(count) : []

/** Reads `count` elements laid out as `header` says. `depth` is the level of the list or set. */
export const readElements = (
  reader: Reader,
  header: number,
  count: number,
  depth: number,
  slot: Slot,
  directory: TypeDirectory
): Array<unknown> => {
  const at = reader.position - 1
  if ((header & ~known) !== 0 || (header & ElementsHeader.tracksReferences) !== 0)
    reader.fail("Malformed", `Elements header 0x${header.toString(16)} (reference tracking is off)`, at)
  const hasNull = (header & ElementsHeader.hasNull) !== 0
  let shared: ValueCodec | undefined
  if ((header & ElementsHeader.sameType) !== 0) {
    if ((header & ElementsHeader.declared) === 0) shared = readTypeInfo(reader, slot.codec, directory)
    else if (slot.codec.typeId !== 0) shared = slot.codec
    else reader.fail("Malformed", "Elements of a declared type where none is declared", at)
  }
  // Nulls take no bytes where no flag precedes them: a few bytes could claim any number of them.
  if (shared === noneCodec && !hasNull) reader.fail("Malformed", "Null elements without null flags", at)
  const into = makeArray(count)
  for (let i = 0; i < count; i++) {
    const elementAt = reader.position
    if (hasNull && !reader.present()) {
      into[i] = acceptNull(reader, slot, elementAt)
      continue
    }
    const codec = shared ?? readTypeInfo(reader, slot.codec, directory)
    into[i] = codec === noneCodec ? acceptNull(reader, slot, elementAt) : codec.read(reader, depth + 2)
  }
  return into
}
