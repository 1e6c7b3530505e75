/**
 * A line in words: they end at blanks outside of quotes, braces and brackets, so that JSON is one word. Single quotes are
 * taken away, as a system's shell does; what stands in double quotes stays JSON.
 */
export const words = (line: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let word = ""
  let begun = false
  let depth = 0
  let quote = ""
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!
    const begins = depth > 0 || word === "" || word.endsWith("=")
    if (quote === "'") {
      if (c === "'") quote = ""
      else word += c
    } else if (quote === '"') {
      word += c
      if (c === "\\" && i + 1 < line.length) word += line[++i]
      else if (c === '"') quote = ""
    } else if (depth === 0 && /\s/.test(c)) {
      if (begun) found.push(word)
      word = ""
      begun = false
      continue
    } else if (c === "'" && depth === 0 && begins) {
      quote = c
    } else {
      word += c
      if (c === '"' && begins) quote = c
      else if ((c === "{" || c === "[") && begins) depth++
      else if ((c === "}" || c === "]") && depth > 0) depth--
    }
    begun = true
  }
  return begun ? [...found, word] : found
}
