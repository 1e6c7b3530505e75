import { Fory, Type } from "@aster-effect/fory"
import { assert, describe, it } from "@effect/vitest"

const Both = Type.struct({ namespace: "t", name: "Both", fields: { data: Type.bytes, more: Type.bytes } })
const Doubles = Type.struct({ namespace: "t", name: "Doubles", fields: { values: Type.float64Array } })
const types = [Both, Doubles]
const copying = Fory.make({ types })
const viewing = Fory.make({ types, views: true })

const bytes = (size: number, value: number) => new Uint8Array(size).fill(value)
const message = (size: number, more = 0) => copying.codec(Both).encode({ data: bytes(size, 1), more: bytes(more, 2) })

describe("decoded byte strings", () => {
  it("have memory of their own", () => {
    for (const size of [0, 100, 10_000]) {
      const encoded = message(size)
      const { data } = copying.codec(Both).decode(encoded)
      assert.strictEqual(data.buffer.byteLength, size)
      encoded.fill(9)
      assert.deepStrictEqual(data, bytes(size, 1))
    }
  })

  it("may be views of what they were decoded from, where they are most of it", () => {
    const encoded = message(10_000)
    const { data } = viewing.codec(Both).decode(encoded)
    assert.isTrue(data.buffer === encoded.buffer)
    assert.deepStrictEqual(data, bytes(10_000, 1))
  })

  it("keep nothing else that is large", () => {
    const encoded = message(4_000, 10_000)
    const { data, more } = viewing.codec(Both).decode(encoded)
    assert.strictEqual(data.buffer.byteLength, 4_000)
    assert.isTrue(more.buffer === encoded.buffer)
    const among = new Uint8Array(40_000)
    among.set(encoded, 100)
    const within = viewing.codec(Both).decode(among, 100, 100 + encoded.length)
    assert.strictEqual(within.more.buffer.byteLength, 10_000)
    assert.deepStrictEqual(within, { data, more })
  })

  it("share memory when they are short, and overlap nowhere", () => {
    const decoded = Array.from({ length: 2_000 }, (_, i) => {
      const size = (i * 37) % 1_100
      return viewing.codec(Both).decode(copying.codec(Both).encode({ data: bytes(size, i), more: bytes(i % 3, 255) }))
    })
    const buffers = new Set(decoded.map(({ data }) => data.buffer))
    assert.isBelow(buffers.size, 500)
    assert.isTrue([...buffers].every(({ byteLength }) => byteLength <= 8192))
    decoded.forEach(({ data, more }, i) => {
      assert.deepStrictEqual(data, bytes((i * 37) % 1_100, i))
      assert.deepStrictEqual(more, bytes(i % 3, 255))
    })
  })

  it("are never behind packed arrays", () => {
    const values = Float64Array.from({ length: 5_000 }, (_, i) => i / 3)
    const encoded = viewing.codec(Doubles).encode({ values })
    const decoded = viewing.codec(Doubles).decode(encoded)
    assert.isFalse(decoded.values.buffer === encoded.buffer)
    assert.deepStrictEqual(decoded.values, values)
  })
})
