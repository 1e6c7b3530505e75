/**
 * Decimal text to float64 as release 0.1.2 reads it (contract identity, decimal parsing of default_timeout).
 *
 * The release is not correctly rounding: it collects the digits as an unsigned 64-bit integer and multiplies or divides
 * the nearest double of it by a power of ten. That decides the last bit of published ids, so it is repeated here.
 */

const MAX_SIGNIFICAND = 0xffff_ffff_ffff_ffffn

/** Powers of ten are doubles up to this exponent. */
const MAX_POWER = 308

/**
 * The value of a JSON number, or `undefined` when the release refuses it as out of range. `text` has to be a valid JSON
 * number.
 */
export const parseDecimal = (text: string): number | undefined => {
  const [, sign = "", whole = "", fraction = "", exponentText] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  let significand = 0n
  let exponent = 0
  // Digits behind the first one that does not fit are dropped, separately in the whole and in the fractional part.
  const wholeTaken = takeDigits(significand, whole)
  significand = wholeTaken.significand
  exponent += whole.length - wholeTaken.count
  const fractionTaken = takeDigits(significand, fraction)
  significand = fractionTaken.significand
  exponent -= fractionTaken.count
  if (exponentText !== undefined) exponent += Number(exponentText)
  const magnitude = scale(Number(significand), exponent)
  return magnitude === undefined ? undefined : sign === "-" ? -magnitude : magnitude
}

const takeDigits = (start: bigint, digits: string): { readonly significand: bigint; readonly count: number } => {
  let significand = start
  let count = 0
  for (const digit of digits) {
    const next = significand * 10n + BigInt(digit)
    if (next > MAX_SIGNIFICAND) break
    significand = next
    count++
  }
  return { significand, count }
}

const powerOfTen = (exponent: number): number => Number(`1e${exponent}`)

const scale = (value: number, exponent: number): number | undefined => {
  if (value === 0) return 0
  if (exponent >= 0) {
    const scaled = exponent > MAX_POWER ? Infinity : value * powerOfTen(exponent)
    return scaled === Infinity ? undefined : scaled
  }
  let scaled = value
  let remaining = -exponent
  for (; remaining > MAX_POWER && scaled !== 0; remaining -= MAX_POWER) scaled /= powerOfTen(MAX_POWER)
  return scaled === 0 ? 0 : scaled / powerOfTen(remaining)
}
