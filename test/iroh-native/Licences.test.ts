/** Which licences may be linked into the addon. */
import { assert, describe, it } from "@effect/vitest"
import { allowed, isMet } from "../../tools/native/licences.ts"

const may = new Set(["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"])

const cases: ReadonlyArray<readonly [expression: string, met: boolean]> = [
  ["MIT", true],
  ["GPL-3.0-only", false],
  ["MIT OR GPL-3.0-only", true],
  ["GPL-3.0-only OR MIT", true],
  ["MIT/GPL-3.0-only", true],
  ["MIT AND GPL-3.0-only", false],
  ["MIT AND ISC", true],
  ["GPL-3.0-only OR MIT AND ISC", true],
  ["(GPL-3.0-only OR MIT) AND ISC", true],
  ["(MIT OR ISC) AND GPL-3.0-only", false],
  ["GPL-3.0-only WITH LLVM-exception", false],
  ["GPL-3.0-only WITH LLVM-exception OR Apache-2.0 WITH LLVM-exception", true],
  ["MIT WITH GPL-exception", false],
  ["", false],
  ["MIT ISC", false],
  ["(MIT", false],
  ["MIT)", false]
]

describe("licences", () => {
  it.each(cases)("%s: %s", (expression, met) => {
    assert.strictEqual(isMet(expression, may), met)
  })

  it("that are allowed are those of deny.toml", () => {
    assert.isTrue(allowed().has("MIT"))
    assert.isFalse(allowed().has("GPL-3.0-only"))
  })
})
