import * as Printable from "@aster-effect/iroh/Printable"
import { assert, describe, it } from "@effect/vitest"

describe("Printable", () => {
  it.each([
    ["plain, Grüße, 日本語, 👩‍💻, نص", "plain, Grüße, 日本語, 👩‍💻, نص"],
    ["\u001b[2J\u009b", "\\u001b[2J\\u009b"],
    ["a\u202eb\u2066c\u200ed\u061ce", "a\\u202eb\\u2066c\\u200ed\\u061ce"],
    ["a\u200bb\u00adc\ufeffd", "a\\u200bb\\u00adc\\ufeffd"],
    ["a\u2028b\u2029c", "a\\u2028b\\u2029c"],
    ["\u{e0041}", "\\u{e0041}"]
  ])("shows %j as %j", (text, shown) => {
    assert.strictEqual(Printable.line(text), shown)
    assert.strictEqual(Printable.lines(text), shown)
  })

  it("keeps line feeds and tabs only where there may be lines", () => {
    assert.strictEqual(Printable.line("a\n\tb\r"), "a\\u000a\\u0009b\\u000d")
    assert.strictEqual(Printable.lines("a\n\tb\r"), "a\n\tb\\u000d")
  })
})
