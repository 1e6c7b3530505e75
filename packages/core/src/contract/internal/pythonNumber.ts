/** How Python spells numbers, which reaches the identity (timeouts) and the text of manifests. */

/**
 * Python's text of a float: the shortest digits that read back as the same number, plain from 1e-4 up to 1e16, with an
 * exponent of at least two digits outside, and never without `.` or `e`.
 */
export const floatText = (value: number): string => {
  const [mantissa = "", exponentText = ""] = value.toExponential().split("e")
  const sign = value < 0 || Object.is(value, -0) ? "-" : ""
  const digits = mantissa.replace(/[-.]/g, "")
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= 16) {
    const tail = digits.length > 1 ? `.${digits.slice(1)}` : ""
    const power = String(Math.abs(exponent)).padStart(2, "0")
    return `${sign}${digits[0]}${tail}e${exponent < 0 ? "-" : "+"}${power}`
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0")
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`
}

/** The text of a number that may be an int or a float in Python: whole numbers below 1e16 are written as ints. */
export const numberText = (value: number): string =>
  Number.isInteger(value) && Math.abs(value) < 1e16 && !Object.is(value, -0) ? String(value) : floatText(value)
