import { assert, describe, it } from "@effect/vitest"
import * as ChunkRanges from "@aster-effect/iroh-blobs/ChunkRanges"
import * as ChunkRangesSeq from "@aster-effect/iroh-blobs/ChunkRangesSeq"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { hex, rangesOf, unhex, vectors } from "./Vectors.ts"
import { cpuTime } from "../cpuTime.ts"

const SPAN = 40
const members = (ranges: ChunkRanges.ChunkRanges): ReadonlyArray<boolean> =>
  Array.from({ length: SPAN }, (_, chunk) => ChunkRanges.has(ranges, chunk))
const anyRanges = Arbitrary.map(
  Arbitrary.schema(
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: SPAN }))).check(Schema.isMaxLength(9))
  ),
  (list): ChunkRanges.ChunkRanges => [...new Set(list)].sort((a, b) => a - b)
)
const written = (ranges: ChunkRanges.ChunkRanges): string => {
  const writer = new PostcardWriter()
  ChunkRanges.write(writer, ranges)
  return hex(writer.finish())
}
const read = (text: string) => ChunkRanges.read(new PostcardReader(unhex(text)))
const many = { arbitrary: { runs: 500, seed: 11 } }

describe("ChunkRanges", () => {
  it.prop(
    "set operations act chunk by chunk",
    { a: anyRanges, b: anyRanges },
    ({ a, b }) => {
      const [inA, inB] = [members(a), members(b)]
      const expect = (f: (x: boolean, y: boolean) => boolean) => inA.map((x, i) => f(x, inB[i]!))
      assert.deepStrictEqual(
        members(ChunkRanges.union(a, b)),
        expect((x, y) => x || y)
      )
      assert.deepStrictEqual(
        members(ChunkRanges.intersection(a, b)),
        expect((x, y) => x && y)
      )
      assert.deepStrictEqual(
        members(ChunkRanges.difference(a, b)),
        expect((x, y) => x && !y)
      )
      assert.deepStrictEqual(
        members(ChunkRanges.symmetricDifference(a, b)),
        expect((x, y) => x !== y)
      )
    },
    many
  )

  it.prop(
    "selection holds the wanted chunks, and the last one for any wish past it",
    { ranges: anyRanges },
    ({ ranges }) => {
      const wanted = members([...ranges])
      const open = ranges.length % 2 === 1
      for (let chunks = 1; chunks < SPAN - 2; chunks++) {
        const past = open || wanted.slice(chunks - 1).includes(true)
        const selected = ChunkRanges.select(ranges, chunks)
        const expected = wanted.map((on, chunk) => chunk < chunks && (on || (chunk === chunks - 1 && past)))
        assert.deepStrictEqual(members(selected), expected, `${chunks} chunks`)
        assert.isTrue(
          selected.every((boundary, i) => i === 0 || boundary > selected[i - 1]!),
          "canonical"
        )
        assert.isTrue(selected.length % 2 === 0, "bounded")
      }
    },
    many
  )

  it.prop(
    "rounds outward to groups",
    { ranges: anyRanges },
    ({ ranges }) => {
      const rounded = ChunkRanges.roundToGroups(ranges)
      for (let group = 0; group * 16 < SPAN; group++) {
        const touched = ChunkRanges.intersects(ranges, group * 16, group * 16 + 16)
        assert.strictEqual(ChunkRanges.includes(rounded, group * 16, group * 16 + 16), touched)
        assert.strictEqual(ChunkRanges.intersects(rounded, group * 16, group * 16 + 16), touched)
      }
    },
    many
  )

  it.prop(
    "wire form round trip",
    { ranges: anyRanges },
    ({ ranges }) => {
      assert.deepStrictEqual(read(written(ranges)), ranges)
    },
    many
  )

  it("writes and reads the recorded forms", () => {
    for (const { hex: text, ranges } of vectors.encodings.rangeSpec) {
      assert.strictEqual(written(rangesOf(ranges)), text)
      assert.deepStrictEqual(read(text), rangesOf(ranges))
    }
  })

  it("reads what is not canonical", () => {
    assert.deepStrictEqual(read("020000"), [])
    assert.deepStrictEqual(read("0400050004"), [0, 9])
    // [2^60, 2^61) lies past every blob, which still means "the last chunk"
    assert.deepStrictEqual(read("02" + "808080808080808010".repeat(2)), ChunkRanges.last)
    assert.deepStrictEqual(ChunkRanges.select(read("02" + "808080808080808010".repeat(2)), 7), [6, 7])
  })

  it("refuses widths that overflow, long varints and promised elements that are not there", () => {
    for (const text of [
      "02ffffffffffffffffff0101",
      "01ffffffffffffffffff02",
      "0180808080808080808080",
      "05",
      "ff",
      "ffffff7f00",
      ""
    ]) {
      assert.throws(() => read(text), Malformed)
    }
  })
})

describe("ChunkRangesSeq", () => {
  const readSeq = (text: string) => ChunkRangesSeq.read(new PostcardReader(unhex(text)))

  it("writes and reads the recorded forms", () => {
    for (const { entries, hex: text } of vectors.encodings.rangesSeq) {
      const seq = entries.map(({ offset, ranges }) => ({ index: offset, ranges: rangesOf(ranges) }))
      const writer = new PostcardWriter()
      ChunkRangesSeq.write(writer, seq)
      assert.strictEqual(hex(writer.finish()), text)
      assert.deepStrictEqual(readSeq(text), seq)
    }
  })

  it("lets the later of two entries for one index win", () => {
    assert.deepStrictEqual([...ChunkRangesSeq.selected(readSeq("020101000000"), 0, 100)], [])
  })

  it("tells single blobs from sequences", () => {
    assert.isTrue(ChunkRangesSeq.isSingle(ChunkRangesSeq.single(ChunkRanges.all)))
    assert.isTrue(ChunkRangesSeq.isSingle(readSeq("020001000100")))
    for (const text of ["01000100", "00", "020101000100", "02000100020100"]) {
      assert.isFalse(ChunkRangesSeq.isSingle(readSeq(text)), text)
    }
  })

  it("jumps over gaps", () => {
    // [0] empty up to index 2^50, then one chunk of one blob, then nothing
    const seq = [
      { index: 2 ** 50, ranges: [0, 1] },
      { index: 2 ** 50 + 1, ranges: [] }
    ]
    const started = cpuTime()
    assert.deepStrictEqual([...ChunkRangesSeq.selected(seq, 0, Infinity)], [{ index: 2 ** 50, ranges: [0, 1] }])
    assert.deepStrictEqual([...ChunkRangesSeq.selected(seq, 0, 1000)], [])
    assert.isBelow(cpuTime() - started, 1000)
  })
})
