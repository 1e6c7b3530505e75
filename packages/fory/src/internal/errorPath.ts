import { ForyError } from "../ForyError.ts"
import type { Limits } from "../Limits.ts"
import { Writer } from "../Writer.ts"
import { isNull, type Part, type ValueCodec } from "./valueCodec.ts"

/**
 * The error with the path of what it is about, found by encoding the parts of `value` on their own. Only errors pay for
 * this; the encoders themselves keep no track of where they are.
 */
export const withPath = (
  error: ForyError,
  root: string,
  rootCodec: ValueCodec,
  rootValue: unknown,
  limits: Limits
): ForyError => {
  let path = root
  let codec = rootCodec
  let value = rootValue
  // A cycle has no end to name, neither when it is the error itself nor when it leads to one.
  for (let depth = error.code === "TooDeep" ? limits.maxDepth : 0; depth < limits.maxDepth; depth++) {
    const part = failing(codec.parts(value), error, limits)
    if (part === undefined) break
    path += part.segment
    codec = part.slot.codec
    value = part.value
  }
  return new ForyError(error.code, error.message, { path })
}

/** The first part that fails in the same way. */
const failing = (parts: Iterable<Part>, expected: ForyError, limits: Limits): Part | undefined => {
  const writer = new Writer()
  writer.limits = limits
  for (const part of parts) {
    if (isNull(part.value) && part.slot.nullable) continue
    writer.names.begin(undefined)
    try {
      part.slot.codec.write(writer, 0, part.value, 1)
    } catch (error) {
      if (error instanceof ForyError && error.code === expected.code) return part
    }
  }
  return undefined
}
