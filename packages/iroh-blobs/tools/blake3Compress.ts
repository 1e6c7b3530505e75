/**
 * Writes `src/internal/blake3Compress.ts`: the BLAKE3 compression function with its seven rounds unrolled and the
 * message permutation resolved, so that all state lives in local variables.
 *
 * Run with `node packages/iroh-blobs/tools/blake3Compress.ts`.
 */
import { writeFileSync } from "node:fs"

const permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
const quarters = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14]
] as const
const initial = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19].map(
  (word) => word | 0
)

const lines: Array<string> = []
const emit = (line: string) => lines.push(`  ${line}`)

const half = (a: string, b: string, c: string, d: string, m: string, byD: number, byB: number) => {
  emit(`${a} = (${a} + ${b} + ${m}) | 0`)
  emit(`${d} ^= ${a}`)
  emit(`${d} = (${d} >>> ${byD}) | (${d} << ${32 - byD})`)
  emit(`${c} = (${c} + ${d}) | 0`)
  emit(`${b} ^= ${c}`)
  emit(`${b} = (${b} >>> ${byB}) | (${b} << ${32 - byB})`)
}

for (let i = 0; i < 16; i++) emit(`const m${i} = block[blockAt + ${i}]!`)
for (let i = 0; i < 8; i++) emit(`let s${i} = cv[cvAt + ${i}]!`)
for (let i = 0; i < 4; i++) emit(`let s${i + 8} = ${initial[i]}`)
emit("let s12 = counterLow")
emit("let s13 = counterHigh")
emit("let s14 = length")
emit("let s15 = flags")
let order = Array.from({ length: 16 }, (_, i) => i)
for (let round = 0; round < 7; round++) {
  quarters.forEach(([a, b, c, d], i) => {
    half(`s${a}`, `s${b}`, `s${c}`, `s${d}`, `m${order[2 * i]}`, 16, 12)
    half(`s${a}`, `s${b}`, `s${c}`, `s${d}`, `m${order[2 * i + 1]}`, 8, 7)
  })
  order = permutation.map((i) => order[i]!)
}
for (let i = 0; i < 8; i++) emit(`out[outAt + ${i}] = s${i} ^ s${i + 8}`)

writeFileSync(
  new URL("../src/internal/blake3Compress.ts", import.meta.url),
  `// Written by tools/blake3Compress.ts; change that file, not this one.

/** The eight initial chaining words. */
export const initialWords: Int32Array = Int32Array.of(
  ${initial.join(",\n  ")}
)

/**
 * One BLAKE3 compression: reads 8 words of chaining value at \`cv[cvAt]\` and 16 message words at \`block[blockAt]\`,
 * writes 8 words to \`out[outAt]\`. \`out\` may be \`cv\`.
 */
export const compress = (
  cv: Int32Array,
  cvAt: number,
  block: Int32Array,
  blockAt: number,
  counterLow: number,
  counterHigh: number,
  length: number,
  flags: number,
  out: Int32Array,
  outAt: number
): void => {
${lines.join("\n")}
}
`
)
