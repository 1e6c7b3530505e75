/** Order statistics over small samples. */

/** The value below which a share `q` (0 to 1) of the sample lies, by nearest rank; NaN for an empty sample. */
export const quantile = (sample: ReadonlyArray<number>, q: number): number => {
  const sorted = sample.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** The middle value, or the mean of the two middle ones; NaN for an empty sample. */
export const median = (sample: ReadonlyArray<number>): number => {
  const sorted = sample.toSorted((a, b) => a - b)
  const upper = sorted[sorted.length >> 1] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? Number.NaN) + upper) / 2
}
