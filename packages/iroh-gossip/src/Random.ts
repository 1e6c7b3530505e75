/**
 * Chances for state machines, seeded, so that a run can be repeated.
 *
 * @since 0.1.0
 */

/** Where chances are taken from. */
export interface Random {
  /** An integer from 0 to `bound` - 1. */
  readonly below: (bound: number) => number
}

/** The xoshiro128** generator (Blackman and Vigna), seeded by four 32-bit words that are not all zero. */
export const xoshiro = (seed: readonly [number, number, number, number]): Random => {
  let [a, b, c, d] = seed.map((word) => word >>> 0) as [number, number, number, number]
  if ((a | b | c | d) === 0) a = 1
  const next = (): number => {
    const product = Math.imul(b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return result
  }
  // The bias of the multiplication is below 2^-20 for the sizes of a view.
  return { below: (bound) => Math.floor((next() / 2 ** 32) * bound) }
}
