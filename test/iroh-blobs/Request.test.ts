import { assert, describe, it } from "@effect/vitest"
import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as ChunkRanges from "@aster-effect/iroh-blobs/ChunkRanges"
import * as ChunkRangesSeq from "@aster-effect/iroh-blobs/ChunkRangesSeq"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { hashBlob } from "../../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import * as Request from "@aster-effect/iroh-blobs/Request"
import { blobOf, hex, rangesOf, unhex, vectors } from "./Vectors.ts"

const hashOf = (n: number, k: number) => BlobHash.fromBytes(hashBlob(blobOf(n, k)).hash)
const decode = (text: string) => {
  const bytes = unhex(text)
  return Request.decode(bytes[0]!, bytes.subarray(1))
}

describe("Request", () => {
  it("Get", () => {
    for (const { k, n, ranges, requestHex } of vectors.get) {
      const request: Request.Request = {
        _tag: "Get",
        hash: hashOf(n, k),
        ranges: ChunkRangesSeq.single(rangesOf(ranges))
      }
      assert.strictEqual(hex(Request.encode(request)), requestHex)
      assert.deepStrictEqual(decode(requestHex), request)
    }
  })

  it("Get of hash sequences, GetMany and Observe", () => {
    const texts = [...vectors.hashSeq.requests, ...vectors.getMany].map(({ requestHex }) => requestHex)
    const observed = vectors.observe.flatMap(({ requestHex }) => requestHex ?? [])
    for (const text of [...texts, ...observed]) assert.strictEqual(hex(Request.encode(decode(text))), text)
    const [first] = vectors.hashSeq.requests
    assert.deepStrictEqual(decode(first!.requestHex), {
      _tag: "Get",
      hash: BlobHash.parse(vectors.hashSeq.hash),
      ranges: ChunkRangesSeq.everything
    })
  })

  it("Push", () => {
    for (const { k, n, ranges, requestHex } of vectors.push) {
      const request: Request.Request = {
        _tag: "Push",
        hash: hashOf(n, k),
        ranges: ChunkRangesSeq.single(rangesOf(ranges))
      }
      assert.strictEqual(hex(Request.encode(request)), requestHex)
    }
  })

  it("refuses what no peer would answer", () => {
    for (const { note, outcome, requestHex } of vectors.errors) {
      if (outcome !== "stream finished cleanly after 0 bytes" || requestHex === "") continue
      assert.throws(() => decode(requestHex), Malformed, undefined, note)
    }
    const hashes = Array.from({ length: 33_000 }, () => BlobHash.emptyBlob)
    assert.throws(
      () => Request.encode({ _tag: "GetMany", hashes, ranges: ChunkRangesSeq.everything }),
      Malformed,
      "split it"
    )
  })

  it("random bytes are read or refused, never anything else", () => {
    let seed = 5
    const next = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0)
    for (let run = 0; run < 5000; run++) {
      const body = Uint8Array.from({ length: next() % 80 }, () => (next() >>> 24) & (run % 2 === 0 ? 0xff : 0x03))
      try {
        Request.decode([0, 1, 8, 9][run % 4]!, body)
      } catch (error) {
        assert.instanceOf(error, Malformed)
      }
    }
  })
})

describe("observe items", () => {
  it("recorded items round trip", () => {
    const texts = vectors.observe.flatMap(({ firstMessageHex, messagesHex }) => messagesHex ?? firstMessageHex ?? [])
    assert.isAbove(texts.length, 5)
    for (const text of texts) {
      const { ranges, size } = Bitfield.decodeItem(unhex(text).subarray(1))
      assert.strictEqual(hex(Bitfield.encodeItem(size, ranges)), text)
    }
  })

  it("follow one another by symmetric difference", () => {
    const steps = [[], [16, 32], [16, 32, 97], [0, 32, 97], [0]].map((ranges, i) =>
      Bitfield.make(100_000, i > 1, ranges)
    )
    const messages = vectors.observe.find(({ messagesHex }) => messagesHex !== undefined)!.messagesHex!
    let state = ChunkRanges.empty
    for (const message of messages) {
      state = ChunkRanges.symmetricDifference(state, Bitfield.decodeItem(unhex(message).subarray(1)).ranges)
    }
    assert.deepStrictEqual(state, ChunkRanges.all)
    for (let i = 1; i < steps.length; i++) {
      const change = ChunkRanges.symmetricDifference(steps[i - 1]!.ranges, steps[i]!.ranges)
      if (i < 3) assert.strictEqual(hex(Bitfield.encodeItem(100_000, change)), messages[i])
    }
  })

  it("refuses boundaries that do not increase", () => {
    for (const text of ["0a020505", "0a020504", "0a0305", "80"])
      assert.throws(() => Bitfield.decodeItem(unhex(text)), Malformed)
  })
})
