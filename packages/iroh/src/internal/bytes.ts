/**
 * Bytes across a binding that wants number arrays. Index loops: `Array.from` and `Buffer.from` cost ten times as much.
 */
export interface Bytes {
  readonly toNative: (bytes: Uint8Array) => Array<number>
  readonly fromNative: (bytes: ReadonlyArray<number> | Uint8Array) => Uint8Array
}

const toArray = (bytes: Uint8Array): Array<number> => {
  const length = bytes.length
  const array = Array<number>(length)
  for (let i = 0; i < length; i++) array[i] = bytes[i]!
  return array
}

const fromNative = (bytes: ReadonlyArray<number> | Uint8Array): Uint8Array => {
  if (bytes instanceof Uint8Array) return bytes
  const length = bytes.length
  const copy = allocate(length)
  for (let i = 0; i < length; i++) copy[i] = bytes[i]!
  return copy
}

/** Small pieces share one allocation: one of their own costs more than filling them. */
const allocate = (length: number): Uint8Array => {
  if (length > SLAB_SIZE / 8) return new Uint8Array(length)
  if (slabUsed + length > SLAB_SIZE) {
    slab = new ArrayBuffer(SLAB_SIZE)
    slabUsed = 0
  }
  slabUsed += length
  return new Uint8Array(slab, slabUsed - length, length)
}

const SLAB_SIZE = 8 * 1024
let slab = new ArrayBuffer(SLAB_SIZE)
let slabUsed = 0

/** For a binding that takes byte arrays although its types still say number arrays. */
const unchanged = (bytes: Uint8Array): Array<number> => bytes as unknown as Array<number>

/**
 * Asks a binding whether it takes byte arrays, so that one which has learned to is used that way without a change
 * here. `attempt` passes its argument, 32 bytes, to some function of the binding and throws when it is refused.
 */
export const probe = (attempt: (bytes: Array<number>) => void): Bytes => {
  try {
    attempt(unchanged(new Uint8Array(32)))
    return { toNative: unchanged, fromNative }
  } catch {
    return { toNative: toArray, fromNative }
  }
}
