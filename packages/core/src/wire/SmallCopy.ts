/**
 * Copies of small pieces of bytes.
 *
 * @since 0.1.0
 */
const SLAB_SIZE = 8 * 1024
let slab = new ArrayBuffer(SLAB_SIZE)
let slabUsed = 0

/** A copy. Small ones share one allocation: one of their own costs more than filling them. @since 0.1.0 */
export const smallCopy = (bytes: Uint8Array): Uint8Array => {
  if (bytes.length > SLAB_SIZE / 8) return new Uint8Array(bytes)
  if (slabUsed + bytes.length > SLAB_SIZE) {
    slab = new ArrayBuffer(SLAB_SIZE)
    slabUsed = 0
  }
  const copy = new Uint8Array(slab, slabUsed, bytes.length)
  slabUsed += bytes.length
  copy.set(bytes)
  return copy
}
