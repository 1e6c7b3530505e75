/**
 * How much a message may hold.
 *
 * @since 0.1.0
 */
import { ForyError } from "./ForyError.ts"

/**
 * Bounds on one message. They hold when decoding, where they stop hostile input, and when encoding, so that nothing is
 * sent which a peer with the same limits refuses. The defaults of the first three are pyfory's own.
 */
export interface Limits {
  /** Nesting levels, counted as pyfory counts them (Fory XLANG §14). Default 50, at most 1000: the stack has an end. */
  readonly maxDepth: number
  /** Elements of one list or set, entries of one map. Default 1,000,000. */
  readonly maxCollectionSize: number
  /** Bytes of one byte string or packed array. Default 64 MiB. */
  readonly maxBinarySize: number
  /**
   * Lists, sets, maps, byte strings and packed arrays in one message, decoding only. Default 1,000,000. An empty map is
   * one byte on the wire and some 200 in memory; this bounds what a message can grow to.
   */
  readonly maxContainers: number
}

const deepest = 1000

/** The limits that `Fory.make` applies where none are given. */
export const defaultLimits: Limits = {
  maxDepth: 50,
  maxCollectionSize: 1_000_000,
  maxBinarySize: 64 * 1024 * 1024,
  maxContainers: 1_000_000
}

/** The defaults with `given` in their place. Throws ForyError `InvalidDefinition` for anything but whole numbers. */
export const makeLimits = (given: Partial<Limits>): Limits => {
  const limits = { ...defaultLimits, ...given }
  for (const [name, limit] of Object.entries(limits))
    if (!Number.isSafeInteger(limit) || limit < 0)
      throw new ForyError("InvalidDefinition", `The limit ${name} must be a whole number, not ${String(limit)}`)
  if (limits.maxDepth > deepest)
    throw new ForyError("InvalidDefinition", `The limit maxDepth is at most ${deepest}, not ${limits.maxDepth}`)
  return limits
}
