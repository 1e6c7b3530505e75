import * as MetaString from "../../packages/fory/src/proto/MetaString.ts"
import { murmur3 } from "../../packages/fory/src/proto/Murmur3.ts"
import { assert, describe, it } from "@effect/vitest"
import { fromHex, toHex } from "./golden/model.ts"
import { Random } from "../Random.ts"
import murmur from "./vectors/murmur3.json" with { type: "json" }
import names from "./vectors/names.json" with { type: "json" }

describe("Murmur3", () => {
  it.each(murmur.vectors)("$text", ({ text, h1 }) => {
    assert.strictEqual(murmur3(new TextEncoder().encode(text)).toString(16).padStart(16, "0"), h1)
  })
})

describe("MetaString", () => {
  it.each(names.vectors)("$role $text", ({ role, text, encoding, bytes, hash }) => {
    const packed = MetaString.encode(text, role as MetaString.Role)
    assert.deepStrictEqual({ encoding: packed.encoding, bytes: toHex(packed.bytes) }, { encoding, bytes })
    assert.strictEqual(MetaString.decode(fromHex(bytes), encoding, role as MetaString.Role), text)
    const header = (bytes.length & 0xff).toString(16).padStart(2, "0")
    assert.strictEqual(
      toHex(MetaString.frame(text, role as MetaString.Role)),
      header + (hash ?? `0${encoding}`) + bytes
    )
  })

  it("writes the empty name as one byte", () => {
    assert.strictEqual(toHex(MetaString.frame("", "namespace")), "00")
  })

  it("reads back what it writes, in both roles", () => {
    const random = new Random(5)
    const alphabets = ["abc._$|", "abcXYZ_", "aB.$_|9", "AB", "日é$", "abcdefghijklmnopqrstuvwxyzA"]
    for (let round = 0; round < 5000; round++) {
      const alphabet = Array.from(random.pick(alphabets))
      const text = Array.from({ length: 1 + random.below(40) }, () => random.pick(alphabet)).join("")
      const role = random.pick(["namespace", "typeName"] as const)
      const { bytes, encoding } = MetaString.encode(text, role)
      assert.strictEqual(MetaString.decode(bytes, encoding, role), text)
    }
  })

  it("gives up on what no name is packed as", () => {
    // Code 30 and 31 of the 5 bit alphabet stand for nothing.
    assert.isUndefined(MetaString.decode(fromHex("7800"), MetaString.Encoding.lowerSpecial, "namespace"))
    assert.isUndefined(MetaString.decode(fromHex("7c00"), MetaString.Encoding.allToLowerSpecial, "typeName"))
    assert.isUndefined(MetaString.decode(fromHex("ff"), MetaString.Encoding.utf8, "typeName"))
    assert.isUndefined(MetaString.decode(fromHex("41"), 5, "typeName"))
  })
})
