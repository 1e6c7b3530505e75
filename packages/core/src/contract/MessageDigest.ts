/**
 * What travels in a method, as a short hash.
 *
 * The contract id says less and more: enumerations, widths, dates and everything below a nested container are `any` in
 * it, while timeouts, the order of fields and methods that somebody else calls change it. Two sides with the same digest of a
 * method read what the other wrote; with different ones a value can become another one without an error.
 *
 * A digest goes by what release 0.1.2's XLANG and JSON carry: the pattern, and of both messages the tags of classes, the
 * names and types of their fields, whether they may be null, and the values of enumerations in their order. Neither
 * defaults nor the order of fields count, nor what a JavaScript value is made of (`Int` or `Int64`, `Map` or `Record`).
 *
 * @since 0.1.0
 */
import { blake3 } from "@noble/hashes/blake3.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import type { ServiceDescription, StructType, WireType } from "../message/WireType.ts"
import { compareCodePoints } from "./internal/codePoints.ts"

const DIGEST_LENGTH = 16

/** Whether a value can be a digest: 16 lower-case hex digits. @since 0.1.0 */
export const isDigest = (value: unknown): value is string =>
  typeof value === "string" && value.length === DIGEST_LENGTH && /^[0-9a-f]+$/.test(value)

const known = new WeakMap<ServiceDescription, { readonly [method: string]: string }>()

/** The digests of a service's methods by name. @since 0.1.0 */
export const ofService = (service: ServiceDescription): { readonly [method: string]: string } => {
  const digests =
    known.get(service) ??
    Object.fromEntries(
      service.methods.map(({ name, pattern, request, response }) => {
        const text = JSON.stringify([pattern, described(request), described(response)])
        return [name, bytesToHex(blake3(utf8ToBytes(text))).slice(0, DIGEST_LENGTH)]
      })
    )
  known.set(service, digests)
  return digests
}

/** A message and the classes it reaches, in the order in which they are met. */
const described = (message: WireType): unknown => {
  const numbers = new Map<StructType, number>()
  const structs: Array<StructType> = []
  const numberOf = (struct: StructType): number => {
    const number = numbers.get(struct) ?? structs.length
    if (number === structs.length) {
      numbers.set(struct, number)
      structs.push(struct)
    }
    return number
  }
  const root = shape(message, numberOf)
  const classes: Array<unknown> = []
  // The array grows while fields are looked at.
  for (const struct of structs) {
    const fields = struct
      .fields()
      .toSorted((a, b) => compareCodePoints(a.name, b.name))
      .map(({ name, type }) => [name, shape(type, numberOf)])
    classes.push([struct.name.namespace, struct.name.name, fields])
  }
  return [root, classes]
}

const shape = (type: WireType, numberOf: (struct: StructType) => number): unknown => {
  switch (type._tag) {
    case "Scalar":
      return type.scalar === "int64" ? "int" : type.scalar
    case "List":
      return ["list", shape(type.element, numberOf)]
    case "Set":
      return ["set", shape(type.element, numberOf)]
    case "Map":
      return ["map", shape(type.key, numberOf), shape(type.value, numberOf)]
    case "Optional": {
      const of = shape(type.of, numberOf)
      return Array.isArray(of) && of[0] === "optional" ? of : ["optional", of]
    }
    case "Enum":
      return ["enum", type.name.namespace, type.name.name, type.members.map(({ value }) => value)]
    case "Struct":
      return numberOf(type)
    default:
      // A side that takes less than any value refuses the rest with an error.
      return "any"
  }
}
