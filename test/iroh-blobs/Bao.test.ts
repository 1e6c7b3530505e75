import { assert, describe, it } from "@effect/vitest"
import { BaoDecoder } from "../../packages/iroh-blobs/src/proto/BaoDecoder.ts"
import { groupsOf, traverse } from "../../packages/iroh-blobs/src/proto/BaoTree.ts"
import { BaoMismatch } from "../../packages/iroh-blobs/src/proto/BaoVerifier.ts"
import * as ChunkRanges from "@aster-effect/iroh-blobs/ChunkRanges"
import { hashBlob } from "../../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import { blobOf, hex, rangesOf, receive, respond, sha256, unhex, vectors } from "./Vectors.ts"
import { cpuTime } from "../cpuTime.ts"
import { Random } from "../Random.ts"

describe("responses", () => {
  it("are byte for byte those of the recorded provider", () => {
    assert.isAbove(vectors.get.length, 50)
    for (const { full, k, leafBytes, n, parents, ranges, responseLength, responseSha256 } of vectors.get) {
      const label = `blob(${n}, ${k}) ${ranges}`
      const { bytes, parts } = respond(blobOf(n, k), rangesOf(ranges))
      assert.strictEqual(bytes.length, responseLength, label)
      assert.strictEqual(sha256(bytes), responseSha256, label)
      if (full !== undefined) assert.strictEqual(hex(bytes), full, label)
      assert.strictEqual(bytes.length - 8 - leafBytes, 64 * parents, label)
      assert.isAtMost(Math.max(...parts.map((part) => part.length)), 16_384)
    }
  })

  it("decode to the blob's bytes and outboard", () => {
    for (const { k, n, ranges } of vectors.get) {
      const blob = blobOf(n, k)
      const { hash, outboard } = hashBlob(blob)
      const { items, used } = receive(hash, rangesOf(ranges), respond(blob, rangesOf(ranges)).bytes)
      let data = 0
      for (const item of items) {
        if (item._tag === "Size") assert.strictEqual(item.size, n)
        else if (item._tag === "Data") {
          data += item.data.length
          assert.strictEqual(hex(item.data), hex(blob.subarray(item.offset, item.offset + item.data.length)))
        } else if (item.index !== undefined) {
          assert.strictEqual(hex(item.pair), hex(outboard.subarray(item.index * 64, item.index * 64 + 64)))
        }
      }
      const all = ranges.length === 1 && ranges[0] === "0"
      if (all) assert.strictEqual(data, n)
      assert.strictEqual(used, respond(blob, rangesOf(ranges)).bytes.length)
    }
  })

  it("stop before the first missing group", () => {
    const blob = blobOf(100_000, 3)
    const whole = respond(blob, ChunkRanges.all)
    const cut = respond(blob, ChunkRanges.all, [0, 48])
    assert.isTrue(cut.gap)
    assert.isFalse(whole.gap)
    assert.strictEqual(hex(cut.bytes), hex(whole.bytes.subarray(0, cut.bytes.length)))
    assert.strictEqual(cut.parts.filter((part) => part.length === 16_384).length, 3)
    assert.isFalse(respond(blob, [17, 20], [16, 32]).gap)
    assert.isTrue(respond(blob, [17, 33], [16, 32]).gap)
  })
})

