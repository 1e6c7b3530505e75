import { assert, describe, it } from "@effect/vitest"
import * as Blake3 from "../../packages/iroh-blobs/src/proto/Blake3.ts"
import { hashBlob, OutboardBuilder } from "../../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import { blake3 } from "@noble/hashes/blake3.js"
import { blobOf, hex, vectors } from "./Vectors.ts"

describe("Blake3", () => {
  it("hashes the recorded blobs", () => {
    for (const { hash, k, n } of vectors.blobs)
      assert.strictEqual(hex(hashBlob(blobOf(n, k)).hash), hash, `blob(${n}, ${k})`)
  })

  it("agrees with an independent implementation, aligned or not", () => {
    const sizes = [0, 1, 3, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3073, 16_383, 16_384, 16_385, 49_153, 100_000]
    for (const size of sizes) {
      for (const offset of [0, 1, 2]) {
        const bytes = blobOf(size + offset, size).subarray(offset)
        assert.strictEqual(hex(hashBlob(bytes).hash), hex(blake3(bytes)), `${size} bytes at ${offset}`)
      }
    }
  })

  it("gives the recorded chunk and group values and outboard", () => {
    const blob = blobOf(100_000, 0)
    vectors.tree.groupCv.forEach((cv, i) => {
      const group = blob.subarray(i * Blake3.GROUP_SIZE, (i + 1) * Blake3.GROUP_SIZE)
      assert.strictEqual(hex(Blake3.subtreeCv(group, i * Blake3.GROUP_CHUNKS, false)), cv)
    })
    assert.strictEqual(hex(Blake3.subtreeCv(blob.subarray(0, 1024), 0, false)), vectors.tree.firstChunkCv)
    assert.strictEqual(hex(hashBlob(blob).outboard), vectors.tree.outboardPreOrderHex)
  })

  it("counts chunks past 2^32", () => {
    const at = (chunk: number) => hex(Blake3.subtreeCv(blobOf(1024, 0), chunk, false))
    assert.notStrictEqual(at(0), at(2 ** 32))
    assert.notStrictEqual(at(2 ** 32), at(2 ** 33))
  })

  it("does not depend on how a blob is cut", () => {
    const blob = blobOf(200_001, 5)
    const whole = hashBlob(blob)
    for (const step of [1000, 1024, 16_383, 16_384, 16_385, 33_000]) {
      const builder = new OutboardBuilder()
      for (let at = 0; at < blob.length; at += step) builder.update(blob.subarray(at, at + step))
      assert.deepStrictEqual(builder.finish(), whole, `steps of ${step}`)
    }
  })
})
