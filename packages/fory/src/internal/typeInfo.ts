import { TypeId } from "../proto/TypeId.ts"
import type { Writer } from "../Writer.ts"
import { tooDeep } from "./invalid.ts"
import { noParts } from "./parts.ts"
import { labelOf, type NamedType } from "./namedType.ts"
import type { Reader } from "./reader.ts"
import type { Slot, ValueCodec, Write } from "./valueCodec.ts"

/**
 * Type info: what stands in front of a value whose type is not declared (Fory XLANG §6). One byte, and both names for
 * structs and enums.
 */

const writeNone: Write = (writer, position, _, depth) =>
  depth > writer.limits.maxDepth ? tooDeep(writer.limits.maxDepth) : position

/** Null as a type of its own. */
export const noneCodec: ValueCodec = {
  typeId: TypeId.none,
  label: "null",
  named: undefined,
  write: writeNone,
  writeUndeclared: writeNone,
  read: () => null,
  parts: noParts
}

export const writeTypeInfo = (writer: Writer, position: number, codec: ValueCodec): number => {
  if (codec.named !== undefined) return writer.names.write(writer, position, codec.named)
  writer.ensure(position, 1)
  writer.buffer[position] = codec.typeId
  return position + 1
}

/** Finds the type that a message names where none is declared. */
export interface TypeDirectory {
  readonly byId: (typeId: number) => ValueCodec | undefined
  readonly byName: (namespace: string, name: string) => ValueCodec | undefined
}

const isNamed = (typeId: number): boolean => typeId === TypeId.namedStruct || typeId === TypeId.namedEnum

/** Reads type info of any known type. */
export const readAnyTypeInfo = (reader: Reader, directory: TypeDirectory): ValueCodec => {
  const at = reader.position
  const typeId = reader.uint8()
  if (!isNamed(typeId))
    return directory.byId(typeId) ?? reader.fail("UnknownType", `Type id ${typeId} is not supported`, at)
  const namespace = reader.namespace(undefined)
  const name = reader.typeName(undefined)
  const codec = directory.byName(namespace, name)
  if (codec === undefined)
    return reader.fail("UnknownType", `The type ${labelOf({ namespace, name })} is not registered`, at)
  if (codec.typeId !== typeId) return reader.fail("TypeMismatch", `${codec.label} is sent as type id ${typeId}`, at)
  return codec
}

/** Reads type info that has to be the one of `codec`: true for it, false for null's. */
export const expectTypeInfoOrNone = (reader: Reader, codec: ValueCodec): boolean => {
  const at = reader.position
  const typeId = reader.uint8()
  if (typeId === TypeId.none) return false
  expectRest(reader, codec, typeId, at)
  return true
}

/** Reads type info that has to be the one of `codec`. */
export const expectTypeInfo = (reader: Reader, codec: ValueCodec): void => {
  const at = reader.position
  expectRest(reader, codec, reader.uint8(), at)
}

const expectRest = (reader: Reader, codec: ValueCodec, typeId: number, at: number): void => {
  if (typeId !== codec.typeId)
    reader.fail("TypeMismatch", `Expected ${codec.label} (type id ${codec.typeId}), got type id ${typeId}`, at)
  const { named } = codec
  if (named !== undefined) expectNames(reader, codec, named, at)
}

const expectNames = (reader: Reader, codec: ValueCodec, named: NamedType, at: number): void => {
  const namespace = reader.namespace(named)
  const name = reader.typeName(named)
  if (namespace !== named.namespace || name !== named.name)
    reader.fail("TypeMismatch", `Expected ${codec.label}, got ${labelOf({ namespace, name })}`, at)
}

/**
 * Reads type info in a place of declared type and returns what to read the value with: the declared codec, or null's.
 * For untyped places, whatever type is named and may stand there.
 */
export const readTypeInfo = (reader: Reader, codec: ValueCodec, directory: TypeDirectory): ValueCodec => {
  if (codec.untyped === undefined) return expectTypeInfoOrNone(reader, codec) ? codec : noneCodec
  const at = reader.position
  const found = readAnyTypeInfo(reader, directory)
  if (found === noneCodec) return found
  return (
    codec.untyped.narrow(found) ??
    reader.fail("TypeMismatch", `Expected ${codec.label}, got ${found.label} (type id ${found.typeId})`, at)
  )
}

/** A null that came for `slot`: accepted if the slot is optional or takes any value. */
export const acceptNull = (reader: Reader, slot: Slot, at: number): null =>
  slot.nullable || slot.codec.untyped?.nullable === true
    ? null
    : reader.fail("UnexpectedNull", `Null where ${slot.codec.label} is declared`, at)
