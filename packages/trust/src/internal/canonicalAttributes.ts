/** Moves surrogates above the rest of the BMP, where the code points they stand for belong. */
const rank = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit)

/** The order of code points, which is the order of UTF-8 bytes. The default sort compares UTF-16 units instead. */
const byCodePoint = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = rank(a.charCodeAt(i)) - rank(b.charCodeAt(i))
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/**
 * The canonical JSON of attributes (Aster trust, canonical JSON): keys in code point order, no whitespace, non-ASCII
 * literal. Written pair by pair, since an object would reorder keys such as `10`. `JSON.stringify` of one well-formed
 * string is exactly the escaping wanted.
 */
export const canonicalAttributes = (attributes: ReadonlyMap<string, string>): string =>
  `{${[...attributes]
    .toSorted(([a], [b]) => byCodePoint(a, b))
    .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
    .join(",")}}`