describe("hostile responses", () => {
  const cases: ReadonlyArray<readonly [number, ChunkRanges.ChunkRanges]> = [
    [100_000, ChunkRanges.all],
    [100_000, [15, 17]],
    [100_000, ChunkRanges.last],
    [1025, ChunkRanges.all],
    [16_385, ChunkRanges.all],
    [49_000, [0, 1, 20, 21, 40]]
  ]

  it("a flip of any bit after the size is found, at the item it is in", () => {
    const next = new Random(1).next
    for (const [size, ranges] of cases) {
      const { bytes, hash, parts } = respond(blobOf(size, 9), ranges)
      for (let run = 0; run < 150; run++) {
        const at = 8 + Math.floor(next() * (bytes.length - 8))
        const bad = bytes.slice()
        bad[at]! ^= 1 << Math.floor(next() * 8)
        let before = 0
        let item = 0
        while (before + parts[item]!.length <= at) before += parts[item++]!.length
        const decoder = new BaoDecoder(hash, ranges)
        for (let i = 0, start = 0; i < item; start += parts[i++]!.length)
          decoder.accept(bad.subarray(start, start + decoder.wanted))
        assert.throws(() => decoder.accept(bad.subarray(before, before + decoder.wanted)), BaoMismatch)
      }
    }
  })

  it("truncated, reordered, doubled and random responses yield only true data", () => {
    const next = new Random(2).next
    const blob = blobOf(100_000, 9)
    const { bytes, hash, parts } = respond(blob, ChunkRanges.all)
    for (let run = 0; run < 400; run++) {
      const shuffled = parts.slice()
      const i = Math.floor(next() * parts.length)
      const j = Math.floor(next() * parts.length)
      if (run % 4 === 0) [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!]
      else if (run % 4 === 1) shuffled.splice(i, 1)
      else if (run % 4 === 2) shuffled.splice(i, 0, parts[j]!)
      else
        shuffled.splice(
          i,
          1,
          Uint8Array.from({ length: parts[i]!.length }, () => next() * 256)
        )
      const bad = Buffer.concat(shuffled)
      const decoder = new BaoDecoder(hash, ChunkRanges.all)
      let at = 0
      try {
        while (decoder.wanted > 0 && at + decoder.wanted <= bad.length) {
          const end = at + decoder.wanted
          const item = decoder.accept(bad.subarray(at, end))
          if (item._tag === "Data")
            assert.isTrue(Buffer.from(item.data).equals(blob.subarray(item.offset, item.offset + item.data.length)))
          at = end
        }
        const same = Buffer.from(bytes).equals(bad.subarray(0, bytes.length))
        assert.isTrue(same || decoder.wanted > 0, "a changed response was taken for the whole blob")
      } catch (error) {
        assert.instanceOf(error, BaoMismatch)
      }
    }
  })

  it("a false size never gets its last chunk accepted", () => {
    const { bytes, hash } = respond(blobOf(100_000, 9), ChunkRanges.last)
    for (const size of [0, 1, 1024, 16_384, 65_536, 65_537, 99_999, 100_001, 131_072, 131_073, 2 ** 53 - 1]) {
      const lie = bytes.slice()
      new DataView(lie.buffer).setBigUint64(0, BigInt(size), true)
      assert.throws(() => receive(hash, ChunkRanges.last, lie))
    }
  })

  it("sizes of 2^53 and more are refused, and huge ones cost nothing", () => {
    const { bytes, hash } = respond(blobOf(100_000, 9), ChunkRanges.all)
    for (const size of [2n ** 53n, 2n ** 60n, 2n ** 64n - 1n]) {
      const lie = bytes.slice()
      new DataView(lie.buffer).setBigUint64(0, size, true)
      assert.throws(() => receive(hash, ChunkRanges.all, lie), BaoMismatch, "larger than")
    }
    const decoder = new BaoDecoder(hash, ChunkRanges.all)
    decoder.accept(unhex("ffffffffffff1f00"))
    assert.strictEqual(decoder.wanted, 64)
  })

  it("a pair is at its true place in the outboard even when the size was a lie that could not show yet", () => {
    // Every size from 65 537 to 131 072 has the same tree above chunk 0.
    const blob = blobOf(100_000, 9)
    const { outboard } = hashBlob(blob)
    const { bytes, hash } = respond(blob, [0, 16])
    for (const size of [65_537, 80_000, 131_072]) {
      const lie = bytes.slice()
      new DataView(lie.buffer).setBigUint64(0, BigInt(size), true)
      for (const item of receive(hash, [0, 16], lie).items) {
        if (item._tag !== "Pair") continue
        assert.strictEqual(hex(item.pair), hex(outboard.subarray(item.index! * 64, item.index! * 64 + 64)))
      }
    }
  })

  it("ranges that name every second chunk cost no more than the chunks they reach", () => {
    const bomb = Array.from({ length: 500_000 }, (_, i) => i)
    const started = cpuTime()
    for (let i = 0; i < 2000; i++) assert.lengthOf(ChunkRanges.select(bomb, 3), 4)
    assert.isBelow(cpuTime() - started, 2000)
  })

  it("the walk of the largest tree is bounded by its depth", () => {
    const chunks = Math.ceil((2 ** 53 - 1) / 1024)
    let nodes = 0
    for (const node of traverse(chunks, ChunkRanges.select([0, 1, 2 ** 40], chunks))) {
      assert.isBelow(node.start, chunks)
      if (++nodes > 200) break
    }
    assert.strictEqual(groupsOf(2 ** 53 - 1), 2 ** 39)
  })
})
