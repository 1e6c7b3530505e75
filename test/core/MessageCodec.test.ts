import { compress, decompress, decompressWithin } from "@aster-effect/core/wire/Compression"
import * as MessageCodec from "@aster-effect/core/message/MessageCodec"
import * as Wire from "@aster-effect/core/message/Wire"
import { Writer } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { zstdCompressSync } from "node:zlib"
import { Everything, Inner, KitchenSink, Plain } from "../../examples/kitchen-sink/KitchenSink.ts"
import { Random } from "../Random.ts"
import { codecError } from "./codecError.ts"
import { everything } from "./kitchen.ts"
import vectors from "./vectors/kitchen.json" with { type: "json" }

const written = <A>(codec: MessageCodec.MessageCodec<A>, value: A, encoding: MessageCodec.Encoding = "xlang") => {
  const writer = new Writer()
  codec.write(writer, value, encoding)
  return new Uint8Array(writer.bytes())
}

describe("MessageCodec", () => {
  it("reads and writes the messages of the Python reference byte for byte", () => {
    const schemas = new Map<string, Schema.Constraint>(
      [...KitchenSink.methods.flatMap((m) => [m.request, m.response]), Plain, Inner].map((s) => [s.identifier, s])
    )
    for (const { fory_hex, name, tag } of vectors) {
      if (name === "Everything") continue
      const [codec] = MessageCodec.compileAll([schemas.get(tag)!])
      const value = codec.read(Buffer.from(fory_hex, "hex"), "xlang")
      assert.strictEqual(Buffer.from(written(codec, value)).toString("hex"), fory_hex, name)
    }
  })

  it("reads every kind the Python reference writes", () => {
    const { fory_hex } = vectors.find(({ name }) => name === "Everything")!
    const bytes = Buffer.from(fory_hex, "hex")
    const { numbers: _, ...rest } = Everything.fields
    class Narrow extends Wire.Class<Narrow>("kitchen/Everything")({ ...rest, numbers: Wire.List(Wire.Int) }) {}
    const [narrow] = MessageCodec.compileAll([Narrow])
    assert.match(codecError(() => narrow.read(bytes, "xlang")).detail, /does not fit a number/)
    const [codec] = MessageCodec.compileAll([Everything])
    const value = codec.read(bytes, "xlang")
    assert.deepStrictEqual(value.numbers, [0n, -1n, 2147483648n, 9007199254740993n, 9223372036854775807n])
    assert.strictEqual(value.big, -(2n ** 63n))
    assert.deepStrictEqual(value.names, new Set(["x"]))
    assert.deepStrictEqual(
      [...value.index],
      [
        [1, "one"],
        [-2, "minus two"]
      ]
    )
    assert.deepStrictEqual(
      value.inners.map(({ weight }) => weight),
      [0.25, Infinity]
    )
    assert.isTrue(Object.is(value.by_name["k"]?.weight, -0))
    assert.strictEqual(value.color, "blue")
    assert.strictEqual(value.at.toISOString(), "2024-02-29T23:59:59.123Z")
    assert.strictEqual(value.day.toISOString(), "2024-02-29T00:00:00.000Z")
    assert.deepStrictEqual(value.anything, {
      list: [1, "two", null, 4.5, true],
      bytes: Uint8Array.of(0, 255),
      inner: new Inner({ label: "any", weight: 3 })
    })
  })

  it("gives back instances of the classes", () => {
    const [codec] = MessageCodec.compileAll([Everything])
    const back = codec.read(written(codec, everything), "xlang")
    assert.instanceOf(back, Everything)
    assert.deepStrictEqual(back, everything)
  })

  it("an untyped field carries any message of the service", () => {
    class Box extends Wire.Class<Box>("m/Box")({ content: Wire.Any }) {}
    class Item extends Wire.Class<Item>("m/Item")({ n: Wire.Int }) {}
    const [codec] = MessageCodec.compileAll([Box, Item])
    const box = new Box({ content: [new Item({ n: 1 }), "x", null] })
    assert.deepStrictEqual(codec.read(written(codec, box), "xlang"), box)
  })

  it.each(["xlang", "json"] as const)("checks and transformations run on top of %s", (encoding) => {
    class Inner extends Wire.Class<Inner>("m/Inner")({ n: Wire.Int.check(Schema.isGreaterThan(0)) }) {}
    class Outer extends Wire.Class<Outer>("m/Outer")({
      at: Wire.String.pipe(Schema.decodeTo(Schema.DateFromString)),
      inner: Inner
    }) {}
    class Loose extends Wire.Class<Loose>("m/Inner")({ n: Wire.Int }) {}
    const [outer, inner] = MessageCodec.compileAll([Outer, Inner])
    const value = new Outer({ at: new Date(0), inner: new Inner({ n: 1 }) })
    const back = outer.read(written(outer, value, encoding), encoding)
    assert.deepStrictEqual(back, value)
    assert.instanceOf(back.inner, Inner)
    const [loose] = MessageCodec.compileAll([Loose])
    const error = codecError(() => inner.read(written(loose, new Loose({ n: -1 }), encoding), encoding))
    assert.deepStrictEqual([error.reason, error.detail.includes("-1")], ["Invalid", false])
  })

  it("tells another shape from garbage", () => {
    class A extends Wire.Class<A>("m/Same")({ a: Wire.Int }) {}
    class B extends Wire.Class<B>("m/Same")({ a: Wire.String }) {}
    const [[a], [b]] = [MessageCodec.compileAll([A]), MessageCodec.compileAll([B])]
    assert.strictEqual(codecError(() => b.read(written(a, new A({ a: 1 })), "xlang")).reason, "SchemaMismatch")
    assert.strictEqual(codecError(() => b.read(Uint8Array.of(2, 0xff, 9), "xlang")).reason, "Malformed")
    assert.strictEqual(codecError(() => b.read(new Uint8Array(0), "xlang")).reason, "Malformed")
    assert.strictEqual(codecError(() => b.read(new Uint8Array(0), "json")).reason, "Malformed")
  })

  it("leaves nothing behind when a value does not fit", () => {
    const [codec] = MessageCodec.compileAll([Everything])
    const writer = new Writer()
    writer.append(Uint8Array.of(1, 2, 3))
    codecError(() => codec.write(writer, { ...everything, count: 0.5 } as Everything, "xlang"))
    assert.strictEqual(writer.position, 3)
  })
})

