import type { Limits } from "../Limits.ts"
import { Writer } from "../Writer.ts"
import { isNull, type Part, type ValueCodec } from "./valueCodec.ts"

/**
 * Finds which part of `value` cannot be encoded, by encoding parts on their own. Only errors pay for this; the encoders
 * themselves keep no track of where they are.
 */
export const locate = (root: string, rootCodec: ValueCodec, rootValue: unknown, limits: Limits): string => {
  const writer = new Writer()
  writer.limits = limits
  const fails = ({ slot, value }: Part): boolean => {
    if (isNull(value) && slot.nullable) return false
    writer.names.begin(undefined)
    try {
      slot.codec.write(writer, 0, value, 1)
      return false
    } catch {
      return true
    }
  }
  let path = root
  let codec = rootCodec
  let value = rootValue
  for (let depth = 0; depth < limits.maxDepth; depth++) {
    const part = find(codec.parts(value), fails)
    if (part === undefined) break
    path += part.segment
    codec = part.slot.codec
    value = part.value
  }
  return path
}

const find = (parts: Iterable<Part>, matches: (part: Part) => boolean): Part | undefined => {
  for (const part of parts) if (matches(part)) return part
  return undefined
}
