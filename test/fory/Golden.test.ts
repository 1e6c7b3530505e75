import { Fory, type Type } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { type Case, type Declarations, type DescribedValue, fromHex, toHex, World } from "./golden/model.ts"

// Read, not imported: the bundler's JSON parser gives up on the depth of the recursive values.
const golden = JSON.parse(readFileSync(new URL("./golden/golden.json", import.meta.url), "utf8")) as {
  readonly pyfory: string
  readonly implementation: string
  readonly cases: ReadonlyArray<Case>
  readonly deepest: ReadonlyArray<{
    readonly name: string
    readonly types: Declarations
    readonly root: string
    readonly depth: number
    readonly deepest: string
    readonly beyond: string
  }>
}
const { cases } = golden

const find = (value: unknown, matches: (part: object) => boolean): boolean =>
  typeof value === "object" &&
  value !== null &&
  (matches(value) || Object.values(value).some((part) => find(part, matches)))

/** pyfory often loses a microsecond of these when it encodes, so its bytes are not those of the value. */
const hasFraction = (value: DescribedValue): boolean =>
  find(value, (part) => "timestamp" in part && BigInt(part.timestamp as string) % 1_000_000_000n !== 0n)

describe("vectors made by pyfory", () => {
  it("come from pyfory 0.16.0 as compiled code", () => {
    assert.strictEqual(golden.pyfory, "0.16.0")
    assert.strictEqual(golden.implementation, "pyfory.serialization")
    assert.isAbove(cases.flatMap(({ vectors }) => vectors).length, 1100)
  })

  it.each(cases)("$name", ({ name, types, root, hashes, vectors }) => {
    const world = new World(types)
    const codec = world.codec(root)
    for (const [tag, hash] of Object.entries(hashes))
      assert.strictEqual(Fory.make().schemaHash(world.named.get(tag) as Type.Struct), hash)
    for (const { value, hex } of vectors) {
      if (hasFraction(value)) continue
      assert.deepStrictEqual(codec.decode(fromHex(hex)), world.value(value, root, false))
      // pyfory also writes None where a struct is not optional; this encoder refuses to.
      if (name === "struct field" && JSON.stringify(value).includes("null")) continue
      assert.strictEqual(toHex(codec.encode(world.value(value, root, true))), hex)
    }
  })
})

describe("nesting, as deep as pyfory reads", () => {
  it.each(golden.deepest)("$name", ({ types, root, depth, deepest, beyond }) => {
    const world = new World(types)
    const limited = Fory.make({ types: [...world.named.values()] }).codec(world.type(root)) as Fory.Codec<
      unknown,
      unknown
    >
    const free = Fory.make({ types: [...world.named.values()], limits: { maxDepth: 100 } }).codec(
      world.type(root)
    ) as Fory.Codec<unknown, unknown>
    assert.isAbove(depth, 20)
    // Whatever pyfory reads is read.
    assert.deepStrictEqual(limited.decode(fromHex(deepest)), free.decode(fromHex(deepest)))
    // What it does not read is not written.
    const value = free.decode(fromHex(beyond))
    assert.strictEqual(toHex(free.encode(value)), beyond)
    assert.throws(() => limited.encode(value), /nested deeper than 50 levels/)
  })

  it("is mostly used up to the last level", () => {
    const written = golden.deepest.filter(({ types, root, deepest }) => {
      const world = new World(types)
      const codec = Fory.make({ types: [...world.named.values()] }).codec(world.type(root)) as Fory.Codec<
        unknown,
        unknown
      >
      try {
        return toHex(codec.encode(codec.decode(fromHex(deepest)))) === deepest
      } catch {
        return false
      }
    })
    assert.isAbove(written.length / golden.deepest.length, 0.9)
  })
})
