/**
 * Orders strings by code point, as Python and UTF-8 bytes do. JavaScript's own order compares UTF-16 units and puts
 * characters above U+FFFF before those from U+E000 to U+FFFF.
 */
export const compareCodePoints = (a: string, b: string): number => {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** Moves surrogates behind all other units, where the code points they encode belong. */
const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit)
