import { Fory, ForyError, Type, Writer } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"
import { type DescribedType, type DescribedValue, toHex, World } from "./golden/model.ts"
import { Random } from "../Random.ts"
import { RandomCase } from "./golden/random.ts"

interface Sample {
  readonly label: string
  readonly codec: Fory.Codec<unknown, unknown>
  /** As the encoder takes it. */
  readonly input: unknown
  /** As the decoder returns it. */
  readonly output: unknown
  /** Whether values in untyped places lose the names of their types. */
  readonly untyped: boolean
}

const errorOf = (run: () => unknown): ForyError => {
  try {
    run()
  } catch (error) {
    if (error instanceof ForyError) return error
    throw error
  }
  return assert.fail("It was accepted")
}

const mentions = (part: unknown, type: string): boolean => JSON.stringify(part).includes(JSON.stringify(type))

const roots = (world: World, root: string, value: DescribedValue): Array<readonly [DescribedType, DescribedValue]> => {
  const declaration = world.declarations[root]
  const fields = declaration !== undefined && "struct" in declaration ? declaration.struct : []
  const values = (value as { readonly struct: readonly [string, { readonly [name: string]: DescribedValue }] })
    .struct[1]
  return [[root, value], ...fields.map(([name, type]) => [type, values[name]!] as const)]
}

/** Values of random structs, and of every one of their fields as a message of its own. */
function* samples(seed: number, cases: number): Generator<Sample> {
  const random = new Random(seed)
  for (let index = 0; index < cases; index++) {
    const generated = new RandomCase(random)
    const world = new World(generated.types)
    const registry = Fory.make({ types: [...world.named.values()] })
    const untyped = mentions(generated.types, "any")
    for (let round = 0; round < 3; round++) {
      for (const [type, value] of roots(world, generated.root, generated.value())) {
        yield {
          label: `seed ${seed}, case ${index}, ${JSON.stringify(type)}`,
          codec: registry.codec(world.type(type)) as Fory.Codec<unknown, unknown>,
          input: world.value(value, type, true),
          output: world.value(value, type, false),
          untyped
        }
      }
    }
  }
}

describe("random values of random types", () => {
  it("come back as they were", () => {
    let count = 0
    for (const { label, codec, input, output } of samples(1, 1200)) {
      assert.deepStrictEqual(codec.decode(codec.encode(input)), output, label)
      count++
    }
    assert.isAbove(count, 15_000)
  })

  it("have one encoding", () => {
    let count = 0
    for (const { label, codec, input, output, untyped } of samples(2, 600)) {
      const bytes = toHex(codec.encode(input))
      assert.strictEqual(toHex(codec.encode(input)), bytes, label)
      if (untyped) continue
      assert.strictEqual(toHex(codec.encode(output)), bytes, label)
      count++
    }
    assert.isAbove(count, 1000)
  })

  it("may lie anywhere in memory, one behind the other", () => {
    const random = new Random(4)
    const writer = new Writer(1)
    let messages: Array<Sample & { readonly start: number; readonly end: number }> = []
    const check = (): void => {
      const bytes = writer.bytes()
      for (const { label, codec, input, output, start, end } of messages) {
        assert.deepStrictEqual(codec.decode(bytes, start, end), output, label)
        assert.strictEqual(toHex(codec.encode(input)), toHex(bytes.subarray(start, end)), label)
      }
      messages = []
      writer.reset()
    }
    for (const sample of samples(3, 400)) {
      writer.append(new Uint8Array(random.below(20)).fill(random.below(256)))
      const start = writer.position
      sample.codec.write(writer, sample.input)
      messages.push({ ...sample, start, end: writer.position })
      if (messages.length === 200) check()
    }
    assert.isAbove(messages.length, 0)
    check()
  })
})

describe("integers of every magnitude", () => {
  const powers = Array.from({ length: 66 }, (_, bit) => 2n ** BigInt(bit))
  const magnitudes = powers.flatMap((power) => [power - 1n, power, power + 1n])
  const integers = [...magnitudes, ...magnitudes.map((value) => -value)]
  const small = (value: bigint): bigint | number => Number(value)
  const large = (value: bigint): bigint | number => value

  it.each([
    { type: Type.int8, min: -(2n ** 7n), max: 2n ** 7n - 1n, given: small },
    { type: Type.int16, min: -(2n ** 15n), max: 2n ** 15n - 1n, given: small },
    { type: Type.int32, min: -(2n ** 31n), max: 2n ** 31n - 1n, given: small },
    { type: Type.fixedInt32, min: -(2n ** 31n), max: 2n ** 31n - 1n, given: small },
    { type: Type.int, min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n, given: small },
    { type: Type.int64, min: -(2n ** 63n), max: 2n ** 63n - 1n, given: large },
    { type: Type.fixedInt64, min: -(2n ** 63n), max: 2n ** 63n - 1n, given: large },
    { type: Type.taggedInt64, min: -(2n ** 63n), max: 2n ** 63n - 1n, given: large },
    { type: Type.uint8, min: 0n, max: 2n ** 8n - 1n, given: small },
    { type: Type.uint16, min: 0n, max: 2n ** 16n - 1n, given: small },
    { type: Type.uint32, min: 0n, max: 2n ** 32n - 1n, given: small },
    { type: Type.fixedUint32, min: 0n, max: 2n ** 32n - 1n, given: small },
    { type: Type.uint64, min: 0n, max: 2n ** 64n - 1n, given: large },
    { type: Type.fixedUint64, min: 0n, max: 2n ** 64n - 1n, given: large },
    { type: Type.taggedUint64, min: 0n, max: 2n ** 64n - 1n, given: large }
  ])("$type.kind", ({ type, min, max, given }) => {
    const codec = Fory.make().codec(type) as Fory.Codec<unknown, unknown>
    const refused = integers.filter((value) => {
      if (value >= min && value <= max) {
        assert.strictEqual(codec.decode(codec.encode(given(value))), given(value))
        return false
      }
      const error = errorOf(() => codec.encode(given(value)))
      assert.strictEqual(error.code, "OutOfRange", `${value}: ${error.message}`)
      return true
    })
    assert.include(refused, min === 0n ? -1n : min - 1n)
    assert.include(refused, max + 1n)
  })

  it("int has the bytes of int64", () => {
    const [int, int64] = [Fory.make().codec(Type.int), Fory.make().codec(Type.int64)]
    for (const value of integers.filter((any) => BigInt.asIntN(64, any) === any)) {
      const bytes = int64.encode(value)
      if (Number.isSafeInteger(Number(value))) {
        assert.strictEqual(toHex(int.encode(Number(value))), toHex(bytes))
        assert.strictEqual(int.decode(bytes), Number(value))
      } else {
        assert.strictEqual(errorOf(() => int.decode(bytes)).code, "OutOfRange")
      }
    }
  })
})
