import * as NativeBinding from "@aster-effect/iroh-native/NativeBinding"
import { assert, describe, it } from "@effect/vitest"
import { blake3 } from "@noble/hashes/blake3.js"
// Nothing has loaded a binding here, so this is the one in JavaScript.
import { subtreeCv } from "../../../packages/iroh-blobs/src/proto/Blake3.ts"

const content = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 11)) & 0xff)

describe("BLAKE3 of the addon", () => {
  const subtree = NativeBinding.load()!.blake3!

  it("gives the hashes and chaining values of the one in JavaScript", () => {
    for (const size of [1, 63, 64, 65, 1023, 1024, 1025, 2048, 5000, 16_383, 16_384]) {
      const bytes = content(size + 1).subarray(1)
      assert.deepStrictEqual(subtree(bytes, 0, true), blake3(bytes), `${size} bytes, the whole blob`)
      for (const chunk of [0, 16, 1_000_000 * 16, 2 ** 32]) {
        assert.deepStrictEqual(
          subtree(bytes, chunk, false),
          subtreeCv(bytes, chunk, false),
          `${size} bytes at ${chunk}`
        )
      }
    }
    assert.deepStrictEqual(subtree(new Uint8Array(0), 0, true), blake3(new Uint8Array(0)))
  })

  it("refuses what is no subtree", () => {
    assert.throws(() => subtree(new Uint8Array(0), 16, false))
    assert.throws(() => subtree(new Uint8Array(2048), 1, false))
  })
})
