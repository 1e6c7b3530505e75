import { Fory, ForyError, Type, Writer } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"
import { toHex } from "./golden/model.ts"

const Hello = Type.struct({ namespace: "hello", name: "HelloRequest", fields: { name: Type.string } })
const codec = Fory.make().codec(Hello)

describe("Writer", () => {
  it("holds several messages behind headers that are filled in later", () => {
    const writer = new Writer(8)
    for (const name of ["a", "b".repeat(5000)]) {
      const start = writer.reserve(5)
      codec.write(writer, { name })
      writer.setUint32(start, writer.position - start - 5)
      writer.setUint8(start + 4, 7)
    }
    const bytes = writer.bytes()
    assert.strictEqual(bytes.length, writer.position)
    let at = 0
    for (const name of ["a", "b".repeat(5000)]) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at)
      const length = view.getUint32(0, true)
      assert.strictEqual(view.getUint8(4), 7)
      assert.deepStrictEqual(codec.decode(bytes, at + 5, at + 5 + length), { name })
      at += 5 + length
    }
    assert.strictEqual(at, bytes.length)
  })

  it("reserves zeroes, also in memory used before", () => {
    const writer = new Writer()
    writer.append(new Uint8Array(20).fill(255))
    writer.reset()
    assert.strictEqual(writer.position, 0)
    assert.strictEqual(writer.reserve(3), 0)
    assert.strictEqual(toHex(writer.bytes()), "000000")
  })

  it("is as it was after a message that cannot be encoded", () => {
    const writer = new Writer()
    writer.append(Uint8Array.of(1, 2))
    assert.throws(() => codec.write(writer, { name: 5 as never }), ForyError)
    assert.strictEqual(toHex(writer.bytes()), "0102")
    codec.write(writer, { name: "World" })
    assert.deepStrictEqual(codec.decode(writer.bytes(), 2), { name: "World" })
  })

  it("grows wherever its end falls in a message", () => {
    const Wide = Type.struct({
      namespace: "t",
      name: "Wide",
      fields: {
        a: Type.int,
        b: Type.optional(Type.float64),
        c: Type.string,
        d: Type.timestamp,
        e: Type.optional(Type.date),
        f: Type.bytes,
        g: Type.optional(Type.list(Type.int)),
        h: Type.record(Type.float32),
        i: Hello,
        j: Type.any
      }
    })
    const wide = Fory.make({ types: [Hello] }).codec(Wide)
    const hello = { name: "World" }
    const value = {
      a: 2 ** 50,
      b: 1.5,
      c: "x".repeat(7),
      d: new Date(1),
      e: new Date(0),
      f: new Uint8Array(3),
      g: [1, 2 ** 40],
      h: { a: 1, b: 2 },
      i: hello,
      j: [1, "日本", null, Type.typed(Hello, hello)]
    }
    const expected = toHex(wide.encode(value))
    for (let capacity = 1; capacity <= expected.length / 2 + 40; capacity++) {
      const writer = new Writer(capacity)
      wide.write(writer, value)
      assert.strictEqual(toHex(writer.bytes()), expected, `capacity ${capacity}`)
    }
  })

  it("gives the bytes that encode gives, whatever was written before", () => {
    const Inner = Type.struct({ namespace: "t", name: "Inner", fields: { a: Type.int } })
    const Pair = Type.struct({ namespace: "t", name: "Pair", fields: { p: Inner, q: Inner, r: Type.any } })
    const pairs = Fory.make({ types: [Inner] }).codec(Pair)
    const value = { p: { a: 1 }, q: { a: 2 }, r: Type.typed(Inner, { a: 3 }) }
    const alone = toHex(pairs.encode(value))
    const writer = new Writer()
    pairs.write(writer, value)
    codec.write(writer, { name: "between" })
    const start = writer.position
    pairs.write(writer, value)
    assert.strictEqual(toHex(writer.bytes().subarray(start)), alone)
    assert.throws(() => pairs.write(writer, { ...value, q: { a: "x" as never } }))
    assert.strictEqual(toHex(pairs.encode(value)), alone)
  })
})

describe("encode", () => {
  it("gives bytes that later messages leave alone, short and long", () => {
    const names = Array.from({ length: 400 }, (_, n) => String(n).repeat(1 + ((n * 37) % 300)))
    names.push("x".repeat(5000), "y".repeat(20_000), "z".repeat(3_000_000), "short")
    const messages = names.map((name) => codec.encode({ name }))
    assert.deepStrictEqual(
      messages.map((message) => codec.decode(message).name),
      names
    )
    for (const message of messages)
      if (message.length > 4096) assert.strictEqual(message.buffer.byteLength, message.length)
  })
})
