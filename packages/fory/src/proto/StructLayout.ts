import { murmur3 } from "./Murmur3.ts"

/**
 * What decides a struct's body on the wire: the order of its fields and its schema hash (Fory XLANG §8.3 to §8.5).
 */

/** A field as far as the layout is concerned. `typeId` is 0 for structs, enums and untyped fields. */
export interface LayoutField {
  readonly name: string
  readonly typeId: number
  readonly nullable: boolean
}

const compareCodePoints = (a: string, b: string): number => {
  const left = Array.from(a)
  const right = Array.from(b)
  for (let i = 0; i < left.length && i < right.length; i++) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

const variableWidthIds = new Set([5, 7, 8, 12, 14, 15])
const sizes = new Map([
  ...[6, 7, 8, 13, 14, 15, 20].map((id) => [id, 8] as const),
  ...[4, 5, 11, 12, 19].map((id) => [id, 4] as const),
  ...[3, 10].map((id) => [id, 2] as const)
])
const sizeOf = (typeId: number): number => sizes.get(typeId) ?? 1

const groupOf = ({ typeId, nullable }: LayoutField): number => {
  if (typeId === 0) return 7
  if (typeId <= 20) return nullable ? 2 : 1
  if (typeId >= 22 && typeId <= 24) return typeId - 18
  return 3
}

/** Orders two fields as they follow each other in a struct's body. */
export const compareFields = (a: LayoutField, b: LayoutField): number => {
  const group = groupOf(a)
  if (group !== groupOf(b)) return group - groupOf(b)
  if (group <= 2) {
    const variable = Number(variableWidthIds.has(a.typeId)) - Number(variableWidthIds.has(b.typeId))
    if (variable !== 0) return variable
    const size = sizeOf(b.typeId) - sizeOf(a.typeId)
    if (size !== 0) return size
    if (a.typeId !== b.typeId) return b.typeId - a.typeId
  } else if (group === 3 && a.typeId !== b.typeId) {
    return a.typeId - b.typeId
  }
  return compareCodePoints(a.name, b.name)
}

/** The text the schema hash is taken over: `name,typeId,0,nullable;` per field, sorted by name. */
export const fingerprint = (fields: ReadonlyArray<LayoutField>): string =>
  [...fields]
    .sort((a, b) => compareCodePoints(a.name, b.name))
    .map(({ name, typeId, nullable }) => `${name},${typeId},0,${nullable ? 1 : 0};`)
    .join("")

/** Schema hash as the signed 32 bit number that precedes every struct body. A struct without fields has 47. */
export const schemaHash = (fields: ReadonlyArray<LayoutField>): number =>
  fields.length === 0 ? 47 : Number(BigInt.asIntN(32, murmur3(new TextEncoder().encode(fingerprint(fields)))))