describe("Compression", () => {
  const text = new TextEncoder().encode("a".repeat(100_000))

  it("compresses what gets smaller and nothing else", async () => {
    const compressed = compress(text)
    assert.isBelow(compressed!.length, 100)
    assert.deepStrictEqual(new Uint8Array(await Effect.runPromise(decompress(compressed!))), text)
    assert.deepStrictEqual(new Uint8Array(decompressWithin(compressed!, 100_000)!), text)
    assert.isUndefined(compress(crypto.getRandomValues(new Uint8Array(5000))))
  })

  it("is not misled by what has every byte value and still gets smaller", () => {
    const source = new Random(12)
    const random = Uint8Array.from({ length: 1024 }, () => source.below(256))
    const repeated = new Uint8Array(65_536).map((_, i) => random[i % random.length]!)
    for (const bytes of [repeated, new Uint8Array(65_536).map((_, i) => i)]) {
      assert.isBelow(compress(bytes)!.length, 2_000)
    }
    const half = new Uint8Array(65_536).fill(0x20)
    for (let i = 0; i < 32; i++) half.set(random, i * 2048)
    assert.isBelow(compress(half)!.length, 40_000)
  })

  it("records the content size, which readers of the reference need", () => {
    // Frame header descriptor: single segment flag, or a content size flag of its own.
    assert.notStrictEqual(compress(text)![4]! & 0xe0, 0)
  })

  it("stops a bomb at 16 MiB, or at fewer bytes, whatever size it claims", async () => {
    const bomb = zstdCompressSync(new Uint8Array(17 * 1024 * 1024))
    assert.isBelow(bomb.length, 2000)
    const reason = (bytes: Uint8Array) =>
      Effect.runPromise(Effect.flip(decompress(bytes))).then((error) => error.reason)
    assert.strictEqual(await reason(bomb), "TooLarge")
    assert.isUndefined(decompressWithin(bomb, 1024))
    for (const damaged of [new Uint8Array(10), compress(text)!.subarray(0, 20)]) {
      assert.strictEqual(await reason(damaged), "Malformed")
      assert.strictEqual(codecError(() => decompressWithin(damaged, 100_000)).reason, "Malformed")
    }
  })
})
