import { ForyError } from "../ForyError.ts"

/** Text and bytes are not repeated: they may be secrets and end up in a log. */
const describe = (value: unknown): string => {
  switch (typeof value) {
    case "bigint":
      return `${value}n`
    case "number":
    case "boolean":
    case "undefined":
      return String(value)
    case "object":
      if (value === null) return "null"
      if (Array.isArray(value)) return "an array"
      return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : "an object"
    default:
      return `a ${typeof value}`
  }
}

/** The value handed to the encoder is not what the type takes. */
export const invalid = (expected: string, value: unknown): never => {
  throw new ForyError("InvalidValue", `Expected ${expected}, got ${describe(value)}`)
}

/** The value is of the right kind but the type cannot hold it. */
export const outOfRange = (expected: string, value: unknown): never => {
  throw new ForyError("OutOfRange", `Expected ${expected}, got ${describe(value)}`)
}

/** The value is nested too deep to be read by a peer with the same limits. */
export const tooDeep = (maxDepth: number): never => {
  throw new ForyError("TooDeep", `The value is cyclic or nested deeper than ${maxDepth} levels`)
}

/** The value is larger than a peer with the same limits reads. */
export const tooLarge = (size: number, what: string, limit: number): never => {
  throw new ForyError("LimitExceeded", `${size} ${what} are more than the limit of ${limit}`)
}
